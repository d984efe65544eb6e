"""What people use instead, each set up as its documentation says, with a sink that lets nothing leave the machine.

Every peer is told the same: that a subject was exposed to a variant, and why. Background threads run as in production:
Segment, PostHog and Statsig upload to a server on loopback, OpenTelemetry exports to nothing.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from tests.benchmarks.measuring import Call

EXPERIMENT, VARIANT, REASON = "checkout-button", "blue", "rule:beta"
QUEUE = 200_000  # where it can be set: a full queue is answered at once, and would look fast


@contextmanager
def opentelemetry(_sink: str) -> Iterator[Call]:
    """The SDK's logger with its batching processor, and an exporter that does nothing."""
    from opentelemetry._logs import LogRecord, SeverityNumber  # noqa: PLC0415 - each peer only when its turn comes
    from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415
    from opentelemetry.sdk._logs.export import (  # noqa: PLC0415
        BatchLogRecordProcessor,
        LogRecordExporter,
        LogRecordExportResult,
    )

    class Nowhere(LogRecordExporter):
        def export(self, batch: object) -> LogRecordExportResult:  # noqa: ARG002 - the base class's signature
            return LogRecordExportResult.SUCCESS

        def force_flush(self, timeout_millis: int = 0) -> bool:  # noqa: ARG002 - the base class's signature
            return True

        def shutdown(self) -> None:
            """Hold nothing."""

    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(Nowhere()))
    logger = provider.get_logger("benchmark")

    def call(subject: str) -> None:
        logger.emit(
            LogRecord(
                timestamp=time.time_ns(),
                severity_number=SeverityNumber.INFO,
                event_name="feature_flag.evaluation",
                attributes={
                    "feature_flag.key": EXPERIMENT,
                    "feature_flag.result.variant": VARIANT,
                    "feature_flag.result.reason": "targeting_match",
                    "feature_flag.context.id": subject,
                },
            )
        )

    yield call
    provider.shutdown()


@contextmanager
def segment(sink: str) -> Iterator[Call]:
    """Segment's client."""
    from segment.analytics.client import Client  # noqa: PLC0415 - as above

    client = Client("benchmark", host=sink, max_queue_size=QUEUE)

    def call(subject: str) -> None:
        client.track(subject, "Experiment Viewed", _properties())

    yield call
    client.shutdown()


@contextmanager
def posthog(sink: str) -> Iterator[Call]:
    """PostHog's client."""
    from posthog import Posthog  # noqa: PLC0415 - as above

    client = Posthog("benchmark", host=sink, max_queue_size=QUEUE)

    def call(subject: str) -> None:
        client.capture("Experiment Viewed", distinct_id=subject, properties=_properties())

    yield call
    client.shutdown()


@contextmanager
def statsig(sink: str) -> Iterator[Call]:
    """Statsig's client, whose core is Rust."""
    from statsig_python_core import Statsig, StatsigOptions, StatsigUser  # noqa: PLC0415 - as above

    options = StatsigOptions()
    options.specs_url, options.log_event_url = f"{sink}/v2/download_config_specs", f"{sink}/v1/log_event"
    options.enable_id_lists, options.disable_country_lookup, options.init_timeout_ms = False, True, 500
    client = Statsig("secret-benchmark", options)
    client.initialize().wait()

    def call(subject: str) -> None:
        client.log_event(StatsigUser(subject), "experiment_viewed", VARIANT, _properties())

    yield call
    client.shutdown().wait()


@contextmanager
def queue_handler(_sink: str) -> Iterator[Call]:
    """The standard library's logger with a QueueHandler and a listener that discards."""
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(waiting, logging.NullHandler())
    logger = logging.getLogger("tests.benchmarks")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [logging.handlers.QueueHandler(waiting)]
    listener.start()

    def call(subject: str) -> None:
        logger.info("exposure %s %s %s %s", EXPERIMENT, VARIANT, subject, REASON)

    yield call
    listener.stop()


def _properties() -> dict[str, str]:
    return {"experiment": EXPERIMENT, "variant": VARIANT, "reason": REASON}


Peer = Callable[[str], AbstractContextManager[Call]]
PEERS: Mapping[str, Peer] = {
    "OpenTelemetry logger": opentelemetry,
    "Segment": segment,
    "PostHog": posthog,
    "Statsig": statsig,
    "logging QueueHandler": queue_handler,
}
