"""From a document to events in a database, each step said aloud; `make demo` runs it.

It uses the command line as you would, the runtime as your service would, and SQLite's own module as an independent reader.
"""

from __future__ import annotations

import shutil
import sqlite3
import time

from backplane_runtime import DataPlane
from samples.demo.steps import OUT, ROOT, backplane, insist, say, show

DOCUMENT = "samples/demo/embedded.yaml"
SUBJECTS = 500


def main() -> None:
    """Run every step, and stop at the first that does not do what it says."""
    started = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()

    say("1. The document: one YAML file says where experiment events go.")
    show((ROOT / DOCUMENT).read_text(encoding="utf-8"))

    say("2. Compile: checked, then turned into a runtime config and the SQL that a database administrator can read.")
    backplane("compile", DOCUMENT, "-o", "demo-out/build")

    say("3. Plan: what would change on the live database? Exit code 2 says that something would.")
    backplane("plan", DOCUMENT, expect=2)

    say("4. Apply: make it so.")
    backplane("apply", DOCUMENT, "--yes", last=2)

    say(f"5. Publish {2 * SUBJECTS:,} events through the runtime, as a service would.")
    publish()

    say("6. Read them back with SQLite itself, which knows nothing of this project.")
    read_back()

    say("7. Plan again: nothing to change, exit code 0.")
    backplane("plan", DOCUMENT)

    print(f"\nDone in {time.monotonic() - started:.1f} s. All that it made is in demo-out/.")


def publish() -> None:
    """Publish with the frozen config that step 2 wrote."""
    with DataPlane.open(OUT / "build" / "runtime.json") as plane:
        for number in range(SUBJECTS):
            subject = f"user-{number}"
            plane.exposure("checkout-button", "green" if number % 2 else "blue", subject=subject)
            plane.outcome("checkout-button", subject=subject, metric="revenue", value=19.99)
        insist(plane.flush(timeout=10.0), "the events were not delivered within 10 s")
        show(str(plane.ledger()))


def read_back() -> None:
    """Count the rows by event type."""
    with sqlite3.connect(OUT / "experiment-events.db") as database:
        rows = database.execute('SELECT "EventType", COUNT(*) FROM "ExperimentEvents" GROUP BY 1').fetchall()
    show("\n".join(f"{event_type:<10} {count:>6}" for event_type, count in rows))
    insist(dict(rows) == {"Exposure": SUBJECTS, "Outcome": SUBJECTS}, "rows are missing")


if __name__ == "__main__":
    main()
