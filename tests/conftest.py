"""Fixtures for the real servers: started once per test run, when the first test asks, and stopped at its end.

Imports pytest and the standard library only, because the tests of the bare runtime are collected through it too.
"""

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NoReturn, TypeVar

import pytest

from tests.servers import (
    KafkaCluster,
    PostgreSQLServer,
    SecureKafka,
    ServerUnavailableError,
    running_kafka,
    running_postgresql,
    running_secure_kafka,
)
from tests.servers.kafka_jars import chosen_version, is_cached, kafka_libs

MARKERS = {"kafka": {"kafka", "kafka_cluster", "secure_kafka"}, "postgresql": {"postgresql", "postgresql_url"}}

Server = TypeVar("Server")


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaCluster]:
    """One Kafka broker; topics are shared by all tests, so name yours uniquely."""
    with _or_skip(running_kafka(1)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kafka_cluster() -> Iterator[KafkaCluster]:
    """Three Kafka brokers; whoever stops one starts it again."""
    with _or_skip(running_kafka(3)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def secure_kafka() -> Iterator[SecureKafka]:
    """One Kafka broker behind TLS and SASL."""
    with _or_skip(running_secure_kafka()) as secure:
        yield secure


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQLServer]:
    """A PostgreSQL server."""
    with _or_skip(running_postgresql()) as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgreSQLServer) -> Iterator[str]:
    """The address of an empty PostgreSQL database of this test alone."""
    with postgresql.fresh_database() as url:
        yield url


@pytest.fixture(autouse=True)
def _spool_of_this_test(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a spool folder of its own: what one leaves there, the next would deliver."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(autouse=True)
def _conservation(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hold every data plane of a test to the law, whatever the test was about: when it is closed, for it may be gone at the
    end, and at the end.
    """  # noqa: D205 - one sentence
    views: list[Any] = []
    process = sys.modules.get("backplane_runtime.process")
    if process is not None:
        release = process.release

        def release_and_look(plane: Any) -> None:
            release(plane)
            views.append(plane.ledger())

        monkeypatch.setattr(process, "release", release_and_look)
    yield
    process = sys.modules.get("backplane_runtime.process")
    views += [plane.ledger() for plane in list(process._members)] if process else []
    for view in views:
        for counts in (view.total, *view.by_type.values(), *(one.counts for one in view.by_variant)):
            assert counts.is_lawful, view
        for one in view.by_backplane.values():
            assert min(getattr(one, name) for name in one.__struct_fields__) >= 0, view


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the servers they ask for, before `-m` chooses among them.

    Of the processes that `make test` runs the tests in, one gets all that need a broker: brokers are slow to start, and large.
    """
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        for marker, fixtures in MARKERS.items():
            if asked & fixtures:
                item.add_marker(marker)
        if item.get_closest_marker("kafka"):
            item.add_marker(pytest.mark.xdist_group("kafka"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give all skips for one missing server one place, so that the summary says it in one line and not in fifty."""
    report = yield
    missing = call.excinfo and call.excinfo.value.__cause__
    if report.skipped and isinstance(missing, ServerUnavailableError):
        report.longrepr = (__file__, 0, f"Skipped: {missing}")
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch Kafka before the first test, whose time limit must not pay for it."""
    asked = any(item.get_closest_marker("kafka") for item in session.items)
    if not asked or session.config.option.collectonly or is_cached(chosen_version()):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"fetching Apache Kafka {chosen_version()} from Maven Central, once")
    try:
        kafka_libs(chosen_version())
    except ServerUnavailableError as error:
        # The fixtures meet the same and decide: skip here, fail in CI.
        if reporter is not None:
            reporter.write_line(str(error))


@contextmanager
def _or_skip(server: AbstractContextManager[Server]) -> Iterator[Server]:
    """Enter a server's context; where the machine lacks what it needs, skip the test, and in CI fail it."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(server)
        except ServerUnavailableError as error:
            _give_up(error)
        yield running


def _give_up(error: ServerUnavailableError) -> NoReturn:
    if os.environ.get("CI", "").lower() in {"", "0", "false"}:
        raise pytest.skip.Exception(str(error)) from error
    pytest.fail(f"{error}; with CI set, no server may be missing", pytrace=False)
