"""How far a device's outputs are from those of the float network that its model was made from.

f is an output element of the float network, d the device's, dequantised: scale (q - zero point).
Differences are |f - d| in the output's own unit. SQNR is the ratio of signal to quantisation noise,
10 log10(sum f^2 / sum (f - d)^2) in dB, over all elements of all cases (B. Widrow and I. Kollar,
Quantization Noise, Cambridge University Press, 2008).

A decision is the largest element of the first output, an anomaly's alarm, or the set of labels
above their thresholds; a regression decides nothing and is compared in its targets' units as well.
Some decisions always flip: those of windows for which the float network itself hardly prefers one
class to another.

What a detector of anomalies rebuilds of an anomaly lies beyond the values that int8 was calibrated
for and is clipped, so that only the alarm counts there: the bounds on differences are about the
cases for which the float network gives none.

Random inputs are nothing that a network was made for: its decisions on them are arbitrary and flip
often, so that no bound applies to them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from model.recipe import ParityConfig
from model.regression import Units
from quantize.scheme import real_values

Float64s = npt.NDArray[np.float64]
MAX_FLIPS = 200  # that are listed
MAX_POINTS = 600  # of the report's plot
FEW_CODES = 16  # of int8's 256 that are left for nearly all values
CLIPPED = 0.01  # share of values beyond what int8 reaches
WHERE = (
    "`make quantise` of the float network lists the layers with most noise: give it 100 or "
    "more representative inputs that are like the real ones, or train the network longer or with "
    "quantisation"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What one side decides in each case: the number of an answer, and its score."""

    chosen: npt.NDArray[np.int64]
    scores: Float64s
    alarms: bool = False  # 1 is an alarm, 0 none


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputDifference:
    """One model output over all cases; differences in the output's unit."""

    output: int
    largest: float
    mean: float
    percentile_95: float
    float_range: float  # largest minus smallest value of the float network
    sqnr_db: float | None  # None where it is infinite: equal, or a float output that is all 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDifference:
    """One number of a regression over all cases, in its unit."""

    target: str
    unit: str
    step: float  # of the int8 output
    largest: float
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One case that the device decides otherwise."""

    case: int
    label: str | None
    float_decision: str
    float_score: float
    device_decision: str
    device_score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Elements of the first output, spread evenly over all cases: for a plot."""

    floats: tuple[float, ...]
    device: tuple[float, ...]
    flipped: tuple[bool, ...]  # whether the element's case is decided otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatComparison:
    """The part of parity.json that compares with the float network."""

    network: str
    cases: int  # of `golden_cases`; all figures are about these
    golden_cases: int
    equal_decisions: int | None  # None: there is nothing to decide
    outputs: tuple[OutputDifference, ...]  # over all cases
    normal_outputs: tuple[OutputDifference, ...] | None  # of a detector: without the alarms
    flips: tuple[Flip, ...]  # the first MAX_FLIPS
    points: Points
    bounds: ParityConfig | None  # None: the inputs are random
    failures: tuple[str, ...]  # which bounds do not hold
    targets: tuple[TargetDifference, ...] | None = None  # of a regression, in units


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What compare_float takes: both sides' outputs in the same cases."""

    cases: Sequence[int]  # their numbers among the golden ones
    golden_cases: int
    floats: Sequence[npt.NDArray[np.floating]]  # an array [cases, *shape] for each output
    device: Sequence[Float64s]  # the same, dequantised
    decisions: tuple[Decisions, Decisions] | None  # the float network's, the device's
    names: Sequence[str]  # of the answers; may be empty
    labels: Sequence[str] | None  # of the cases
    targets: tuple[TargetDifference, ...] | None = None
    places: Sequence[Mapping[str, Any] | None] = ()  # dtype, scale, zero_point of each output


def dequantise(values: npt.NDArray[Any], place: Mapping[str, Any]) -> Float64s:
    """scale (q - zero point), by the manifest's entry for the tensor; without a scale the value."""
    if place["scale"] is None:
        return values.astype(np.float64)
    return real_values(values, float(place["scale"]), int(place["zero_point"]))


