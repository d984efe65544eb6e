"""The PostgreSQL that tests get is a real one with passwords, and each test has a database of its own."""

import psycopg
import pytest

from tests.servers import PostgreSQLServer, ports, running_postgresql


def test_it_answers_a_client(postgresql_url: str) -> None:
    """An independent client can create, write and read."""
    with psycopg.connect(postgresql_url) as connection:
        connection.execute("CREATE TABLE seen (id integer PRIMARY KEY)")
        connection.execute("INSERT INTO seen VALUES (7)")
        assert connection.execute("SELECT id FROM seen").fetchall() == [(7,)]


def test_the_database_is_new(postgresql_url: str) -> None:
    """What the test above created is not here."""
    with psycopg.connect(postgresql_url) as connection:
        count = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert count == (0,)


def test_a_database_goes_though_somebody_is_connected(postgresql: PostgreSQLServer) -> None:
    """A test that leaks a connection does not break the clearing up."""
    with postgresql.fresh_database() as url:
        connection = psycopg.connect(url, autocommit=True)
    with pytest.raises(psycopg.OperationalError), connection:
        connection.execute("SELECT 1")
    assert url.rpartition("/")[2] not in postgresql.execute("SELECT datname FROM pg_database").splitlines()


def test_a_wrong_password_is_refused(postgresql: PostgreSQLServer) -> None:
    """The password is asked for, so tests do exercise secrets."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgresql.url.replace(postgresql.password, "wrong"))


def test_a_taken_port_is_not_the_end(postgresql: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another program is quicker to take a port, the server starts on another one."""
    choices = [[postgresql.port], ports.free_ports(1)]
    monkeypatch.setattr(ports, "free_ports", lambda _count: choices.pop(0))
    with running_postgresql() as second:
        assert second.execute("SELECT 1") == "1"
    assert choices == []


def test_the_password_is_not_shown(postgresql: PostgreSQLServer) -> None:
    """A failing assertion that prints the server prints no secret."""
    assert postgresql.password not in repr(postgresql)


def test_it_crashes_and_starts_again(postgresql: PostgreSQLServer, postgresql_url: str) -> None:
    """On its old port, with what was on its disk, and for everybody who has the address."""
    name = postgresql_url.rpartition("/")[2]
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS id")
        pid = postgresql.pid
        postgresql.crash()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    postgresql.start_again()
    assert postgresql.pid != pid
    with psycopg.connect(postgresql_url) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(7,)]
