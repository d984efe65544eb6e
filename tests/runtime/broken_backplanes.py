"""A backplane that keeps the contract, and for each sentence of it one that breaks it and nothing else."""

import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from backplane_runtime.backplanes.api import BackplaneHealth, Rejected, UnavailableError, Verdict
from backplane_runtime.envelope import Record
from backplane_runtime.testing import StoredEvent

AWAY = "away"  # a file of this name beside the events makes them unreachable


class JsonLines:
    """Keeps the contract: a line in a file for each event, each id once."""

    opened: list[IO[str]] = []  # noqa: RUF012 - of all, so that the test closes what a broken one leaves

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: IO[str] | None = None

    def start(self) -> None:
        self.file = self.path.open("a", encoding="utf-8")
        self.opened.append(self.file)

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        if self.is_away():
            raise UnavailableError("away")
        if self.file is None:
            self.start()
        there = self.ids()
        verdicts = []
        for record in batch:
            verdicts.append(Verdict.DUPLICATE if record.event_id in there else Verdict.ACKNOWLEDGED)
            if record.event_id not in there:
                self.write(record)
                there.add(record.event_id)
        self.flush()
        return verdicts

    def health(self, timeout: float) -> BackplaneHealth:  # noqa: ARG002 - the contract's signature
        return BackplaneHealth(healthy=not self.is_away(), message="here")

    def close(self, timeout: float) -> None:  # noqa: ARG002 - the contract's signature
        if self.file is not None:
            self.file.close()
            self.file = None

    def is_away(self) -> bool:
        return (self.path.parent / AWAY).exists()

    def ids(self) -> set[str]:
        return {one.event_id for one in read(self.path)}

    def write(self, record: Record) -> None:
        assert self.file is not None
        line = [record.event_id, record.event_type.wire_name, record.payload.decode()]
        self.file.write(json.dumps(line) + "\n")

    def flush(self) -> None:
        assert self.file is not None
        self.file.flush()


def read(path: Path) -> list[StoredEvent]:
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [StoredEvent(event_id, kind, payload.encode()) for event_id, kind, payload in map(json.loads, lines)]


class OpensWhenMade(JsonLines):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.start()


class StartsAThreadWhenMade(JsonLines):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        threading.Thread(target=time.sleep, args=(3,), daemon=True, name=f"thread {id(self)}").start()


class NoHealthBeforeStart(JsonLines):
    def health(self, timeout: float) -> BackplaneHealth:
        assert self.file is not None
        return super().health(timeout)


class NoHealthAfterClose(JsonLines):
    is_closed = False

    def health(self, timeout: float) -> BackplaneHealth:
        if self.is_closed and self.ids():
            raise ValueError("closed")
        return super().health(timeout)

    def close(self, timeout: float) -> None:
        self.is_closed = self.file is not None or self.is_closed
        super().close(timeout)


class SlowHealth(JsonLines):
    def health(self, timeout: float) -> BackplaneHealth:
        time.sleep(timeout + 2)
        return super().health(timeout)


class HealthOfOneThread(JsonLines):
    thread: int | None = None

    def start(self) -> None:
        super().start()
        self.thread = threading.get_ident()

    def health(self, timeout: float) -> BackplaneHealth:
        if self.thread not in (None, threading.get_ident()):
            raise RuntimeError("created in a thread, and used in another one")
        return super().health(timeout)


class HealthOfManyLines(JsonLines):
    def health(self, timeout: float) -> BackplaneHealth:  # noqa: ARG002 - the contract's signature
        return BackplaneHealth(healthy=True, message="Traceback:\n  ...")


class AlwaysUnwell(JsonLines):
    def health(self, timeout: float) -> BackplaneHealth:  # noqa: ARG002 - the contract's signature
        return BackplaneHealth(healthy=False, message="so so")


class CloseNeedsStart(JsonLines):
    def close(self, timeout: float) -> None:
        assert self.file is not None
        super().close(timeout)


class ClosesOnce(JsonLines):
    def close(self, timeout: float) -> None:
        if self.ids() and self.file is None:
            raise ValueError("closed already")
        super().close(timeout)


class SlowClose(JsonLines):
    def close(self, timeout: float) -> None:
        time.sleep(timeout + 3 if self.file is not None else 0)
        super().close(timeout)


class KeepsAFileOpen(JsonLines):
    def close(self, timeout: float) -> None:  # noqa: ARG002 - the contract's signature
        self.file = None


class LivesOnce(JsonLines):
    lives = 0

    def start(self) -> None:
        self.lives += 1
        if self.lives > 1:
            raise RuntimeError("threads can only be started once")
        super().start()


class Miscounts(JsonLines):
    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        return super().send(batch)[:-1]


class MiscountsRepeats(JsonLines):
    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        there = self.ids()
        return super().send([record for record in batch if record.event_id not in there])


class Forgetful(JsonLines):
    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        return [*super().send(batch[:-1]), Verdict.ACKNOWLEDGED]


class Unordered(JsonLines):
    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        return super().send(batch[::-1])


class AcknowledgesEarly(JsonLines):
    def flush(self) -> None:
        pass


class StoresRepeats(JsonLines):
    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        verdicts = super().send(batch)
        for record, verdict in zip(batch, verdicts, strict=True):
            if verdict is Verdict.DUPLICATE:
                self.write(record)
        self.flush()
        return verdicts