def class_decisions(values: npt.NDArray[Any]) -> Decisions:
    """The largest element of each row [cases, ...], the first of equal ones."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    return Decisions(chosen=rows.argmax(axis=1), scores=rows.max(axis=1))


def class_pair(
    floats: npt.NDArray[Any], device: npt.NDArray[Any]
) -> tuple[Decisions, Decisions] | None:
    """What both sides [cases, *shape] decide; None for one number a case, and for an image."""
    if sum(n > 1 for n in floats.shape[1:]) != 1:
        return None
    return class_decisions(floats), class_decisions(device)


def alarm_decisions(scores: npt.NDArray[Any], threshold: float, step: float) -> Decisions:
    """1 for a score [cases] above the threshold; `step` is one of score in squared input units."""
    chosen = (scores > threshold).astype(np.int64)
    return Decisions(chosen=chosen, scores=scores.astype(np.float64) * step, alarms=True)


def label_set(holds: npt.NDArray[np.bool_], names: Sequence[str]) -> str:
    """'hum+fan', or 'none'."""
    return "+".join(names[i] for i in np.flatnonzero(holds).tolist()) or "none"


def set_decisions(
    sides: tuple[npt.NDArray[Any], Float64s], thresholds: Float64s, labels: Sequence[str]
) -> tuple[Decisions, Decisions, list[str]]:
    """(one side's, the other's, names): a decision is the set of labels above their thresholds.

    Both sides are read by the same thresholds, the int8 model's. A score is how far the closest
    output is from its threshold.
    """
    rows = [s.reshape(len(s), -1).astype(np.float64) for s in sides]
    given = np.concatenate([r > thresholds for r in rows])
    sets, chosen = np.unique(given, axis=0, return_inverse=True)
    first, second = (
        Decisions(chosen=c, scores=np.abs(r - thresholds).min(axis=1))
        for c, r in zip(np.split(chosen.reshape(-1), 2), rows, strict=True)
    )
    return first, second, [label_set(row, labels) for row in sets]


def target_differences(
    units: Units, floats: Float64s, device: Float64s
) -> tuple[TargetDifference, ...]:
    """Of each target, from what both sides tell [cases, targets] in units."""
    apart = np.abs(floats - device)
    return tuple(
        TargetDifference(
            target=target,
            unit=units.units[i],
            step=units.steps[i],
            largest=float(apart[:, i].max()),
            mean=float(apart[:, i].mean()),
        )
        for i, target in enumerate(units.targets)
    )


def compare_float(network: str, compared: Compared, bounds: ParityConfig | None) -> FloatComparison:
    """Compare the two sides, and name the bounds that do not hold; without bounds, none."""
    outputs, normal = _differences(compared, slice(None)), None
    flipped, equal = np.zeros(len(compared.cases), bool), None
    if compared.decisions is not None:
        if compared.decisions[0].alarms:
            normal = _differences(compared, compared.decisions[0].chosen == 0)
        flipped = compared.decisions[0].chosen != compared.decisions[1].chosen
        equal = int((~flipped).sum())
    bounded = outputs if normal is None else normal
    reasons = [likely_reason(f, p) for f, p in zip_longest(compared.floats, compared.places)]
    flips = _flips(compared, np.flatnonzero(flipped)[:MAX_FLIPS])
    return FloatComparison(
        network=network,
        cases=len(compared.cases),
        golden_cases=compared.golden_cases,
        equal_decisions=equal,
        outputs=outputs,
        normal_outputs=normal,
        flips=flips,
        points=_points(compared.floats[0], compared.device[0], flipped),
        bounds=bounds,
        failures=()
        if bounds is None
        else (
            *(
                f"{line}; {reasons[0]}"
                for line in _too_many_flips(len(flipped), equal, flips, bounds)
            ),
            *(
                f"{line}; {reasons[output.output]}"
                for output in bounded
                for line in _too_far(output, bounds)
            ),
        ),
        targets=compared.targets,
    )


def likely_reason(floats: npt.NDArray[np.floating], place: Mapping[str, Any] | None) -> str:
    """Why an output, [cases, *shape] of the float network, may be far off as int8; what to do."""
    if place is None or place["scale"] is None or place["dtype"] != "int8":
        return WHERE
    rows = floats.reshape(len(floats), -1).astype(np.float64)
    scale, zero = float(place["scale"]), int(place["zero_point"])
    top = float(np.median(rows.max(axis=1)))
    if (scale, zero) == (1 / 256, -128) and rows.min() >= 0 and top < FEW_CODES * scale:
        return (
            "int8 gives a softmax or sigmoid steps of 1/256 = 0.0039, whatever its values are, and "
            f"the largest value of a typical case is {top:.2g}, {top / scale:.1f} steps: end the "
            "network at its logits, without that layer, which decides the same"
        )
    ends = [scale * (code - zero) for code in (-129, 128)]  # a step more: softmax's 1 has no code
    if (outside := float(((rows < ends[0]) | (rows > ends[1])).mean())) > CLIPPED:
        return (
            f"{outside:.1%} of the float values are beyond {ends[0]:.3g} to {ends[1]:.3g}, which "
            "int8 reaches: quantise it with representative inputs as large as these"
        )
    low, high = np.percentile(rows, (0.1, 99.9))
    if (codes := round(float(high - low) / scale)) < FEW_CODES:
        return (
            f"a few values dominate its range: 99.8 % lie in {low:.3g} to {high:.3g}, for which "
            f"{max(1, codes)} of 256 codes are left: leave such representative inputs out, or clip "
            "them"
        )
    return WHERE


def _differences(
    compared: Compared, rows: slice | npt.NDArray[np.bool_]
) -> tuple[OutputDifference, ...]:
    """Of each output, over some of the cases; none without a case."""
    pairs = zip(compared.floats, compared.device, strict=True)
    sides = [(f[rows], d.reshape(f.shape)[rows]) for f, d in pairs]
    return tuple(output_difference(i, f, d) for i, (f, d) in enumerate(sides) if len(f))


def output_difference(
    index: int, floats: npt.NDArray[np.floating], device: Float64s
) -> OutputDifference:
    """The formulas of the module's head for one output: [cases, *shape] of each side."""
    f = floats.astype(np.float64)
    apart = np.abs(f - device)
    signal, noise = float((f**2).sum()), float((apart**2).sum())
    return OutputDifference(
        output=index,
        largest=float(apart.max()),
        mean=float(apart.mean()),
        percentile_95=float(np.percentile(apart, 95)),
        float_range=float(f.max() - f.min()),
        sqnr_db=float(10 * np.log10(signal / noise)) if signal and noise else None,
    )


