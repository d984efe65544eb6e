"""Rows about Kafka's brokers: killed in the middle of a stream, and away for long."""

from __future__ import annotations

import time

from tests.faults.judgement import Outcome, Promise, judge
from tests.faults.scene import Row, Scene
from tests.faults.sinks import KafkaSink
from tests.faults.stage import Stage

DOWN_MINUTES = 10
AT_RATE = 1_000  # events a second that are published while the broker is down


def _kill_leaders(scene: Scene) -> Outcome:
    """Kill the leader of a partition and start it again, in the middle of the stream."""
    count, kills = scene.sized(20_000, 1_000_000), scene.sized(1, 3)
    sink = KafkaSink(scene.kafka, replicas=3)
    stage = Stage(scene.folder, sink, count)
    program = stage.start(count=count, rate=scene.sized(4_000, 12_000), settle=110)
    for kill in range(1, kills + 1):
        program.await_published(count * kill // (kills + 1))
        leader = sink.leader()
        scene.kafka.stop_broker(leader, kill=True)
        time.sleep(1)
        scene.kafka.start_broker(leader)
    program.wait(240)
    return judge(stage, Promise("0 lost, 0 twice"), f"{kills} leaders killed, three brokers")


def _backlog(scene: Scene) -> Outcome:
    """The broker is away while as many events are published as come in ten minutes; then it starts."""
    count = scene.sized(20_000, DOWN_MINUTES * 60 * AT_RATE)
    stage = Stage(scene.folder, KafkaSink(scene.kafka), count)
    scene.kafka.stop_broker(1)
    try:
        program = stage.start(count=count, rate=20_000, settle=110)
        program.await_published(count)
    finally:
        scene.kafka.start_broker(1)
    seconds = program.wait(240)
    return judge(stage, Promise("0 lost, 0 twice"), f"all there {seconds:.0f} s after the broker")


ROWS = (
    Row("broker down for 10 minutes of backlog", _backlog, "kafka"),
    Row("broker leader killed and restarted", _kill_leaders, "kafka_cluster"),
)
