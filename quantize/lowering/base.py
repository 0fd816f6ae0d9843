"""What a lowering makes of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from quantize.ops.base import CCall
from quantize.ops.conv_2d import numbered
from quantize.reference import Step
from quantize.tflite.graph import Graph, Tensor
from quantize.timings import Cost, cortex_m, total

COPY_COST = cortex_m(0.5, words=2, flash=1, jumps=0.125)  # of a word to RAM
LEAST_GAIN = 2000  # cycles that a copy must save, for the code that makes it
IN_RAM = {  # kernels -> the same with a copy of the stream in RAM
    "nn_conv_2d_fours_s8": "nn_conv_2d_fours_in_ram_s8",
    "nn_conv_2d_packed_s8": "nn_conv_2d_packed_in_ram_s8",
    "nn_conv_2d_points_s8": "nn_conv_2d_points_in_ram_s8",
    "nn_conv_2d_rows_s8": "nn_conv_2d_rows_in_ram_s8",
}
ALIGNMENT = 16  # bytes, of all that lies in the arena


def aligned(size: int) -> int:
    """`size` bytes, rounded up."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a call begins to read or write, in bytes: in the step's input, its output, or the rows
    between operators, which lie in front of the kernels' scratch."""

    where: Literal["input", "output", "rows"]
    offset: int
    advance: int = 0  # from a turn of a loop to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCall:
    """A call of a step on some rows."""

    call: int  # of the step's calls
    source: Place
    target: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Calls that run one after the other, `count` times."""

    count: int
    calls: tuple[RowCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A way to compute a step that was looked at and not taken."""

    kernels: str
    cost: Cost | None
    constant_bytes: int | None  # None: not packed, as its cost is known without
    reason: str  # what there is too much of: 'cycles', 'flash', 'RAM', 'code'


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredStep:
    """A step with the kernel calls that compute it.

    `in_place` are the positions of inputs whose bytes the output may take over: a kernel reads
    each part of such an input before it writes the same bytes, and not after. That also holds of
    input 0, whatever the sizes, when the output begins at least `ahead_bytes` before it.
    """

    step: Step
    calls: tuple[CCall, ...]
    in_place: tuple[int, ...]
    ahead_bytes: int | None = None
    # what stands for the reference's rounding, proven equal for all that can occur
    requantisation: str = "reference"
    cost: Cost | None = None  # by the lowering's own model; None: not estimated
    alternatives: tuple[Alternative, ...] = ()
    # Of operators that run together, some rows at a time (quantize.lowering.rows): those before the
    # step's own, how many rows of the output at a time, in which order and how often calls run, and
    # the bytes of the rows between.
    before: tuple[Step, ...] = ()
    height: int = 0
    turns: tuple[Turns, ...] = ()  # (): every call once, on whole tensors
    rows_bytes: int = 0
    operand_bytes: int = 0  # in flash, of constant inputs that its calls read
    # words of its one stream that it reads from flash, again and again; 0: once, or not known
    stream_words: float = 0

    @property
    def constant_bytes(self) -> int:
        """What its kernels hold in flash, and its counted constant operands."""
        own = sum(constant.bytes for call in self.calls for constant in call.constants)
        return own + self.operand_bytes

    @property
    def scratch_bytes(self) -> int:
        """What the step needs beside its tensors, while it runs."""
        return self.rows_bytes + max((call.scratch_bytes for call in self.calls), default=0)


def constant_operands(graph: Graph, lowered: LoweredStep) -> list[tuple[int, Tensor]]:
    """The constants of the file that a step's calls read as they are, with their positions."""
    taken = sorted({position for call in lowered.calls for position in call.inputs})
    operands = [(p, graph.tensors[lowered.step.op.inputs[p]]) for p in taken]
    return [(p, tensor) for p, tensor in operands if tensor.data is not None]


def first_values_bytes(tensor: Tensor) -> int:
    """What a variable's first value takes in flash: nothing where all bytes are the same."""
    return tensor.bytes if len(set(tensor.first_values.tobytes())) > 1 else 0


def alternative(lowered: LoweredStep, reason: str) -> Alternative:
    """A step that was lowered and is not taken."""
    return Alternative(
        kernels=" and ".join(dict.fromkeys(call.function for call in lowered.calls)),
        cost=lowered.cost,
        constant_bytes=lowered.constant_bytes,
        reason=reason,
    )


def in_ram(lowered: LoweredStep) -> LoweredStep | None:
    """A step of one call whose stream is copied to scratch first; None where that gains little."""
    if lowered.before or not lowered.stream_words or lowered.cost is None:
        return None
    (call,) = lowered.calls
    function = IN_RAM.get(call.function)
    (size,) = (constant.bytes for constant in call.constants if constant.suffix == "stream")
    copy = size // 4 * COPY_COST
    gain = cortex_m(0, flash=lowered.stream_words).cycles - copy.cycles
    counted = any(name.endswith("quad.requant_words") for name in call.params)
    if function is None or not counted or gain < LEAST_GAIN:
        return None
    scratch = aligned(call.scratch_bytes) + size
    copying = replace(call, function=function, scratch_bytes=scratch)
    cost = lowered.cost + Cost(copy.instructions, -gain)
    others = (*lowered.alternatives, alternative(lowered, "cycles"))
    return replace(lowered, calls=(copying,), cost=cost, alternatives=others)


def rivals(costs: Mapping[str, Cost], taken: str) -> tuple[Alternative, ...]:
    """Kernels that a lowering did not take because they cost more."""
    return tuple(
        Alternative(kernels=name, cost=cost, constant_bytes=None, reason="cycles")
        for name, cost in costs.items()
        if name != taken
    )


def in_groups(step: Step, parts: Sequence[LoweredStep | None]) -> LoweredStep | None:
    """The step whose groups of channels the parts compute, one after the other; None if one does
    not exist."""
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    calls = [numbered(call, number) for number, part in enumerate(found) for call in part.calls]
    forms = {part.requantisation for part in found}
    return LoweredStep(
        step=step,
        calls=tuple(calls),
        in_place=(),
        requantisation=" and ".join(sorted(forms)),
        cost=total(part.cost for part in found),
    )


def with_kernel(step: Step, function: str, cost: Cost) -> LoweredStep:
    """The reference's calls of a step, to another kernel that takes the same parameters."""
    calls = tuple(replace(call, function=function) for call in step.spec.calls(step.params))
    in_place = step.spec.in_place(step.params)
    return LoweredStep(step=step, calls=calls, in_place=in_place, cost=cost)
