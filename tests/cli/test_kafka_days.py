"""The whole story on a real broker, and the days on which there is none."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.conftest import Backplane, Ran
from tests.servers import KafkaCluster

LINE = '{"eventType": "outcome", "experimentName": "e", "subjectId": "u", "metric": "m", "value": 1}\n'
WITHIN = 10  # seconds: the longest that a user waits to hear that nobody answers


def document(tmp_path: Path, bootstrap: str, prefix: str) -> str:
    """Write a document for topics of this test alone."""
    (tmp_path / "doc.yaml").write_text(
        json.dumps(
            {
                "dataPlane": {
                    "backplane": {
                        "type": "kafka",
                        "options": {"brokers": [bootstrap], "topicPrefix": prefix},
                        "provisioning": {"partitions": 2, "replicationFactor": 1},
                    }
                }
            }
        ),
        encoding="utf-8",
    )
    return "doc.yaml"


@pytest.fixture
def prefix() -> str:
    """A prefix that no other test uses."""
    return f"t{uuid.uuid4().hex[:8]}."


def test_document_to_events_to_empty_plan(
    backplane: Backplane, kafka: KafkaCluster, tmp_path: Path, prefix: str
) -> None:
    """Plan, apply, publish, plan: the last one is empty."""
    path = document(tmp_path, kafka.bootstrap, prefix)
    assert backplane("plan", path).code == 2
    applied = backplane("apply", path, "--yes")
    assert (applied.code, applied.out.splitlines()[-1]) == (0, "5 done")
    assert backplane("plan", path).code == 0
    assert backplane("compile", path, "-o", "build").code == 0
    ran = backplane("publish", "build/runtime.json", stdin=LINE * 3)
    assert (ran.code, json.loads(ran.out)["total"]["acknowledged"]) == (0, 3)
    assert backplane("health", "build/runtime.json").code == 0


def test_an_event_that_the_broker_refuses_is_an_error(
    backplane: Backplane, kafka: KafkaCluster, tmp_path: Path, prefix: str
) -> None:
    """It is lost, whatever became of the others."""
    path = document(tmp_path, kafka.bootstrap, prefix)
    assert backplane("apply", path, "--yes").code == 0
    assert backplane("compile", path, "-o", "build").code == 0
    too_large = json.dumps({**json.loads(LINE), "experimentName": "e" * 3_000_000})
    ran = backplane("publish", "build/runtime.json", stdin=f"{LINE}{too_large}\n")
    total = json.loads(ran.out)["total"]
    assert (ran.code, total["acknowledged"], total["dropped"]) == (1, 1, 1)
    assert ran.err.splitlines()[-1] == "error: events that were dropped: 1; see the log above"


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def http_port() -> Iterator[int]:
    """A port where something answers that is not Kafka."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        stop = threading.Event()

        def answer() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        stop.set()
        thread.join()


@pytest.fixture
def closed_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


ASKING = {
    "plan": ("plan", "doc.yaml"),
    "apply": ("apply", "doc.yaml", "--yes"),
    "drift": ("drift", "doc.yaml"),
    "publish": ("publish", "build/runtime.json"),
    "health": ("health", "build/runtime.json"),
}


@pytest.mark.parametrize("kind", ["closed_port", "silent_port", "http_port"])
def test_nobody_answers(
    backplane: Backplane, tmp_path: Path, prefix: str, kind: str, request: pytest.FixtureRequest
) -> None:
    """plan, apply, publish and health say so in one clear line, exit 1, within 10 seconds each, by default."""
    pytest.importorskip("confluent_kafka")
    address = f"127.0.0.1:{request.getfixturevalue(kind)}"
    assert backplane("compile", document(tmp_path, address, prefix), "-o", "build").code == 0

    def timed(name: str) -> tuple[str, Ran, float]:
        started = time.monotonic()
        return name, backplane(*ASKING[name], stdin=LINE), time.monotonic() - started

    # Two at once, because nearly all of their time is waiting; to start more would take longer. `apply` and `drift` ask as
    # `plan` does.
    names = ASKING if kind == "closed_port" else ("plan", "publish", "health")
    with ThreadPoolExecutor(2) as pool:
        for name, ran, seconds in pool.map(timed, names):
            assert seconds < WITHIN, name
            assert ran.code == 1, name
            assert address in ran.err + ran.out, name
            said = [line for line in ran.err.splitlines() if not line.startswith("hint:")]
            assert len(said) == (0 if name == "health" else 1), ran.err  # health answers on standard output


def test_ctrl_c_in_apply_stops_after_the_running_call_and_a_second_apply_continues(
    backplane: Backplane, kafka: KafkaCluster, tmp_path: Path, prefix: str
) -> None:
    """Whatever was done stays, the end says what was not, and nothing needs to be repaired."""
    path = document(tmp_path, kafka.bootstrap, prefix)
    process = subprocess.Popen(
        [sys.executable, "-m", "backplane_compiler", "apply", path, "--yes"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    process.stdout.readline()  # the plan is being shown: apply is about to begin
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    assert process.returncode in (0, 130), (out, err)
    assert backplane("apply", path, "--yes").code == 0
    assert backplane("plan", path).code == 0
