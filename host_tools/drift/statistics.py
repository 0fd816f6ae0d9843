"""Whether counted windows still look like the recipe's profile.

For each test the population stability index (PSI) between the counted bins and those to be expected
of the classes that the network named. Windows of one person resemble each other, so a test for
independent ones alarms always. What is usual is measured instead: every group of the profile is
compared with the others, in streams of whole recordings drawn with replacement (a block bootstrap).
A stream's distance is its largest PSI, each in units of its test's mean over the other groups, so
there is one distance for all tests together. Log distances are taken as a group's own part plus a
part that varies in a group: the first has a t prediction interval over the groups (few groups are
known, and the next one may lie outside of them), the second is what the bootstrap gave.

What was asked for is not what a few groups can promise. So each group of the profile is judged by
the others alone as well: the share of its streams that alarm is the rate that was measured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are used

from host_tools.errors import UsageError
from quantize.drift import BINS, CountedRecording, DriftPlan, Profile

ALPHA = 0.05  # false alarms of one reading that are asked for, all tests together
CONFIDENCE = 0.95  # of the bound for the measured rate
MIN_WINDOWS = 16
MAX_WINDOWS = 1024  # what is usual of so many is taken for longer readings too, which vary less
MIN_GROUPS = 4
STREAMS = 200  # of each group
DRAWS = 20_000
SEED = 1
PRIOR = 4.0  # windows, spread over bins or classes, that keep logarithms finite

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counted windows; leading axes, if any, are streams."""

    bins: Ints  # [..., tests, BINS]
    classes: Ints  # [..., classes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What is usual of streams of a group that the profile does not know."""

    mean_psi: Floats  # [tests]
    distances: Floats  # [draws], ascending: logarithms of the largest PSI over its test's mean
    groups: int
    measured: float  # share of streams that alarm, each group judged by what the others show

    @property
    def at_most(self) -> float:
        """The rate of new groups, with CONFIDENCE; see rate_bound."""
        return rate_bound(self.measured, self.groups)

    def log_ratios(self, psi: Floats) -> Floats:
        """[..., tests] -> logarithms of PSI over its mean."""
        result: Floats = np.log(np.maximum(psi, 1e-12) / self.mean_psi)
        return result

    def p_values(self, psi: Floats) -> Floats:
        """[..., tests] -> how often the largest of all tests is as unusual as each of these."""
        below = np.searchsorted(self.distances, self.log_ratios(psi))
        result: Floats = (1 + len(self.distances) - below) / (1 + len(self.distances))
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRow:
    """One line of the table."""

    test: str
    psi: float
    usual_psi: float  # mean over the groups of the profile
    p: float  # corrected for all tests together
    alarm: bool
    g: float  # statistic of the two-sample G-test
    naive_p: float  # of the G-test, were windows independent


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The comparison of one reading with the profile."""

    windows: int
    groups: int
    alpha: float
    measured: float  # false alarms of readings so long, see Usual
    at_most: float  # of new groups, with this confidence
    confidence: float
    rows: tuple[DriftRow, ...]

    @property
    def alarm(self) -> bool:
        """Whether any test alarms."""
        return any(row.alarm for row in self.rows)


def row_names(plan: DriftPlan) -> tuple[str, ...]:
    """The tests in the order of all arrays: what is counted, then the classes."""
    return (*plan.tests, "classes") if plan.classes > 1 else plan.tests


def population_stability(observed: Floats, expected: Floats) -> Floats:
    """PSI over the last axis of shares above 0: the sum of (o - e) ln(o / e)."""
    result: Floats = ((observed - expected) * np.log(observed / expected)).sum(axis=-1)
    return result


def count_recordings(plan: DriftPlan, recordings: Sequence[CountedRecording]) -> Ints:
    """Windows by the class that the network named: [classes, tests, BINS]."""
    codes = np.concatenate([r.codes for r in recordings])
    classes = np.concatenate([r.classes for r in recordings]).astype(np.int64)
    tests = np.arange(codes.shape[1])
    found = np.zeros((plan.classes, len(tests), BINS), np.int64)
    np.add.at(found, (classes[:, None], tests, codes), 1)
    return found


def psi_of(counts: Counts, reference: Ints) -> Floats:
    """[..., tests] PSI of counts against a reference [classes, tests, BINS].

    The expected shares of a test are those of the reference's classes, mixed as the network named
    them, so doing other exercises than most is a matter of the last test, the classes.
    """
    seen = counts.classes[..., None, :].astype(float)  # [..., 1, classes]
    windows = seen.sum(axis=-1, keepdims=True)
    marginal = reference.sum(axis=0) / reference.sum(axis=(0, 2))[:, None]
    known = reference.sum(axis=2, keepdims=True)
    by_class = (reference + PRIOR * marginal) / (known + PRIOR)
    expected = np.einsum("...c,ctb->...tb", seen[..., 0, :] / windows[..., 0], by_class)
    even = PRIOR / BINS
    values = population_stability(
        (counts.bins + even) / (windows + PRIOR), (expected * windows + even) / (windows + PRIOR)
    )
    if len(reference) == 1:
        return values
    usual = (known[:, 0, 0] + 1) / (known[:, 0, 0] + 1).sum()
    named = (counts.classes + PRIOR * usual) / (windows[..., 0] + PRIOR)
    return np.concatenate([values, population_stability(named, usual)[..., None]], axis=-1)


def draw_streams(
    plan: DriftPlan,
    recordings: Sequence[CountedRecording],
    windows: int,
    streams: int,
    rng: np.random.Generator,
) -> Counts:
    """Count `streams` streams of `windows` windows: whole recordings, drawn with replacement.

    The first begins anywhere, the last is cut.
    """
    codes = np.concatenate([r.codes for r in recordings])
    classes = np.concatenate([r.classes for r in recordings])
    ends = np.cumsum([len(r.codes) for r in recordings])
    rows = np.empty((streams, windows), np.int64)
    for stream in rows:
        filled = 0
        while filled < windows:
            pick = int(rng.integers(len(recordings)))
            length = len(recordings[pick].codes)
            skip = int(rng.integers(length)) if filled == 0 else 0
            part = np.arange(ends[pick] - length + skip, ends[pick])[: windows - filled]
            stream[filled : filled + len(part)] = part
            filled += len(part)
    return Counts(
        bins=np.stack([(codes[rows] == b).sum(axis=1) for b in range(BINS)], axis=2),
        classes=np.stack([(classes[rows] == c).sum(axis=1) for c in range(plan.classes)], axis=1),
    )


def draw_mixed(
    plan: DriftPlan,
    first: Sequence[CountedRecording],
    rest: Sequence[CountedRecording],
    share: float,
    windows: int,
    streams: int,
    rng: np.random.Generator,
) -> Counts:
    """Streams with `share` of their windows from `first`, the others from `rest`."""
    count = round(share * windows)
    parts = [
        draw_streams(plan, side, number, streams, rng)
        for side, number in ((first, count), (rest, windows - count))
        if number
    ]
    return Counts(
        bins=np.sum([part.bins for part in parts], axis=0),
        classes=np.sum([part.classes for part in parts], axis=0),
    )


def learn_usual(profile: Profile, windows: int, streams: int = STREAMS) -> Usual:
    """What is usual of readings of `windows` windows.

    Raises UsageError with fewer than MIN_WINDOWS windows, or MIN_GROUPS groups in the profile.
    """
    names = sorted({r.group for r in profile.recordings})
    if windows < MIN_WINDOWS:
        raise UsageError(
            f"{windows} windows counted, expected at least {MIN_WINDOWS}; let the board run longer"
        )
    if len(names) < MIN_GROUPS:
        raise UsageError(
            f"the profile has {len(names)} groups, expected at least {MIN_GROUPS} to know how much "
            "groups differ; hold fewer groups out"
        )
    rng = np.random.default_rng(SEED)
    found = []
    for name in names:
        own = [r for r in profile.recordings if r.group == name]
        others = [r for r in profile.recordings if r.group != name]
        drawn = draw_streams(profile.plan, own, min(windows, MAX_WINDOWS), streams, rng)
        found.append(psi_of(drawn, count_recordings(profile.plan, others)))
    psi = np.stack(found)
    usual = _usual(psi, rng)
    alarms = []
    for k in range(len(psi)):
        without = _usual(np.delete(psi, k, axis=0), rng)
        alarms.append((without.p_values(psi[k]) <= ALPHA).any(axis=1).mean())
    return dataclasses.replace(usual, measured=float(np.mean(alarms)))


def _usual(psi: Floats, rng: np.random.Generator) -> Usual:
    """Of [groups, streams, tests]; the rate is for learn_usual to measure."""
    totals = psi.sum(axis=(0, 1)) - psi.sum(axis=1)  # of the other groups, [groups, tests]
    means = totals / (psi.shape[1] * (len(psi) - 1))
    distances = np.log((psi / means[:, None]).max(axis=2))
    return Usual(
        mean_psi=psi.mean(axis=(0, 1)),
        distances=np.sort(_predict(distances, rng)),
        groups=len(psi),
        measured=0.0,
    )


def rate_bound(rate: float, groups: int) -> float:
    """What a rate measured on so many groups may be on others, at most, with CONFIDENCE.

    Clopper and Pearson's limit for the worst case, a group whose readings all alarm or none do.
    """
    hits = rate * groups
    return (
        1.0 if hits >= groups else float(scipy.stats.beta.ppf(CONFIDENCE, hits + 1, groups - hits))
    )


def _predict(distances: Floats, rng: np.random.Generator) -> Floats:
    """Draws of the distance of the next group, from [groups, streams] of the known ones."""
    centres = distances.mean(axis=1)
    count = len(centres)
    spread = centres.std(ddof=1) * np.sqrt(1 + 1 / count)
    groups = centres.mean() + spread * rng.standard_t(count - 1, DRAWS)
    result: Floats = groups + rng.choice((distances - centres[:, None]).ravel(), DRAWS)
    return result


def judge(profile: Profile, counts: Counts, usual: Usual) -> Verdict:
    """Compare one reading with the profile."""
    reference = count_recordings(profile.plan, profile.recordings)
    psi = psi_of(counts, reference)
    observed = [*counts.bins, counts.classes]
    expected = [*reference.sum(axis=0), reference[:, 0].sum(axis=1)]
    rows = []
    for k, (name, p) in enumerate(zip(row_names(profile.plan), usual.p_values(psi), strict=True)):
        g, naive_p = two_sample_g(observed[k], expected[k])
        rows.append(
            DriftRow(
                test=name,
                psi=round(float(psi[k]), 4),
                usual_psi=round(float(usual.mean_psi[k]), 4),
                p=round(float(p), 5),
                alarm=bool(p <= ALPHA),
                g=round(g, 1),
                naive_p=naive_p,
            )
        )
    return Verdict(
        windows=int(counts.classes.sum()),
        groups=usual.groups,
        alpha=ALPHA,
        measured=round(usual.measured, 4),
        at_most=round(usual.at_most, 4),
        confidence=CONFIDENCE,
        rows=tuple(rows),
    )


def two_sample_g(first: Ints, second: Ints) -> tuple[float, float]:
    """(G, p) of two rows of counts, as if windows were independent; bins that both lack are out."""
    table = np.stack([first, second])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 0.0, 1.0
    result = scipy.stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    return float(result.statistic), float(result.pvalue)