class StoresTwinsOfABatch(JsonLines):
    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        there = self.ids()
        if len({record.event_id for record in batch}) == len(batch):
            return super().send(batch)
        for record in batch:
            self.write(record)
        self.flush()
        return [Verdict.DUPLICATE if record.event_id in there else Verdict.ACKNOWLEDGED for record in batch]


class CutsText(JsonLines):
    def write(self, record: Record) -> None:
        assert self.file is not None
        line = [record.event_id, record.event_type.wire_name, record.payload.decode()[:65_536]]
        self.file.write(json.dumps(line) + "\n")


class BendsText(JsonLines):
    def write(self, record: Record) -> None:
        assert self.file is not None
        payload = record.payload.decode().encode("latin-1", "replace").decode("latin-1")
        self.file.write(json.dumps([record.event_id, record.event_type.wire_name, payload]) + "\n")


class Rejects(JsonLines):
    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        verdicts = super().send(batch)
        return [
            Rejected("too long") if len(one.envelope) > 9999 else said
            for one, said in zip(batch, verdicts, strict=True)
        ]


class RaisesItsClientsError(JsonLines):
    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        if self.is_away():
            raise ConnectionResetError
        return super().send(batch)


class WaitsForEver(JsonLines):
    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        while self.is_away():
            time.sleep(0.05)
        return super().send(batch)


class LosesWhatFailed(JsonLines):
    failed: frozenset[str] = frozenset()

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        if self.is_away():
            self.failed |= {record.event_id for record in batch}
        kept = [record for record in batch if record.event_id not in self.failed]
        super().send(kept)
        return [Verdict.ACKNOWLEDGED] * len(batch)


class StoresAgainWhatFailed(JsonLines):
    """It cannot tell what it had stored when the answer was lost."""

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        if not self.is_away():
            return super().send(batch)
        for record in batch:
            self.write(record)
            self.write(record)
        self.flush()
        raise UnavailableError("the answer was lost")


class SaysNothing(JsonLines):
    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        if self.is_away():
            raise UnavailableError
        return super().send(batch)


class OfOneProcess(JsonLines):
    owner = os.getpid()

    def start(self) -> None:
        if os.getpid() != self.owner:
            raise RuntimeError("the client was made before the fork")
        super().start()


class HangsInAChild(OfOneProcess):
    def start(self) -> None:
        time.sleep(0 if os.getpid() == self.owner else 60)
        super().start()


class ChildTakesTheParentsFile(JsonLines):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.owner = os.getpid()

    def close(self, timeout: float) -> None:
        if os.getpid() != self.owner:
            self.path.rename(self.path.with_suffix(".gone"))
        super().close(timeout)


class ChildEndsTheParentsSession(JsonLines):
    """As libpq does, which says good-bye on the socket that both have."""

    @property
    def session(self) -> Path:
        return self.path.with_suffix(".session")

    def start(self) -> None:
        self.session.touch()
        super().start()

    def send(self, batch: Sequence[Record]) -> Sequence[Verdict | Rejected]:
        if self.file is not None and not self.session.exists():
            self.session.touch()
            raise UnavailableError("the server closed the connection")
        return super().send(batch)

    def close(self, timeout: float) -> None:
        if self.file is not None:
            self.session.unlink()
        super().close(timeout)


SENTENCES: dict[type[JsonLines], str] = {
    OpensWhenMade: "constructing a backplane opens nothing",
    StartsAThreadWhenMade: "constructing a backplane opens nothing",
    NoHealthBeforeStart: "`health` never raises, before `start` either",
    NoHealthAfterClose: "`health` never raises, after `close` either",
    SlowHealth: "`health` answers within its time limit",
    HealthOfOneThread: "`health` never raises, of another thread, while the backplane is at work either",
    HealthOfManyLines: "`health` is one line",
    AlwaysUnwell: "a backplane that takes events is healthy; it says: so so",
    CloseNeedsStart: "`close` is safe before `start`",
    ClosesOnce: "`close` is safe a second time",
    SlowClose: "it did not within",
    KeepsAFileOpen: "`close` lets go of everything",
    LivesOnce: "`start` ends, and raises nothing but `UnavailableError`: RuntimeError",
    Miscounts: "one verdict for each record: 24 for 25",
    MiscountsRepeats: "one verdict for each record: 0 for 5",
    Forgetful: "what is acknowledged is stored when `send` returns",
    Unordered: "what is acknowledged is stored: once, in order, byte for byte",
    AcknowledgesEarly: "what is acknowledged is stored when `send` returns",
    StoresRepeats: "what is reported as a duplicate is not stored again",
    StoresTwinsOfABatch: "a record that is twice in one batch is stored once",
    CutsText: "what is acknowledged is stored: once, in order, byte for byte",
    BendsText: "what is acknowledged is stored: once, in order, byte for byte",
    Rejects: "valid records are not rejected",
    RaisesItsClientsError: "raises nothing but `UnavailableError`: ConnectionResetError",
    WaitsForEver: "`send` returns within seconds: it did not",
    LosesWhatFailed: "what is acknowledged is stored when `send` returns",
    StoresAgainWhatFailed: "what is acknowledged is stored: once, in order, byte for byte",
    SaysNothing: "`UnavailableError` says why, in one line",
    OfOneProcess: "a forked child can send with a backplane of its own; it ended with 1",
    HangsInAChild: "a forked child can send with a backplane of its own",
    ChildEndsTheParentsSession: "a child that closes what it inherited does not disturb its parent",
    ChildTakesTheParentsFile: "what a forked child sends is stored",
}
