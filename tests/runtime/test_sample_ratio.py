"""The sample ratio: a mismatch is found, is not confused with loss, and a sound experiment is left alone."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backplane_runtime.config import Experiment, Variant
from backplane_runtime.events import AnalysisSignal
from backplane_runtime.sample_ratio import (
    ALERT_P,
    SampleRatio,
    VariantCounts,
    anytime_p,
    check_sample_ratio,
    chi_square_survival,
    fit,
    message_of,
    signal_of,
)
from backplane_runtime.testing import capture_events

# scipy 1.17.1: `scipy.stats.chi2.sf(statistic, freedom)`.
SURVIVAL = [
    (0.0, 1, 1.0),
    (1e-12, 1, 0.9999992021154392),
    (0.5, 1, 0.47950012218695337),
    (3.841458820694124, 1, 0.04999999999999989),
    (10.827566170662733, 1, 0.0010000000000000007),
    (40.0, 1, 2.5396285894708634e-10),
    (1400.0, 1, 2.1010145162644003e-306),
    (0.1, 2, 0.951229424500714),
    (5.991464547107979, 2, 0.05000000000000007),
    (13.815510557964274, 2, 0.0010000000000000002),
    (2.0, 3, 0.5724067044708798),
    (16.26623619623813, 3, 0.0010000000000000007),
    (9.0, 4, 0.06109948096033269),
    (18.0, 7, 0.011970002354029556),
    (100.0, 99, 0.4529585113209314),
    (250.0, 99, 4.844312411385307e-15),
    (60.0, 100, 0.999481108537452),
    (1000.0, 500, 1.2085183611328796e-35),
    (1e-5, 9, 1.0),
]
# scipy 1.17.1: `scipy.stats.chisquare(counts, total * shares)`.
CHI_SQUARE = [
    ([5210, 4790], [0.5, 0.5], 17.64, 2.6691498031812692e-05),
    ([100, 110, 90, 95], [0.25, 0.25, 0.25, 0.25], 2.2151898734177213, 0.5289626404012677),
    ([900, 103], [0.9, 0.1], 0.08075772681954102, 0.7762731771876135),
]
HALVES = Experiment(name="e", variants=(Variant(key="a", weight=50), Variant(key="b", weight=50)))


def check(*counts: VariantCounts, experiment: Experiment = HALVES, repeatedly: bool = False) -> SampleRatio:
    return check_sample_ratio(experiment, dict(zip("abcdef", counts, strict=False)), repeatedly=repeatedly)


def subjects(count: int, *, dropped: int = 0) -> VariantCounts:
    return VariantCounts(assigned=count, subjects=count, dropped=dropped, acknowledged=count - dropped)


@pytest.mark.parametrize(("statistic", "freedom", "expected"), SURVIVAL)
def test_the_survival_function_is_that_of_scipy(statistic: float, freedom: int, expected: float) -> None:
    """Also far out in the tail, and with many degrees of freedom."""
    assert chi_square_survival(statistic, freedom) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("counts", "shares", "statistic", "p"), CHI_SQUARE)
def test_the_fit_is_that_of_scipy(counts: list[int], shares: list[float], statistic: float, p: float) -> None:
    """Statistic and p-value."""
    found = fit(counts, shares)
    assert found.statistic == pytest.approx(statistic, rel=1e-12)
    assert found.p == pytest.approx(p, rel=1e-12)


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.integers(1, 200))
def test_survival_falls_with_the_statistic_and_rises_with_freedom(one: float, other: float, freedom: int) -> None:
    """And stays a probability."""
    low, high = sorted((one, other))
    assert 1 >= chi_square_survival(low, freedom) >= chi_square_survival(high, freedom) * (1 - 1e-9) >= 0
    assert chi_square_survival(low, freedom + 1) >= chi_square_survival(low, freedom) * (1 - 1e-9)


@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=6), st.lists(st.floats(0.01, 100), min_size=6, max_size=6))
def test_a_fit_does_not_depend_on_the_order_of_variants(counts: list[int], weights: list[float]) -> None:
    """Whatever the numbers, each p is one."""
    total = math.fsum(weights[: len(counts)])
    shares = [weight / total for weight in weights[: len(counts)]]
    forth, back = fit(counts, shares), fit(counts[::-1], shares[::-1])
    assert forth.statistic == pytest.approx(back.statistic, rel=1e-6, abs=1e-6)
    assert forth.p == pytest.approx(back.p, rel=1e-4, abs=1e-12)
    for one in (forth, back):
        assert 0 <= one.p <= 1
        assert 0 <= one.anytime_p <= 1
        assert 0 <= one.deviation <= 1


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.2, 0.3, 0.5]])
def test_the_bayes_factor_is_a_fair_bet(shares: list[float]) -> None:
    """Its mean over all outcomes is one where the shares are true: that is what makes it hold at all looks together."""
    total = 14
    mean = 0.0
    for counts in itertools.product(range(total + 1), repeat=len(shares)):
        if sum(counts) == total:
            ways = math.factorial(total) / math.prod(map(math.factorial, counts))
            chance = ways * math.prod(share**count for share, count in zip(shares, counts, strict=True))
            mean += chance * bayes_factor(list(counts), shares)
    assert mean == pytest.approx(1.0, rel=1e-9)


def bayes_factor(counts: list[int], shares: list[float]) -> float:
    """The factor whose inverse is `anytime_p`, which cuts it off at one; by the rising factorials of its definition."""
    factor = 1.0
    for count, share in zip(counts, shares, strict=True):
        factor *= math.prod(1000 * share + step for step in range(count)) / share**count
    factor /= math.prod(1000 + step for step in range(sum(counts)))
    assert anytime_p(counts, shares) == pytest.approx(min(1.0, 1 / factor), rel=1e-9)
    return factor


def looks(share: float, seed: int) -> list[SampleRatio]:
    """The verdicts at 400 looks at one growing experiment."""
    dice = random.Random(seed)  # noqa: S311 - guards nothing
    first, total, found = 0, 0, []
    for _ in range(400):
        first += sum(dice.random() < share for _ in range(50))
        total += 50
        found.append(check(subjects(first), subjects(total - first), repeatedly=True))
    return found


def test_looking_again_and_again_alarms_nobody() -> None:
    """One look at a time, a p-value below 0.001 would come up in some of these sound experiments."""
    runs = [looks(0.5, seed) for seed in range(40)]
    assert any(one.assigned and one.assigned.p < ALERT_P for run in runs for one in run)
    assert {one.verdict for run in runs for one in run} == {"fine"}


def test_looking_again_and_again_finds_a_mismatch() -> None:
    """Not later than needed: 53 of 100 within 20,000 subjects, every time."""
    assert {looks(0.53, seed)[-1].verdict for seed in range(10)} == {"mismatch"}


def test_a_mismatch_of_assignment() -> None:
    """With its numbers; the catalog's weights are in any unit."""
    ratio = check(subjects(5210), subjects(4790))
    assert (ratio.verdict, ratio.severity, ratio.unit) == ("mismatch", "error", "subjects")
    assert ratio.expected == {"a": 0.5, "b": 0.5}
    assert ratio.assigned is not None
    assert ratio.assigned.p == pytest.approx(2.669e-05, rel=1e-3)
    assert ratio.assigned.deviation == pytest.approx(0.021)
    assert message_of(ratio) == (
        "assignment does not follow the weights (p = 2.7e-05): `a` 52.1% of 50.0%, `b` 47.9% of 50.0% of subjects"
    )


