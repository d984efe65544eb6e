"""Experiment events as JSON lines, one file a day: a backplane of your own, whole."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict, resolved
from backplane_runtime.envelope import Record
from backplane_runtime.settings import Settings

if TYPE_CHECKING:
    from backplane_compiler.handlers import BackplaneHandler


class DailyFiles(Settings, frozen=True, kw_only=True):
    """Write events to `<folder>/<day>.jsonl`, the day in UTC."""

    folder: Annotated[str, Meta(min_length=1, description="Where the files are; it is made if it is missing.")]
    batch_size: Annotated[int, Meta(ge=1, le=100_000, description="Events that are synced to the disk together.")] = 500

    def place(self) -> str:
        """Return the folder: what waits for it goes there in batches of any size."""
        return self.folder


class DailyFilesBackplane:
    """Appends each envelope as a line; nothing stays open between two batches, so a fork has nothing to inherit."""

    settings_type = DailyFiles

    def __init__(self, settings: DailyFiles) -> None:
        self._settings = settings

    def start(self) -> None:
        """Make the folder."""
        folder = self._folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"{folder}: {error.strerror}") from error

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        """Append *batch*, day by day; where a day fails, what comes after is to be handed over again."""
        folder = self._folder()
        verdicts: list[Verdict | Rejected] = []
        for day, records in groupby(batch, key=lambda record: record.timestamp[:10]):
            lines = [record.envelope + b"\n" for record in records]
            try:
                _append(folder / f"{day}.jsonl", b"".join(lines))
            except OSError as error:
                if not verdicts:
                    raise UnavailableError(f"{folder}: {error.strerror}") from error
                break
            verdicts += [Verdict.ACKNOWLEDGED] * len(lines)
        return [*verdicts, *[Verdict.RETRY] * (len(batch) - len(verdicts))]

    def health(self, timeout: float) -> BackplaneHealth:  # noqa: ARG002 - a disk answers at once
        """Say whether one may write to the folder."""
        try:
            folder = self._folder()
        except UnavailableError as error:
            return BackplaneHealth(healthy=False, message=str(error))
        place = folder if folder.exists() else folder.parent
        healthy = place.is_dir() and os.access(place, os.W_OK)
        return BackplaneHealth(healthy=healthy, message=f"{folder}{'' if healthy else ' is not writable'}")

    def close(self, timeout: float) -> None:
        """Do nothing: nothing is open."""

    def _folder(self) -> Path:
        return Path(resolved(self._settings).folder)  # a reference such as `${env:NAME}` may change while events wait


def _append(path: Path, lines: bytes) -> None:
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # other processes write to the same day
        size = os.fstat(file.fileno()).st_size
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":  # a process died in the middle of a line
            size = os.pread(file.fileno(), size, 0).rfind(b"\n") + 1
            file.truncate(size)
        try:
            while lines:
                lines = lines[file.write(lines) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(size)  # half a batch would be there twice when the whole comes again
            raise


def handler() -> BackplaneHandler:
    """Return the compile half: options to check, nothing to provision."""
    from backplane_compiler.handlers import BackplaneHandler  # noqa: PLC0415 - where one only publishes there is no compiler

    return BackplaneHandler(type="dailyFiles", settings=DailyFiles)
