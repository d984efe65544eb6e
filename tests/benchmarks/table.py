"""The tables that `make bench` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.measuring import RATE, THREADS, Measured


@dataclass(frozen=True)
class Row:
    """A median in seconds beside that of a peer, which `what` names."""

    what: str
    ours: float
    peer: float


def print_beside(rows: Iterable[Row]) -> None:
    """Print what each thing costs here, beside its peer."""
    print(f"{'what':<58} {'here':>12} {'peer':>12} {'ratio':>7}")
    for row in rows:
        print(f"{row.what:<58} {shown(row.ours):>12} {shown(row.peer):>12} {row.ours / row.peer:>7.2f}")


def print_peers(ours: Sequence[Measured], theirs: Sequence[Measured], aims: Mapping[str, float]) -> None:
    """Print how many times less CPU time each of *ours* takes of its caller than each of *theirs*.

    *aims* say by name how many times, of a peer beside the first of *ours*, and how many seconds, of one of *ours*.
    """
    print(f"\n{'one event, cost of the caller':<42} {'CPU':>9} {'wall':>9}  CPU of the peer / CPU here")
    for one in ours:
        aim = f"  (aim {shown(aims[one.name])})" if one.name in aims else ""
        print(f"{one.name:<42} {shown(one.cost.cpu):>9} {shown(one.cost.wall):>9}{aim}")
        for peer in theirs:
            aim = f"  (aim {aims[peer.name]:g})" if one is ours[0] and peer.name in aims else ""
            costs = f"{shown(peer.cost.cpu):>9} {shown(peer.cost.wall):>9}"
            print(f"  beside {peer.name:<33} {costs}  {peer.cost.cpu / one.cost.cpu:.1f} x{aim}")


def print_loads(all_of_them: Iterable[Measured]) -> None:
    """Print what a call takes under a steady load."""
    print(f"\n{f'{RATE:,} calls/s from {THREADS} threads':<42} {'CPU p50':>9} {'p99':>9} {'wall p50':>9} {'p99':>9}")
    for one in all_of_them:
        load = one.load
        costs = (load.median.cpu, load.p99.cpu, load.median.wall, load.p99.wall)
        slow = "" if load.rate > 0.98 * RATE else f"  reached only {load.rate:,.0f}/s"
        print(f"{one.name:<42} {' '.join(f'{shown(cost):>9}' for cost in costs)}{slow}")


def shown(seconds: float) -> str:
    """Return *seconds* in the unit that fits."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.2f} µs"
    return f"{seconds * 1e3:.1f} ms"
