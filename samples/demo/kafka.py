"""From a document to events in Kafka, each step said aloud; `make demo-kafka` runs it.

It fetches Apache Kafka from Maven Central, starts one broker, and stops it at the end. The reader at the end is a plain
consumer: it knows the wire format and nothing of this project.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import Counter

from confluent_kafka import Consumer

from backplane_runtime import DataPlane
from samples.demo.steps import OUT, ROOT, backplane, insist, say, show
from tests.servers import ServerUnavailableError, running_kafka

DOCUMENT = "samples/demo/kafka.yaml"
SUBJECTS = 50_000
TOPICS = ("experiment-exposures", "experiment-outcomes", "experiment-errors")


def main() -> None:
    """Start a broker and run every step on it."""
    say("0. A real Apache Kafka broker: fetched from Maven Central the first time, then started.")
    try:
        with running_kafka() as cluster:
            show(f"Apache Kafka {cluster.version} answers at {cluster.bootstrap}")
            os.environ["DEMO_BROKER"] = cluster.bootstrap
            run_steps(cluster.bootstrap)
    except ServerUnavailableError as missing:
        sys.exit(f"the demo needs a broker: {missing}")


def run_steps(broker: str) -> None:
    """Run every step, and stop at the first that does not do what it says."""
    started = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)

    say("1. The document: one YAML file says where experiment events go.")
    show((ROOT / DOCUMENT).read_text(encoding="utf-8"))

    say("2. Compile: checked, then turned into a runtime config and scripts for whoever owns the cluster.")
    backplane("compile", DOCUMENT, "-o", "demo-out/build")

    say("3. Plan: what would change on the live cluster? Exit code 2 says that something would.")
    backplane("plan", DOCUMENT, expect=2)

    say("4. Apply: make it so.")
    backplane("apply", DOCUMENT, "--yes", last=2)

    say(f"5. Publish {2 * SUBJECTS:,} events through the runtime, as a service would.")
    published = publish()

    say("6. Read them all back with a plain consumer.")
    read_back(broker, published)

    say("7. Plan again: nothing to change, exit code 0.")
    backplane("plan", DOCUMENT)

    print(f"\nDone in {time.monotonic() - started:.1f} s. All that it made is in demo-out/; the broker stops now.")


def publish() -> int:
    """Publish with the frozen config that step 2 wrote, and return how many events were acknowledged."""
    with DataPlane.open(OUT / "build" / "runtime.json") as plane:
        started = time.monotonic()
        for number in range(SUBJECTS):
            subject = f"user-{number}"
            plane.exposure("checkout-button", "green" if number % 2 else "blue", subject=subject)
            plane.outcome("checkout-button", subject=subject, metric="revenue", value=19.99)
            if number % 2_000 == 0:
                plane.flush(timeout=30.0)  # a loop without a pause is faster than a broker: do not outrun the queue
        insist(plane.flush(timeout=30.0), "the events were not delivered within 30 s")
        show(
            f"{plane.ledger()}\n{2 * SUBJECTS / (time.monotonic() - started):,.0f} events/s, acknowledged by the broker"
        )
    return 2 * SUBJECTS


def read_back(broker: str, expected: int) -> None:
    """Read every record of the topics, and insist that each event is there exactly once."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "demo", "auto.offset.reset": "earliest"})
    consumer.subscribe(list(TOPICS))
    ids: set[str | bytes | None] = set()
    by_topic: Counter[str] = Counter()
    deadline = time.monotonic() + 60
    while by_topic.total() < expected and time.monotonic() < deadline:
        for message in consumer.consume(1_000, timeout=1.0):
            insist(message.error() is None, f"the consumer says: {message.error()}")
            by_topic[message.topic() or ""] += 1
            ids.add(dict(message.headers() or [])["event-id"])
    consumer.close()
    show("\n".join(f"{topic:<24} {count:>7}" for topic, count in sorted(by_topic.items())))
    insist(len(ids) == by_topic.total() == expected, f"{len(ids)} different events of {expected} were read")


if __name__ == "__main__":
    main()
