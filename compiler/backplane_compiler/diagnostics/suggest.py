"""Names that a user may have meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], *, limit: int = 1) -> tuple[str, ...]:
    """The known names closest to `word`, best first; none that is too far to be a slip.

    Case, `_` and `-` do not count, so `batch_size` is `batchSize`. A swap of neighbours is one edit; a third of
    the letters may differ. Of equal distance, the order of `known` decides.
    """
    folded = _fold(word)
    reach = max(1, len(folded) // 3)
    ranked = []
    for index, name in enumerate(known):
        candidate = _fold(name)
        if abs(len(candidate) - len(folded)) <= reach:
            distance = _distance(folded, candidate)
            if distance <= reach and distance < len(candidate):
                ranked.append((distance, index, name))
    return tuple(name for _, _, name in sorted(ranked)[:limit])


def _fold(word: str) -> str:
    return word.casefold().replace("_", "").replace("-", "")


def _distance(left: str, right: str) -> int:
    """Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, char in enumerate(left, 1):
        previous, before, row = before, row, [i]
        for j, other in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (char != other))
            if i > 1 and j > 1 and char == right[j - 2] and left[i - 2] == other:
                cost = min(cost, previous[j - 2] + 1)
            row.append(cost)
    return row[-1]
