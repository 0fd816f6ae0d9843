"""What instructions cost on the chips that the kernels are for, in one place: kernels are chosen by
it (quantize.lowering), and counted instructions become cycles by it (host_tools.bench.estimate)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One choice of all timings that are not certain, in cycles."""

    jump: int  # on top of a jump's own cycle
    divide: int
    flash: int  # waits for a word of data from flash
    load_use: int  # when the next instruction needs what was loaded
    multiply_use: int


# Best, middle and worst case; sources and assumptions stand beside the estimate.
NRF52840 = (
    Timing(jump=1, divide=2, flash=0, load_use=0, multiply_use=0),
    Timing(jump=2, divide=7, flash=2, load_use=0, multiply_use=0),
    Timing(jump=3, divide=12, flash=3, load_use=0, multiply_use=0),
)
ESP32 = (
    Timing(jump=2, divide=2, flash=0, load_use=1, multiply_use=1),
    Timing(jump=2, divide=7, flash=0, load_use=1, multiply_use=1),
    Timing(jump=3, divide=13, flash=0, load_use=2, multiply_use=1),
)
# the chip that each set of kernels is for: name, cases
CHIPS = {
    "armv7em": ("nRF52840", NRF52840),
    "xtensa": ("ESP32", ESP32),
    "xtensa_mac16": ("ESP32", ESP32),
}
MIDDLE = 1  # of the cases
USUAL = {"nRF52840": 1.65, "ESP32": 1.25}  # cycles an instruction, about


@dataclass(frozen=True, slots=True)
class Cost:
    """Instructions of a step, and cycles of the chip that its set of kernels is for (middle case),
    by the lowering's own model."""

    instructions: float
    cycles: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.instructions + other.instructions, self.cycles + other.cycles)

    def __mul__(self, times: float) -> Cost:
        return Cost(times * self.instructions, times * self.cycles)

    __rmul__ = __mul__


NOTHING = Cost(0, 0)


def total(costs: Iterable[Cost | None]) -> Cost:
    """The sum; None counts as nothing."""
    known = [cost for cost in costs if cost is not None]
    return Cost(sum(c.instructions for c in known), sum(c.cycles for c in known))


def cortex_m(instructions: float, *, words: float = 0, flash: float = 0, jumps: float = 0) -> Cost:
    """Of so many instructions, which load `words` more than one a cycle: all of a multiple load, a
    single one's that is not directly behind another. `flash` words of any load are from flash,
    `jumps` are taken."""
    middle = NRF52840[MIDDLE]
    cycles = instructions + words + middle.flash * flash + middle.jump * jumps
    return Cost(instructions, cycles)


def lx6(instructions: float, *, waits: float = 0, jumps: float = 0) -> Cost:
    """Of so many instructions, `waits` of which need what the one before has loaded or multiplied;
    `jumps` are taken, those of hardware loops left out."""
    middle = ESP32[MIDDLE]
    return Cost(instructions, instructions + middle.load_use * waits + middle.jump * jumps)


def usual(instructions: float, kernels: str) -> Cost:
    """Of a kernel of which only the instructions are known."""
    return Cost(instructions, USUAL[CHIPS[kernels][0]] * instructions)
