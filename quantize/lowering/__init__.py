"""Choose the kernels that compute each step: one set of kernels for each kind of core."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from quantize.ops.base import CCall
from quantize.reference import Step
from quantize.tflite.graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredStep:
    """A step with the kernel calls that compute it.

    `in_place` are the positions of inputs whose bytes the output may take over: a kernel reads
    each part of such an input before it writes the same bytes, and not after.
    """

    step: Step
    calls: tuple[CCall, ...]
    in_place: tuple[int, ...]

    @property
    def scratch_bytes(self) -> int:
        """What the step needs beside its tensors, while it runs."""
        return max((call.scratch_bytes for call in self.calls), default=0)


# operator -> the lowering that knows faster kernels; None from it: take the reference kernel
Lowering = Callable[[Graph, Step], LoweredStep | None]
KERNEL_SETS: dict[str, Mapping[str, Lowering]] = {"ref": {}}


def lower(graph: Graph, steps: Sequence[Step], kernels: str = "ref") -> tuple[LoweredStep, ...]:
    """The kernel calls of all steps with the kernel set `kernels`, a key of KERNEL_SETS."""
    return tuple(_lower(graph, step, KERNEL_SETS[kernels]) for step in steps)


def _lower(graph: Graph, step: Step, lowerings: Mapping[str, Lowering]) -> LoweredStep:
    lowering = lowerings.get(step.spec.name)
    lowered = lowering(graph, step) if lowering else None
    return lowered or LoweredStep(
        step=step, calls=step.spec.calls(step.params), in_place=step.spec.in_place(step.params)
    )
