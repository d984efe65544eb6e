"""`make bench`: what it costs here, each figure beside a peer measured in the same run.

Prints ratios and never fails on a time: machines differ, and a slow one is no bug.
"""

from __future__ import annotations

from tests.benchmarks import against_peers, publishing, spool, start_up
from tests.benchmarks.table import print_beside, print_loads, print_peers


def main() -> None:
    """Run every benchmark and print a table for each kind."""
    print_beside((*start_up.rows(), *publishing.rows(), *spool.rows()))
    ours, theirs = [*against_peers.ours()], [*against_peers.theirs()]
    print_peers(ours, theirs, {**against_peers.AIMS, **against_peers.OWN_AIMS})
    print_loads([*ours, *theirs])


if __name__ == "__main__":
    main()
