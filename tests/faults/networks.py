"""Rows about the way to the sink: an end point that hangs or resets, a name that nobody knows."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.judgement import Outcome, Promise, judge
from tests.faults.proxy import Proxy
from tests.faults.scene import Row, Scene
from tests.faults.sinks import KafkaSink, PostgreSqlSink
from tests.faults.stage import Stage

CLOSE_SECONDS = 1.0  # `closeTimeoutMs`
LITTLE = 2.0  # seconds for an interpreter to come and go on a loaded machine
NAME = "database.faults.invalid"  # RFC 6761: never resolves


@contextmanager
def behind_proxy(scene: Scene, size: int) -> Iterator[tuple[Stage, Proxy]]:
    """Yield a stage whose sink is an empty database behind a proxy."""
    with scene.postgresql.fresh_database() as url, Proxy(scene.postgresql.port) as proxy:
        through = url.replace(f":{scene.postgresql.port}/", f":{proxy.port}/")
        yield Stage(scene.folder, PostgreSqlSink(url, through), size), proxy


def _hang(scene: Scene) -> Outcome:
    """The server takes the connection and says nothing, then the program ends."""
    count = scene.sized(5_000, 50_000)
    with behind_proxy(scene, count) as (stage, proxy):
        proxy.mode = "hang"
        program = stage.start(count=count, rate=10_000, ending="return").await_published(count)
        seconds = program.wait()
        proxy.mode = "pass"
        stage.drain()
        return _in_time(judge(stage, Promise("0 lost"), f"exit took {seconds:.2f} s"), seconds)


def _hang_kafka(scene: Scene) -> Outcome:
    """The broker is stopped by SIGSTOP in the middle of the stream, then the program ends."""
    count = scene.sized(5_000, 50_000)
    stage = Stage(scene.folder, KafkaSink(scene.kafka), count)
    broker = scene.kafka.pid(1)
    program = stage.start(count=count, rate=5_000).await_published(count // 2)
    os.kill(broker, signal.SIGSTOP)
    try:
        program.await_published(count)
        seconds = program.wait()
    finally:
        os.kill(broker, signal.SIGCONT)
    stage.drain()
    # What the dead program had sent, the broker takes when it goes on, and gets once more from the next start.
    return _in_time(
        judge(
            stage,
            Promise("0 lost, twice under one id only", repeats=True, is_ordered=False),
            f"exit took {seconds:.2f} s",
        ),
        seconds,
    )


def _in_time(outcome: Outcome, seconds: float) -> Outcome:
    return outcome if seconds <= CLOSE_SECONDS + LITTLE else outcome.broken(f"exit took {seconds:.1f} s")


def _reset(scene: Scene) -> Outcome:
    """Every connection is broken again and again while events flow, also between a commit and its answer."""
    count = scene.sized(20_000, 200_000)
    chance = random.Random(6)  # noqa: S311 - the moments of a test
    with behind_proxy(scene, count) as (stage, proxy):
        program = stage.start(count=count, rate=5_000, settle=60)
        resets = 0
        while program.published() < count and program.code is None:
            time.sleep(chance.uniform(0.05, 0.3))
            proxy.mode = "reset"
            time.sleep(chance.uniform(0.0, 0.1))
            proxy.mode = "pass"
            resets += 1
        program.wait()
        return judge(stage, Promise("0 lost, 0 twice"), f"reset {resets} times")


def _unknown_name(scene: Scene) -> Outcome:
    """The name of the host does not resolve, in one program; in the next it does."""
    count = scene.sized(5_000, 50_000)
    with scene.postgresql.fresh_database() as url:
        stage = Stage(scene.folder, PostgreSqlSink(url, url.replace("127.0.0.1", NAME)), count)
        program = stage.start(count=count, rate=10_000).await_published(count)
        seconds = program.wait()
        stage.drain(environment={"PGHOSTADDR": "127.0.0.1"})
        return _in_time(judge(stage, Promise("0 lost"), f"exit took {seconds:.2f} s"), seconds)


ROWS = (
    Row("end point hangs (PostgreSQL behind a proxy)", _hang, "postgresql"),
    Row("end point resets (PostgreSQL behind a proxy)", _reset, "postgresql"),
    Row("DNS failure (PostgreSQL)", _unknown_name, "postgresql"),
    Row("end point hangs (Kafka broker stopped)", _hang_kafka, "kafka"),
)