def test_it_is_a_mismatch_also_when_events_were_lost() -> None:
    """Loss that happens to even it out explains nothing."""
    assert check(subjects(5210, dropped=420), subjects(4790)).verdict == "mismatch"
    assert check(subjects(5210, dropped=2000), subjects(4790)).verdict == "mismatch"


def test_loss_of_one_variant_is_called_by_its_name() -> None:
    """Assignment was right; what arrives is not."""
    ratio = check(subjects(5000, dropped=400), subjects(5000, dropped=10))
    assert (ratio.verdict, ratio.severity) == ("lossExplains", "error")
    assert message_of(ratio) == (
        "assignment follows the weights, but drops made what is left uneven (p = 6.8e-05): lost `a` 8.0%, `b` 0.2%"
    )


def test_loss_that_hits_all_variants_alike_is_fine() -> None:
    """As a full queue drops them, by subject."""
    ratio = check(subjects(5000, dropped=2500), subjects(5010, dropped=2490))
    assert (ratio.verdict, ratio.severity) == ("fine", "info")


def test_uneven_sampling_is_not_explained_by_loss() -> None:
    """Drops stand beside it, but without them it would be the same."""
    ratio = check(
        VariantCounts(assigned=10_000, sampled_out=5000, dropped=10),
        VariantCounts(assigned=10_000, sampled_out=4000, dropped=10),
    )
    assert ratio.verdict == "mismatch"


