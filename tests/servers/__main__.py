"""Start the named servers, print where they are, and stop them on Ctrl-C: `python -m tests.servers kafka postgresql`."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from tests.servers import ServerFailedError, ServerUnavailableError, running_kafka, running_postgresql
from tests.servers.kafka_jars import chosen_version, is_cached

DEFAULT = ("kafka", "postgresql")


def main(names: list[str]) -> int:
    """Run the servers until Ctrl-C or SIGTERM; return a process exit code."""
    unknown = [name for name in names if name not in SERVERS]
    if unknown:
        return _complain(f"there is no server {', '.join(unknown)}; there are {', '.join(SERVERS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            _start(names or list(DEFAULT), stack)
            signal.pause()
    except (ServerFailedError, ServerUnavailableError) as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        _say("\nstopped")
    return 0


def _start(names: list[str], stack: ExitStack) -> None:
    for name in dict.fromkeys(names):
        _say(f"· starting {name}")
        started = time.monotonic()
        exports = stack.enter_context(SERVERS[name]())
        _say(f"· {name} answers after {time.monotonic() - started:.1f} s")
        for export in exports:
            print(f"export {export}", flush=True)  # noqa: T201 - the product of this command
    _say("· running until Ctrl-C")


@contextmanager
def _kafka() -> Iterator[list[str]]:
    _say_fetch()
    with running_kafka() as kafka:
        yield [f"BACKPLANE_KAFKA={kafka.bootstrap}", f"BACKPLANE_KAFKA_TOOLS={kafka.tools()}"]


@contextmanager
def _kafka3() -> Iterator[list[str]]:
    _say_fetch()
    with running_kafka(3) as kafka:
        yield [f"BACKPLANE_KAFKA3={kafka.bootstrap}", f"BACKPLANE_KAFKA3_TOOLS={kafka.tools()}"]


@contextmanager
def _postgresql() -> Iterator[list[str]]:
    with running_postgresql() as postgresql:
        yield [f"BACKPLANE_POSTGRESQL={postgresql.url}"]


SERVERS: dict[str, Callable[[], AbstractContextManager[list[str]]]] = {
    "kafka": _kafka,
    "kafka3": _kafka3,
    "postgresql": _postgresql,
}


def _say_fetch() -> None:
    if not is_cached(chosen_version()):
        _say(f"· fetching Apache Kafka {chosen_version()} from Maven Central, once")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command, not a library


def _complain(text: str) -> int:
    _say(f"error: {text}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
