"""`make faults`: the matrix as a table.

make faults                                 every row, except those that are asked for by name
make faults ARGS="--short"                  as the tests run it
make faults ARGS="SIGKILL 'broker down'"    the rows whose names hold one of the words
make faults ARGS="soak --minutes 10"
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from tests.faults.judgement import Outcome
from tests.faults.matrix import ROWS
from tests.faults.namespaces import can_mount
from tests.faults.scene import Row, Scene, Server
from tests.servers import ServerUnavailableError, running_kafka, running_postgresql

End = Literal["kept", "broken", "skipped"]

_HEAD = (
    f"{'fault':<52} {'published':>10} {'dropped':>8} {'acknowl.':>10} {'found':>10} {'twice':>6} {'lost':>6}  promise"
)


def main(arguments: Sequence[str]) -> int:
    """Play the rows and print a line for each; return 1 if a promise was broken."""
    options = _parsed(arguments)
    rows = [row for row in ROWS if _is_chosen(row, options.words)]
    if not rows:
        print(f"no row is called so; there are: {', '.join(row.name for row in ROWS)}", file=sys.stderr)
        return 1
    logging.getLogger("backplane").addHandler(logging.NullHandler())  # the numbers tell what it would
    print(_HEAD)
    ends: Counter[str] = Counter()
    for needs in ("", "postgresql", "kafka", "kafka_cluster"):
        ends += _play_all([row for row in rows if row.needs == needs], needs, options)
    print(summary(ends))
    return min(1, ends["broken"])


def summary(ends: Counter[str]) -> str:
    """Return the last line: a row that was not played has proven nothing."""
    skipped = f"; {ends['skipped']} of {ends.total()} rows were skipped" if ends["skipped"] else ""
    if ends["broken"]:
        return f"{ends['broken']} of {ends.total()} rows broke a promise{skipped}"
    return f"{'every promise was kept' if ends['kept'] else 'nothing was played'}{skipped}"


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description="The fault matrix.")
    parser.add_argument("words", nargs="*", help="rows whose names hold one of these words; all where none is given")
    parser.add_argument("--short", action="store_true", help="as the tests run it")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the soak takes")
    return parser.parse_args(arguments)


def _is_chosen(row: Row, words: Sequence[str]) -> bool:
    return any(word in row.name for word in words) if words else not row.is_asked_for


def _play_all(rows: Sequence[Row], needs: Server, options: argparse.Namespace) -> Counter[str]:
    """Play *rows*, which all need the same server, and count how they ended."""
    if not rows:
        return Counter()
    with ExitStack() as stack:
        try:
            database = stack.enter_context(running_postgresql()) if needs == "postgresql" else None
            cluster = (
                stack.enter_context(running_kafka(3 if needs == "kafka_cluster" else 1)) if "kafka" in needs else None
            )
        except ServerUnavailableError as error:
            for row in rows:
                print(f"{row.name:<52} skipped: {error}")
            return Counter(skipped=len(rows))
        ends: Counter[str] = Counter()
        for row in rows:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-"))
            scene = Scene(Path(folder), options.short, cluster, database, options.minutes)
            ends[_play(row, scene)] += 1
        return ends


def _play(row: Row, scene: Scene) -> End:
    if row.mounts and not can_mount():
        print(f"{row.name:<52} skipped: needs a mount namespace: root, or user namespaces")
        return "skipped"
    begin = time.monotonic()
    try:
        outcome = row.play(scene)
    except Exception:  # noqa: BLE001 - the other rows are worth seeing all the same
        traceback.print_exc()
        print(f"{row.name:<52} FAILED")
        return "broken"
    print(line(row.name, outcome) + f"  [{time.monotonic() - begin:.0f} s]")
    for problem in outcome.problems:
        print(f"    BROKEN: {problem}")
    return "broken" if outcome.problems else "kept"


def line(name: str, outcome: Outcome) -> str:
    """Return the line of the table."""
    acknowledged = "-" if outcome.acknowledged is None else f"{outcome.acknowledged:,}"
    verdict = "BROKEN" if outcome.problems else "kept"
    text = (
        f"{name:<52} {outcome.published:>10,} {outcome.dropped:>8,} {acknowledged:>10} {outcome.found:>10,} "
        f"{outcome.duplicates:>6,} {outcome.lost:>6,}  {outcome.promise}: {verdict}"
    )
    return f"{text} ({outcome.note})" if outcome.note else text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