@pytest.mark.parametrize(
    ("counts", "verdict", "severity"),
    [
        ((5000, 5000), "fine", "info"),
        ((5125, 4875), "fine", "info"),  # p = 0.012
        ((5135, 4865), "fine", "warning"),  # p = 0.0069
        ((5165, 4835), "mismatch", "error"),  # p = 0.00097
        ((50_040_000, 49_960_000), "fine", "warning"),  # p = 1e-15, but 0.04 points
        ((50_110_000, 49_890_000), "mismatch", "error"),
        ((4, 5), "notEnough", "info"),
        ((0, 0), "notEnough", "info"),
        ((0, 10), "fine", "warning"),  # p = 0.0016
        ((0, 12), "mismatch", "error"),
    ],
)
def test_the_rule_of_statsig(counts: tuple[int, int], verdict: str, severity: str) -> None:
    """Both of its conditions, at their borders."""
    ratio = check(*map(subjects, counts))
    assert (ratio.verdict, ratio.severity) == (verdict, severity)


def test_exposures_that_may_repeat_are_no_proof() -> None:
    """One subject that reloads a page a thousand times is a mismatch of nothing."""
    ratio = check(VariantCounts(assigned=6000), VariantCounts(assigned=4000))
    assert (ratio.verdict, ratio.severity, ratio.unit) == ("mismatch", "warning", "exposures")


@pytest.mark.parametrize("weights", [(), (None, None), (1.0, None), (1.0, 0.0), (1.0,)])
def test_without_weights_nothing_is_said(weights: tuple[float | None, ...]) -> None:
    """Equal shares are never guessed."""
    variants = tuple(Variant(key=key, weight=weight) for key, weight in zip("abc", weights, strict=False))
    ratio = check(subjects(10_000), subjects(10), experiment=Experiment(name="e", variants=variants))
    assert ratio.verdict == "notEnough"
    assert ratio.assigned is None


def test_variants_without_a_weight_are_counted_apart() -> None:
    """As those that the catalog does not know."""
    variants = (Variant(key="a", weight=3), Variant(key="b", weight=1), Variant(key="c", weight=0))
    counts = (subjects(7500), subjects(2500), subjects(400), subjects(7), subjects(0))
    ratio = check(*counts, experiment=Experiment(name="e", variants=variants))
    assert ratio.verdict == "fine"
    assert ratio.expected == {"a": 0.75, "b": 0.25}
    assert ratio.unweighted == {"c": 400, "d": 7}


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 100)), min_size=2, max_size=5),
    st.integers(1, 1000),
    st.booleans(),
)
def test_verdicts_are_consistent(counts: list[tuple[int, int]], weight: int, repeatedly: bool) -> None:  # noqa: FBT001
    """Without drops, loss is never blamed; scaling all weights changes nothing; a signal can be made of each."""
    variants = tuple(Variant(key=key, weight=weight) for key in "abcdef"[: len(counts)])
    experiment = Experiment(name="e", variants=variants)
    values = [subjects(total, dropped=total * percent // 100) for total, percent in counts]
    ratio = check(*values, experiment=experiment, repeatedly=repeatedly)
    unlost = check(*(subjects(total) for total, _ in counts), experiment=experiment, repeatedly=repeatedly)
    assert unlost.verdict != "lossExplains"
    assert (ratio.verdict == "mismatch") == (unlost.verdict == "mismatch")
    assert (ratio.severity == "error") == (ratio.verdict in {"mismatch", "lossExplains"})
    assert message_of(ratio)


def test_a_verdict_becomes_a_signal_that_is_published() -> None:
    """Its data is plain JSON, numbers included."""
    ratio = check(subjects(5210), subjects(4790, dropped=3))
    with capture_events() as captured:
        captured.plane.publish(signal_of(ratio))
        signal = captured.single(AnalysisSignal, "e")
    assert (signal.type, signal.severity, signal.message) == ("sampleRatioMismatch", "error", message_of(ratio))
    assert signal.data is not None
    assert signal.data["verdict"] == "mismatch"
    assert signal.data["counts"]["b"] == {
        "assigned": 4790,
        "sampledOut": 0,
        "duplicate": 0,
        "dropped": 3,
        "acknowledged": 4787,
        "subjects": 4790,
    }
    assert signal.data["assigned"]["anytimeP"] > signal.data["assigned"]["p"]
