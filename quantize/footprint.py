"""What the bytes of a model's constants are, beside the model's own weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quantize.lowering import LoweredStep
from quantize.ops.base import CConstant

NUMBERS = (
    "stream",
    "values",
    "taps",
    "requant",
    "exact",
    "numbers",
)  # what is neither weights nor biases


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Bytes of constants, by what they are for."""

    raw_weights: int  # of the model's convolutions and dense layers, a byte each
    weights: int  # the same as the kernels read them
    biases: int  # what sums begin with
    requantisation: int
    other: int  # tables, constant operands, first values of variables


def find_footprint(steps: Iterable[LoweredStep], total: int) -> Footprint:
    """Of all steps, whose constants and those of variables take `total` bytes."""
    raw = weights = biases = numbers = 0
    for lowered in steps:
        for params in (step.params for step in (*lowered.before, lowered.step)):
            size = getattr(getattr(params, "weights", None), "size", 0)
            raw += getattr(params, "weight_count", size // getattr(params, "groups", 1))
        for constant in (c for call in lowered.calls for c in call.constants):
            own_weights, own_biases = _parts(constant)
            weights, biases = weights + own_weights, biases + own_biases
            if constant.suffix.partition("_")[0] in NUMBERS:
                numbers += constant.bytes - own_weights - own_biases
    return Footprint(
        raw_weights=raw,
        weights=weights,
        biases=biases,
        requantisation=numbers,
        other=total - weights - biases - numbers,
    )


def _parts(constant: CConstant) -> tuple[int, int]:
    """Bytes of weights and of biases; the reference kernels have arrays of their own for them."""
    name = constant.suffix.partition("_")[0]  # behind it is the number of a call
    if name == "weights":
        return constant.bytes, 0
    if name == "bias":
        return 0, constant.bytes
    return constant.weight_bytes, constant.bias_bytes
