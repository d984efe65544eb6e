"""`make bench`: what it costs here, each figure beside a peer measured in the same run.

Prints ratios and never fails on a time: machines differ, and a slow one is no bug.
"""

from __future__ import annotations

from tests.benchmarks import publishing, spool, start_up


def main() -> None:
    """Run every benchmark and print one table."""
    print(f"{'what':<58} {'here':>12} {'peer':>12} {'ratio':>7}")
    for row in (*start_up.rows(), *publishing.rows(), *spool.rows()):
        print(f"{row.what:<58} {row.shown(row.ours):>12} {row.shown(row.peer):>12} {row.ours / row.peer:>7.2f}")


if __name__ == "__main__":
    main()
