"""Sample ratio: whether as many subjects got each variant as the catalog's weights say, and if not, whose fault it is.

A mismatch makes an experiment's result worthless, and has two causes that look the same in a table of delivered events:
assignment does not follow the weights, or events of one variant were lost more often than of another. The counts of the
ledger tell them apart, because they hold what was assigned and what became of it:

- `mismatch`: what was assigned does not fit the weights.
- `lossExplains`: what was assigned fits; what is left after drops does not.
- `fine`: both fit; with severity `warning` where a test came close.
- `notEnough`: no weights, fewer than two variants with one, or fewer than `LEAST_EXPECTED` expected in one of them.

The rule is Statsig's (docs.statsig.com/experiments/monitor, "Exposures are balanced"): chi-square test of goodness of fit;
p < 0.001 and a share that is off by at least 0.1 percentage points is an alert, else p < 0.01 is a warning.

Such a p-value is right for one look. Who looks every minute sees one below 0.001 sooner or later in an experiment that is
perfectly fine; `repeatedly=True` therefore takes one that holds at all looks together (`anytime_p`).

Either is right for independent subjects. Where only exposures are known and a subject may have many, they are not, and the
severity is at most `warning`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from backplane_runtime.config import Experiment
from backplane_runtime.events import AnalysisSignal, SignalSeverity

Verdict = Literal["mismatch", "lossExplains", "fine", "notEnough"]
Unit = Literal["subjects", "exposures"]

ALERT_P = 0.001
WARNING_P = 0.01
LEAST_DEVIATION = 0.001  # of a share: 0.1 percentage points
LEAST_EXPECTED = 5  # in each cell, for the chi-square distribution to be close enough (Cochran 1954)
# Of the prior of `anytime_p`: for shares that are off by half a point up to five, it needs about 1.6 times the subjects of
# a single look; ten times more or less is worse at one of the ends.
CONCENTRATION = 1_000


class VariantCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Exposures of one variant by fate; `assigned` is all of them, `subjects` how many subjects they were, where known."""

    assigned: int
    sampled_out: int = 0
    duplicate: int = 0
    dropped: int = 0
    acknowledged: int = 0
    subjects: int | None = None

    @property
    def kept(self) -> int:
        """Return how many were to be delivered: not sampled out, not a repeat."""
        return self.assigned - self.sampled_out - self.duplicate

    @property
    def left(self) -> int:
        """Return how many of them are, or will be, delivered."""
        return max(0, self.kept - self.dropped)  # drops may be of what an earlier process left, too


class Fit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How counts fit weights: the chi-square statistic, its p-value, one for repeated looks, the largest error of a share."""

    statistic: float
    p: float
    anytime_p: float
    deviation: float


class SampleRatio(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The verdict on one experiment, with its numbers.

    `assigned` is the fit of what was assigned, in `unit`; `left` of what drops left over; both are missing where there is
    not enough. `expected` are the shares; `unweighted` counts what was assigned to variants without a weight.
    """

    experiment: str
    verdict: Verdict
    severity: SignalSeverity
    unit: Unit
    expected: dict[str, float]
    counts: dict[str, VariantCounts]
    unweighted: dict[str, int]
    assigned: Fit | None = None
    left: Fit | None = None
    repeatedly: bool = False


def check_sample_ratio(
    experiment: Experiment, counts: Mapping[str, VariantCounts], *, repeatedly: bool = False
) -> SampleRatio:
    """Return the verdict on *experiment* for the *counts* of its variants; variants that are missing in them count as zero.

    Args:
        experiment: of the catalog, with weights in any unit; a variant with none, or with zero, is left out of the test.
        counts: by variant key.
        repeatedly: the check is made again and again while counts grow.
    """
    expected = _shares(experiment)
    known = {key: counts.get(key, VariantCounts(assigned=0)) for key in expected}
    unit: Unit = "exposures" if any(one.subjects is None for one in known.values()) else "subjects"
    assigned = [one.assigned if unit == "exposures" else one.subjects or 0 for one in known.values()]
    result = SampleRatio(
        experiment=experiment.name,
        verdict="notEnough",
        severity="info",
        unit=unit,
        expected=expected,
        counts=known,
        unweighted={key: one.assigned for key, one in counts.items() if key not in expected and one.assigned},
        repeatedly=repeatedly,
    )
    shares = list(expected.values())
    if not _is_enough(assigned, shares):
        return result
    return _judged(result, fit(assigned, shares), [one.kept for one in known.values()])


def fit(counts: Sequence[int], shares: Sequence[float]) -> Fit:
    """Return how *counts* fit *shares*, which are positive and sum to one; some count is positive."""
    total = sum(counts)
    pairs = list(zip(counts, shares, strict=True))
    statistic = sum((count - total * share) ** 2 / (total * share) for count, share in pairs)
    return Fit(
        statistic=statistic,
        p=chi_square_survival(statistic, len(counts) - 1),
        anytime_p=anytime_p(counts, shares),
        deviation=max(abs(count / total - share) for count, share in pairs),
    )


