"""Choose the kernels that compute each step: one set of kernels for each kind of core."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from quantize.lowering.base import LoweredStep
from quantize.lowering.conv import lower_conv
from quantize.reference import Step
from quantize.tflite.graph import Graph

# operator -> the lowering that knows faster kernels; None from it: take the reference kernel
Lowering = Callable[[Graph, Step], LoweredStep | None]
KERNEL_SETS: dict[str, Mapping[str, Lowering]] = {
    "ref": {},
    "armv7em": {"CONV_2D": lower_conv},
}
__all__ = ["KERNEL_SETS", "LoweredStep", "lower"]


def lower(graph: Graph, steps: Sequence[Step], kernels: str = "ref") -> tuple[LoweredStep, ...]:
    """The kernel calls of all steps with the kernel set `kernels`, a key of KERNEL_SETS."""
    return tuple(_lower(graph, step, KERNEL_SETS[kernels]) for step in steps)


def _lower(graph: Graph, step: Step, lowerings: Mapping[str, Lowering]) -> LoweredStep:
    lowering = lowerings.get(step.spec.name)
    lowered = lowering(graph, step) if lowering else None
    return lowered or LoweredStep(
        step=step, calls=step.spec.calls(step.params), in_place=step.spec.in_place(step.params)
    )
