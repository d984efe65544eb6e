"""The ledger as signals: what changed since the last call, once, and the sample ratio when there is something to say."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from backplane_runtime import Counts, EventType
from backplane_runtime.config import Experiment, Variant
from backplane_runtime.events import AnalysisSignal
from backplane_runtime.ledger_signals import Key, LedgerSignals, variant_counts
from backplane_runtime.testing import capture_events

HALVES = Experiment(name="e", variants=(Variant(key="a", weight=1), Variant(key="b", weight=1)))
EXPOSURE, OUTCOME, SIGNAL = EventType.EXPOSURE, EventType.OUTCOME, EventType.ANALYSIS_SIGNAL


def exposures(first: int, second: int, *, dropped: int = 0) -> dict[Key, Counts]:
    return {
        (EXPOSURE, "e", "a"): Counts(published=first, acknowledged=first - dropped, dropped=dropped),
        (EXPOSURE, "e", "b"): Counts(published=second, acknowledged=second),
    }


def ratios(signals: list[AnalysisSignal]) -> list[tuple[str, str]]:
    found = [one for one in signals if one.type == "sampleRatioMismatch"]
    return [(one.data["verdict"] if one.data else "", one.severity) for one in found]


def changes(signal: AnalysisSignal) -> dict[str, Any]:
    assert signal.data is not None
    found: dict[str, Any] = signal.data["ledger"]
    return found


def test_each_change_is_told_once() -> None:
    """By experiment, event type, variant and fate; what is on its way is told as it stands."""
    signals = LedgerSignals(())
    ledger: dict[Key, Counts] = {
        (EXPOSURE, "e", "a"): Counts(published=10, sampled_out=2, in_flight=3, acknowledged=5),
        (OUTCOME, "e", None): Counts(published=1, dropped=1),
        (EXPOSURE, "other", "a"): Counts(published=1, spooled=1),
    }
    first, other = signals.signals(ledger)
    assert (first.type, first.severity, first.experiment) == ("custom", "info", "e")
    assert changes(first) == {
        "exposure": {"a": {"published": 10, "sampledOut": 2, "inFlight": 3, "acknowledged": 5}},
        "outcome": {"-": {"published": 1, "dropped": 1}},
    }
    assert changes(other) == {"exposure": {"a": {"published": 1, "spooled": 1}}}
    assert signals.signals(ledger) == []
    ledger[EXPOSURE, "e", "a"] = Counts(published=11, sampled_out=2, in_flight=0, acknowledged=9)
    (second,) = signals.signals(ledger)
    assert changes(second) == {"exposure": {"a": {"published": 1, "inFlight": 0, "acknowledged": 4}}}


def test_signals_are_no_news() -> None:
    """Else each minute's signals were the next minute's news, for ever."""
    signals = LedgerSignals((HALVES,))
    assert signals.signals({(SIGNAL, "e", None): Counts(published=5, acknowledged=5)}) == []


def test_a_mismatch_is_told_when_it_comes_and_when_it_is_over() -> None:
    """Not each minute anew."""
    signals = LedgerSignals((HALVES,), first_use=True)
    assert ratios(signals.signals(exposures(100, 100))) == []
    assert ratios(signals.signals(exposures(6000, 5000))) == [("mismatch", "error")]
    assert ratios(signals.signals(exposures(6001, 5000))) == []
    assert ratios(signals.signals(exposures(8000, 8000))) == [("fine", "info")]
    assert ratios(signals.signals(exposures(8001, 8000))) == []


def test_loss_by_drops_is_told_from_a_mismatch() -> None:
    """And a mismatch that comes after it is a new thing to say."""
    signals = LedgerSignals((HALVES,), first_use=True)
    assert ratios(signals.signals(exposures(5000, 5000, dropped=1000))) == [("lossExplains", "error")]
    assert ratios(signals.signals(exposures(9000, 5000, dropped=1000))) == [("mismatch", "error")]


def test_without_first_use_it_is_a_warning() -> None:
    """Exposures may repeat, so they prove nothing."""
    assert ratios(LedgerSignals((HALVES,)).signals(exposures(6000, 5000))) == [("mismatch", "warning")]


def test_only_exposures_count_for_the_ratio() -> None:
    """Outcomes come as they like; experiments outside of the catalog have no weights."""
    ledger: dict[Key, Counts] = {
        (OUTCOME, "e", "a"): Counts(published=10_000, acknowledged=10_000),
        (EXPOSURE, "unknown", "a"): Counts(published=10_000, acknowledged=10_000),
        (EXPOSURE, "e", "a"): Counts(published=1, acknowledged=1),
    }
    assert ratios(LedgerSignals((HALVES,), first_use=True).signals(ledger)) == []


def test_what_an_earlier_process_left_is_not_counted_again() -> None:
    """It was assigned there, where the drops beside it are known; its subjects may come again here."""
    left: dict[Key, Counts] = {
        (EXPOSURE, "e", "a"): Counts(published=5000, recovered=4000, acknowledged=4990, dropped=10),
        (EXPOSURE, "e", "b"): Counts(published=3000, recovered=2000, acknowledged=2990, dropped=10),
    }
    assert ratios(LedgerSignals((HALVES,), first_use=True).signals(left)) == []


def test_more_drops_than_own_exposures_are_no_reason_to_fail() -> None:
    """What an earlier process left may be dropped here: set aside, for one."""
    counts: dict[Key, Counts] = {
        (EXPOSURE, "e", "a"): Counts(published=7000, recovered=6000, acknowledged=2000, dropped=5000),
        (EXPOSURE, "e", "b"): Counts(published=7000, recovered=6000, acknowledged=7000),
    }
    assert ratios(LedgerSignals((HALVES,), first_use=True).signals(counts)) == [("lossExplains", "error")]


def test_what_is_switched_off_was_not_assigned() -> None:
    """Repeats and those outside of the sample are no further subjects."""
    counts = Counts(published=100, disabled=10, sampled_out=20, duplicate=30, dropped=4, acknowledged=36)
    known = variant_counts(counts, first_use=True)
    assert (known.assigned, known.subjects, known.kept, known.left) == (90, 40, 40, 36)
    assert variant_counts(counts, first_use=False).subjects is None


fates = st.fixed_dictionaries({name: st.integers(0, 50) for name in Counts.__struct_fields__[1:]})
growth = st.lists(
    st.dictionaries(st.tuples(st.sampled_from([EXPOSURE, OUTCOME]), st.just("e"), st.sampled_from(["a", None])), fates),
    max_size=5,
)


@given(growth)
def test_the_sum_of_all_signals_is_the_ledger(steps: list[dict[Key, dict[str, int]]]) -> None:
    """With the last of what is on its way: nothing is told twice, nothing is left out."""
    signals, ledger = LedgerSignals(()), dict[Key, Counts]()
    sums: dict[tuple[str, str], dict[str, int]] = {}
    for step in steps:
        for key, more in step.items():
            ledger[key] = grown(ledger.get(key, Counts()), more)
        for signal in signals.signals(ledger):
            for kind, variants in changes(signal).items():
                for variant, row in variants.items():
                    add(sums.setdefault((kind, variant), {}), row)
    whole = {(kind.value, variant or "-"): msgspec.to_builtins(counts) for (kind, _, variant), counts in ledger.items()}
    assert without_zeros(sums) == without_zeros(whole)


def without_zeros(rows: dict[tuple[str, str], dict[str, int]]) -> dict[tuple[str, str], dict[str, int]]:
    found = {key: {name: count for name, count in row.items() if count} for key, row in rows.items()}
    return {key: row for key, row in found.items() if row}


def grown(before: Counts, more: dict[str, int]) -> Counts:
    """Counts after *more* events, of which none that waited before still waits."""
    fates = {name: getattr(before, name) + count for name, count in more.items()}
    fates |= {"in_flight": more["in_flight"], "spooled": more["spooled"]}
    waited = before.in_flight + before.spooled
    fates["acknowledged"] += waited
    return Counts(published=sum(fates.values()), **fates)


def add(sums: dict[str, int], row: dict[str, int]) -> None:
    for name, value in row.items():
        sums[name] = value if name in {"inFlight", "spooled"} else sums.get(name, 0) + value


def test_signals_can_be_published() -> None:
    """They are events like any other."""
    with capture_events() as captured:
        for signal in LedgerSignals((HALVES,), first_use=True).signals(exposures(6000, 5000)):
            captured.plane.publish(signal)
        assert [one.type for one in captured.select(AnalysisSignal, "e")] == ["custom", "sampleRatioMismatch"]