def chi_square_survival(statistic: float, freedom: int) -> float:
    """Return the chance that a chi-square variable of *freedom* degrees exceeds *statistic*.

    It is the regularised upper incomplete gamma function Q(freedom/2, statistic/2), which for halves of whole numbers is a
    finite sum of positive terms (Abramowitz and Stegun, 26.4.4 and 26.4.5), so nothing cancels.
    """
    x = statistic / 2
    if x <= 0:
        return 1.0
    odd = freedom % 2
    start = math.erfc(math.sqrt(x)) if odd else 0.0
    exponents = (index + odd / 2 for index in range(freedom // 2))
    return min(1.0, start + math.fsum(math.exp(a * math.log(x) - x - math.lgamma(a + 1)) for a in exponents))


def anytime_p(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return a p-value that holds at all looks together: the chance that it is ever below a is at most a.

    It is the inverse Bayes factor of a Dirichlet prior around *shares* against *shares* themselves (Lindon and Malek 2022,
    "Anytime-Valid Inference for Multinomial Count Data", arXiv:2011.03567, section 3).
    """
    total = sum(counts)
    log_factor = math.lgamma(CONCENTRATION) - math.lgamma(CONCENTRATION + total)
    for count, share in zip(counts, shares, strict=True):
        prior = CONCENTRATION * share
        log_factor += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return math.exp(min(0.0, -log_factor))


def signal_of(ratio: SampleRatio) -> AnalysisSignal:
    """Return the analysis signal that tells people and machines of *ratio*."""
    data = msgspec.to_builtins(ratio)
    return AnalysisSignal(
        ratio.experiment, "sampleRatioMismatch", message_of(ratio), severity=ratio.severity, data=data
    )


def message_of(ratio: SampleRatio) -> str:
    """Return *ratio* as one sentence."""
    if ratio.verdict == "notEnough" or ratio.assigned is None:
        return f"not enough {ratio.unit} to check the sample ratio"
    if ratio.verdict == "lossExplains" and ratio.left is not None:
        lost = ", ".join(f"`{key}` {_share(one.kept - one.left, one.kept)}" for key, one in ratio.counts.items())
        return f"assignment follows the weights, but drops made what is left uneven (p = {_p(ratio.left, ratio)}): lost {lost}"
    assigned = {key: one.assigned if one.subjects is None else one.subjects for key, one in ratio.counts.items()}
    shares = ", ".join(
        f"`{key}` {_share(assigned[key], sum(assigned.values()))} of {ratio.expected[key]:.1%}" for key in assigned
    )
    says = (
        "does not follow"
        if ratio.verdict == "mismatch"
        else "may not follow"
        if ratio.severity != "info"
        else "follows"
    )
    return f"assignment {says} the weights (p = {_p(ratio.assigned, ratio)}): {shares} of {ratio.unit}"


def _judged(result: SampleRatio, assigned: Fit, kept: list[int]) -> SampleRatio:
    shares = list(result.expected.values())
    left = [one.left for one in result.counts.values()]
    left_fit = fit(left, shares) if _is_enough(left, shares) else None
    alerts = [_alert(one, result) for one in (assigned, left_fit) if one is not None]
    verdict: Verdict = "fine"
    if alerts[0] == "error":
        verdict = "mismatch"
    elif "error" in alerts:
        # Uneven already before drops: then sampling or repeats are, and drops explain nothing.
        verdict = "mismatch" if _alert(fit(kept, shares), result) == "error" else "lossExplains"
    severity = max(alerts, key=_SEVERITIES.index)
    if result.unit == "exposures":
        severity = min(severity, "warning", key=_SEVERITIES.index)
    return msgspec.structs.replace(result, verdict=verdict, severity=severity, assigned=assigned, left=left_fit)


_SEVERITIES: tuple[SignalSeverity, ...] = ("info", "warning", "error")


def _alert(one: Fit, result: SampleRatio) -> SignalSeverity:
    p = one.anytime_p if result.repeatedly else one.p
    if p < ALERT_P and one.deviation >= LEAST_DEVIATION:
        return "error"
    return "warning" if p < WARNING_P else "info"


def _shares(experiment: Experiment) -> dict[str, float]:
    weights = {one.key: one.weight for one in experiment.variants if one.weight}
    total = sum(weights.values())
    return {key: weight / total for key, weight in weights.items()}


def _is_enough(counts: Sequence[int], shares: Sequence[float]) -> bool:
    return len(shares) > 1 and sum(counts) * min(shares) >= LEAST_EXPECTED


def _p(one: Fit, ratio: SampleRatio) -> str:
    return f"{one.anytime_p if ratio.repeatedly else one.p:.2g}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
