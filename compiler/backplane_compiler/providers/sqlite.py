"""SQLite files: the catalog read without creating the file, tables and indexes created in one transaction."""

from __future__ import annotations

import hashlib
import sqlite3
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from backplane_compiler.infra.state import InfraState
from backplane_compiler.plan.change import Change
from backplane_compiler.providers.api import Identity, Provider, ProviderError
from backplane_compiler.providers.sql_tables import not_shown, observe_tables, statements
from backplane_compiler.providers.sqlite_catalog import SqliteCatalog
from backplane_runtime.references import UnresolvedReferenceError, resolve_text
from backplane_runtime.settings import Settings, Sqlite

_BUSY_SECONDS = 5.0


def open_provider(settings: Settings, environment: Mapping[str, str]) -> Provider:
    """Return a provider for the file of *settings*; the file is opened when it is first asked, and never made by asking.

    Raises:
        ProviderError: if a reference in the path cannot be resolved.
    """
    if not isinstance(settings, Sqlite):
        raise TypeError(f"settings of SQLite are needed, not {type(settings).__name__}")
    try:
        path = Path(resolve_text(settings.path, environment))
    except UnresolvedReferenceError as error:
        raise ProviderError(f"sqlite {settings.path}: {error}") from error
    return SqliteProvider(path, settings.path)


class SqliteProvider:
    """One database file, opened anew for each call; *label* is its path as the document has it."""

    def __init__(self, path: Path, label: str) -> None:
        self._path = path
        self._label = label

    def identity(self) -> Identity:
        """Say which file this is. The path may come from a reference, so only its digest goes into a plan."""
        description = "file" if self._is_there() else "file, not there yet"
        digest = hashlib.sha256(str(self._path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
        return Identity(f"path-sha256:{digest[:32]}", description)

    def observe(self, desired: InfraState) -> InfraState:
        """Return the tables and indexes of *desired* that exist; a file that is not there holds nothing."""
        if not self._is_there():
            return InfraState()
        with self._connection("ro") as connection:
            return observe_tables(desired, SqliteCatalog(connection))

    def apply(self, changes: Sequence[Change]) -> Mapping[str, ProviderError]:
        """Create tables and indexes, all of *changes* or none."""
        script = [*statements(changes)]
        with self._connection("rwc") as connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in script:
                connection.execute(statement)
            connection.execute("COMMIT")
        return not_shown(changes, self.observe(InfraState.of(change.resource for change in changes)))

    def close(self) -> None:
        """Do nothing: no connection outlives its call."""

    def _is_there(self) -> bool:
        try:
            mode = self._path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return False
        except (OSError, ValueError) as error:
            # A name that is too long, a circle of links, a folder that one may not enter, a zero byte.
            why = error.strerror if isinstance(error, OSError) else "no file can have this name"
            raise self._not_opened(str(why)) from error
        if not stat.S_ISREG(mode):
            # Not left to SQLite: it would wait for ever on a pipe that nobody writes to.
            raise self._not_opened("it is a folder" if stat.S_ISDIR(mode) else "it is a device, a pipe or a socket")
        return True

    def _not_opened(self, why: str) -> ProviderError:
        return ProviderError(f"sqlite {self._label}: cannot be opened: {why}", "check `path` in the document")

    @contextmanager
    def _connection(self, mode: Literal["ro", "rwc"]) -> Iterator[sqlite3.Connection]:
        # `as_uri` quotes `?` and `#`; a plain path would be taken apart at them.
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.Error) -> ProviderError:
        """Return *error* in one line; closing the connection has rolled back what was begun."""
        code = (error.sqlite_errorcode & 0xFF) if hasattr(error, "sqlite_errorcode") else None
        where = f"sqlite {self._label}"
        if code == sqlite3.SQLITE_NOTADB:
            return ProviderError(f"{where}: is not an SQLite database", "check `path` in the document")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return ProviderError(
                f"{where}: is locked by another program for more than {_BUSY_SECONDS:.0f} s", "try again"
            )
        if code == sqlite3.SQLITE_CANTOPEN:
            return self._not_opened("no permission" if self._path.parent.is_dir() else "its folder does not exist")
        if code == sqlite3.SQLITE_READONLY:
            return ProviderError(f"{where}: cannot be written", "check the permissions of the file and its folder")
        return ProviderError(f"{where}: {error}")
