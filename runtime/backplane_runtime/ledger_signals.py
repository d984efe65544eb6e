"""The ledger as analysis signals: what became of each variant's events, and whether the sample ratio holds.

    signals = LedgerSignals(config.catalog, first_use=plane.exposure_semantics == "onFirstUse")
    for signal in signals.signals(by_variant):  # each minute
        publish(signal)

Two kinds come of it, for each experiment in which something changed since the last call:

- `custom`, severity `info`: `data["ledger"]` holds, by event type and variant (`-` where an event has none), how many
  events met each fate since the last call; `inFlight` and `spooled` are not sums but say how many there are now. So the
  signals of one process, summed, with the last of those two, obey the ledger's law.
- `sampleRatioMismatch`: when the verdict of `sample_ratio` becomes worth a word, changes, and when it is over. It is about
  what this process published itself.

Analysis signals are not counted here: else each minute's signals were the next minute's news.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backplane_runtime.config import Experiment
from backplane_runtime.events import AnalysisSignal, EventType
from backplane_runtime.ledger import Counts
from backplane_runtime.sample_ratio import SampleRatio, VariantCounts, check_sample_ratio, signal_of

NO_VARIANT = "-"

Key = tuple[EventType, str, str | None]

_LEVELS = frozenset({"in_flight", "spooled"})
_WIRE_NAMES = dict(zip(Counts.__struct_fields__, Counts.__struct_encode_fields__, strict=True))
_NO_COUNTS = Counts()
_QUIET = ("fine", "info")


class LedgerSignals:
    """Tells what changed since the last call; of one process, and for one thread.

    Args:
        catalog: the experiments, whose weights the sample ratio is checked against.
        first_use: the plane publishes the first exposure of a subject only, so that exposures count subjects.
    """

    def __init__(self, catalog: Iterable[Experiment], *, first_use: bool = False) -> None:
        self._catalog = {experiment.name: experiment for experiment in catalog}
        self._first_use = first_use
        self._told: dict[Key, Counts] = {}
        self._verdicts: dict[str, tuple[str, str]] = {}

    def signals(self, by_variant: Mapping[Key, Counts]) -> list[AnalysisSignal]:
        """Return the signals that are due, given the counts since the process began."""
        news = {key: counts for key, counts in by_variant.items() if self._is_news(key, counts)}
        experiments = list(dict.fromkeys(experiment for _, experiment, _ in news))
        told = [counts_signal(name, self._changes(name, news)) for name in experiments]
        self._told.update(news)
        checked = [self._checked(name, by_variant) for name in experiments if name in self._catalog]
        return told + [signal_of(ratio) for ratio in checked if self._is_worth_a_word(ratio)]

    def _is_news(self, key: Key, counts: Counts) -> bool:
        return key[0] is not EventType.ANALYSIS_SIGNAL and counts != self._told.get(key, _NO_COUNTS)

    def _changes(self, experiment: str, news: Mapping[Key, Counts]) -> dict[str, dict[str, Any]]:
        changes: dict[str, dict[str, Any]] = {}
        for key, counts in news.items():
            kind, name, variant = key
            if name == experiment:
                row = _change(self._told.get(key, _NO_COUNTS), counts)
                changes.setdefault(kind.value, {})[NO_VARIANT if variant is None else variant] = row
        return changes

    def _checked(self, experiment: str, by_variant: Mapping[Key, Counts]) -> SampleRatio:
        exposures = {
            variant: variant_counts(counts, first_use=self._first_use)
            for (kind, name, variant), counts in by_variant.items()
            if kind is EventType.EXPOSURE and name == experiment and variant is not None
        }
        return check_sample_ratio(self._catalog[experiment], exposures, repeatedly=True)

    def _is_worth_a_word(self, ratio: SampleRatio) -> bool:
        now = _QUIET if ratio.verdict == "notEnough" else (ratio.verdict, ratio.severity)
        before = self._verdicts.get(ratio.experiment, _QUIET)
        self._verdicts[ratio.experiment] = now
        return now != before


def counts_signal(experiment: str, changes: dict[str, dict[str, Any]]) -> AnalysisSignal:
    """Return the signal that carries *changes*: event type, then variant, then fate, then how many."""
    return AnalysisSignal(experiment, "custom", "what became of this experiment's events", data={"ledger": changes})


def variant_counts(counts: Counts, *, first_use: bool) -> VariantCounts:
    """Return the *counts* of one variant's exposures as the sample ratio wants them."""
    # What is switched off was not to be published at all; what an earlier process left was assigned, and checked, there.
    assigned = counts.published - counts.disabled - counts.recovered
    return VariantCounts(
        assigned=assigned,
        sampled_out=counts.sampled_out,
        duplicate=counts.duplicate,
        dropped=counts.dropped,
        acknowledged=counts.acknowledged,
        # Repeats of those who are sampled out are not told apart, so it is the subjects within the sample that are known.
        subjects=assigned - counts.sampled_out - counts.duplicate if first_use else None,
    )


def _change(before: Counts, now: Counts) -> dict[str, int]:
    row = {}
    for name, wire_name in _WIRE_NAMES.items():
        value = getattr(now, name) - (0 if name in _LEVELS else getattr(before, name))
        if value or (name in _LEVELS and getattr(before, name)):
            row[wire_name] = value
    return row