def allowed_flips(cases: int, min_equal_decisions: float) -> int:
    """How many of `cases` decisions may flip: the share, but never less than one.

    One flip among few cases says nothing about the share. Whoever asks for a share of 1 gets none.
    """
    if min_equal_decisions == 1:
        return 0
    return max(1, int((1 - min_equal_decisions) * cases + 1e-9))  # 1 - 0.9 is below 0.1


def _too_many_flips(
    cases: int, equal: int | None, flips: Sequence[Flip], bounds: ParityConfig
) -> Iterator[str]:
    allowed = allowed_flips(cases, bounds.min_equal_decisions)
    if equal is not None and cases - equal > allowed:
        first = flips[0]
        yield (
            f"{equal:,} of {cases:,} decisions ({equal / cases:.1%}) are the float network's, "
            f"expected {bounds.min_equal_decisions:.1%} (parity.min_equal_decisions, at most "
            f"{allowed:,} others in {cases:,}); first: case {first.case}, float "
            f"{first.float_decision}, device {first.device_decision}; a network that is unsure, "
            "as after a short training, decides by one step of its outputs: train it longer, or "
            "allow more there"
        )


def _too_far(output: OutputDifference, bounds: ParityConfig) -> Iterator[str]:
    where = f"output {output.output} is too far from the float network's: "
    most = bounds.max_mean_difference * output.float_range
    if output.float_range and output.mean > most:
        yield (
            f"{where}mean difference {output.mean:.4g}, expected at most {most:.4g}, "
            f"{bounds.max_mean_difference:g} of its range {output.float_range:.4g} "
            "(parity.max_mean_difference)"
        )
    if output.sqnr_db is not None and output.sqnr_db < bounds.min_sqnr_db:
        yield (
            f"{where}SQNR {output.sqnr_db:.1f} dB, expected at least {bounds.min_sqnr_db:g} dB "
            "(parity.min_sqnr_db)"
        )


def _flips(compared: Compared, rows: npt.NDArray[np.intp]) -> tuple[Flip, ...]:
    if compared.decisions is None:
        return ()
    floats, device = compared.decisions

    def name(number: int) -> str:
        return compared.names[number] if number < len(compared.names) else str(number)

    return tuple(
        Flip(
            case=int(compared.cases[i]),
            label=compared.labels[i] if compared.labels else None,
            float_decision=name(int(floats.chosen[i])),
            float_score=float(floats.scores[i]),
            device_decision=name(int(device.chosen[i])),
            device_score=float(device.scores[i]),
        )
        for i in rows.tolist()
    )


def _points(
    floats: npt.NDArray[np.floating], device: Float64s, flipped: npt.NDArray[np.bool_]
) -> Points:
    each = floats[0].size
    step = -(-floats.size // MAX_POINTS)
    while math.gcd(step, each) > 1:  # else some elements of an output would never be among them
        step += 1
    chosen = np.arange(0, floats.size, step)
    return Points(
        floats=tuple(float(f"{v:.5g}") for v in floats.reshape(-1)[chosen].tolist()),
        device=tuple(float(f"{v:.5g}") for v in device.reshape(-1)[chosen].tolist()),
        flipped=tuple(flipped[chosen // each].tolist()),
    )


def describe(found: FloatComparison) -> str:
    """The comparison in one line; of several outputs the one with most noise."""
    parts = []
    if found.equal_decisions is not None:
        share = found.equal_decisions / found.cases
        which = " of output 0" if len(found.outputs) > 1 else ""
        parts.append(
            f"{found.equal_decisions:,} of {found.cases:,} decisions{which} equal ({share:.1%})"
        )
    shown = found.outputs if found.normal_outputs is None else found.normal_outputs
    if shown:
        worst = min(shown, key=lambda o: math.inf if o.sqnr_db is None else o.sqnr_db)
        where = f" of output {worst.output}" if len(shown) > 1 else ""
        where += "" if found.normal_outputs is None else " where there is no alarm"
        sqnr = "" if worst.sqnr_db is None else f", SQNR {worst.sqnr_db:.1f} dB"
        parts.append(
            f"differences{where}: at most {worst.largest:.3g}, mean {worst.mean:.2g}{sqnr}"
        )
    for t in found.targets or ():
        parts.append(f"{t.target} differs by {t.mean:.2g} {t.unit} (one step is {t.step:.2g})")
    part = f"of {found.golden_cases:,} " if found.cases < found.golden_cases else ""
    random = "" if found.bounds else "; the inputs are random, so no bound applies: give INPUTS="
    return f"{'; '.join(parts)}; in {found.cases:,} {part}cases{random}"
