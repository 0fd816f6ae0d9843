"""Estimates of a chip's cycles and energy for one inference: counted instructions times published
timings. Never measurements: where a board has run, its own cycle counter is reported instead.

Every timing that a document gives as a range, and everything that the count does not show, is taken
three times: at its best, as a middle, and at its worst.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from host_tools.bench.instructions import Executed, Instruction, Kind, decode
from quantize import timings
from quantize.timings import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A chip that firmware of `emulated_by` can run on; `cases` are best, middle and worst, and so
    are the supply currents in mA."""

    name: str
    emulated_by: str
    clock_hz: int
    volts: float
    cases: tuple[Timing, Timing, Timing]
    current_ma: tuple[float, float, float]
    cycles: Callable[[Sequence[Executed], Timing], int]
    assumptions: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Best, middle and worst case of one inference; `kind` says what these numbers are."""

    kind: str
    chip: str
    clock_hz: int
    cycles: tuple[int, int, int]
    milliseconds: tuple[float, float, float]
    microjoules: tuple[float, float, float]
    assumptions: tuple[str, ...]
    sources: tuple[str, ...]


def cortex_m4_cycles(executed: Sequence[Executed], case: Timing) -> int:
    """Cycles of a Cortex-M4 by the instruction table of its Technical Reference Manual."""
    pairs = [(item, decode(item.text, arm=True)) for item in executed]
    cycles = 0
    for item, instruction in pairs:
        cycles += item.count * _cortex_m4_cost(instruction, case)
        cycles += item.jumped * case.jump + item.flash * case.flash
    # A single load directly behind another takes one cycle less, unless its address waits for it.
    for (item, first), (_, second) in pairwise(pairs):
        single = first.kind is second.kind is Kind.LOAD and first.words == second.words == 1
        if single and first.result not in second.address:
            cycles -= item.count - item.jumped
    return cycles


def _cortex_m4_cost(instruction: Instruction, case: Timing) -> int:
    if instruction.kind is Kind.LOAD:
        return 1 + instruction.words
    if instruction.kind is Kind.STORE:
        return 1 if instruction.words == 1 else 1 + instruction.words
    if instruction.kind is Kind.DIVIDE:
        return case.divide
    return 3 if instruction.mnemonic in {"tbb", "tbh"} else 1


def lx6_cycles(executed: Sequence[Executed], case: Timing) -> int:
    """Cycles of an Xtensa LX6: one an instruction, plus jumps, divisions and waits for results."""
    pairs = [(item, decode(item.text, arm=False)) for item in executed]
    cycles, body = 0, None  # of the hardware loop that was entered last: its first instruction
    for (item, first), (_, second) in zip_longest(pairs, pairs[1:], fillvalue=(None, None)):
        assert item is not None and first is not None
        cycles += item.count * (case.divide if first.kind is Kind.DIVIDE else 1)
        if first.kind is Kind.BRANCH:
            cycles += item.jumped * case.jump
        elif body is not None:  # jumped back, at once
            cycles += item.jumped * _wait(first, body, case)
        if second is not None:
            cycles += (item.count - item.jumped) * _wait(first, second, case)
        body = second if first.mnemonic.startswith("loop") else body
    return cycles


def _wait(first: Instruction, second: Instruction, case: Timing) -> int:
    """Cycles that the second instruction waits for what the first one loads or multiplies."""
    if first.accumulates and second.mnemonic == "rsr.acclo":
        return case.multiply_use
    if first.result is None or first.result not in _read_by(second):
        return 0
    return case.load_use if first.words else case.multiply_use


def _read_by(instruction: Instruction) -> tuple[str, ...]:
    """Registers that an Xtensa instruction reads; the first operand of most is written."""
    whole = instruction.kind in {Kind.STORE, Kind.BRANCH}
    if instruction.accumulates and not instruction.words:
        whole = True
    return instruction.registers if whole else instruction.registers[1:]


NRF52840 = Chip(
    name="nRF52840",
    emulated_by="qemu_m4",
    clock_hz=64_000_000,
    volts=3.0,
    cases=timings.NRF52840,
    current_ma=(3.3, 3.3, 3.3),
    cycles=cortex_m4_cycles,
    assumptions=(
        "single load 2 cycles, 1 directly behind another; N words 1 + N; single store 1",
        "multiplications 1 cycle; divisions 2, 7 or 12; a jump 1 + 1, 2 or 3",
        "code comes from the instruction cache without waiting",
        "every word of data from flash waits 0, 2 or 3 cycles",
        "3.3 mA at 3 V whatever the instructions are; only the processor runs",
    ),
    sources=(
        "Arm 100166_0001_00, Cortex-M4 Technical Reference Manual, 3.3: instruction table, and "
        "which loads are pipelined",
        "nRF52840 Product Specification v1.7, CPU: wait states; Current consumption, CPU running "
        "CoreMark at 64 MHz from flash, HFXO, DC/DC",
    ),
)

ESP32 = Chip(
    name="ESP32",
    emulated_by="qemu_xtensa",
    clock_hz=240_000_000,
    volts=3.3,
    cases=timings.ESP32,
    current_ma=(30.0, 49.0, 68.0),
    cycles=lx6_cycles,
    assumptions=(
        "1 cycle an instruction; 1 or 2 more when the next needs what was loaded, 1 more when it "
        "needs a product",
        "MAC16 adds up a product a cycle, and waits for an operand that the instruction before "
        "has loaded: 1.5 cycles a product in loops of four",
        "a jump 2 or 3 cycles more; hardware loops jump back at once",
        "divisions 2, 7 or 13 cycles, jumps and the longer load: not published, our guess from the "
        "pipeline's length",
        "code and variables in internal RAM; constants from flash hit the cache of 32 KB, without "
        "waiting. A model with more constants waits for the flash, which is left out here",
        "240 MHz; this project's port stays on the 40 MHz crystal, with the same cycles",
        "30, 49 or 68 mA at 3.3 V for the whole chip, radio off",
    ),
    sources=(
        "GCC, gcc/config/xtensa/xtensa.md, pipeline model: latencies of loads and multiplications",
        "Espressif, esp-dsp, benchmarks: dsps_dotprod_s16_ae32, with the same loop of four, takes "
        "437 cycles for 256 products",
        "ESP32 Series Datasheet v3.5, Power Consumption by Power Modes: modem-sleep, 240 MHz, "
        "dual-core, 30 to 68 mA; 7-stage pipeline",
    ),
)

CHIPS = (NRF52840, ESP32)


def estimate(executed: Sequence[Executed], board_id: str) -> list[Estimate]:
    """What `executed`, counted on the emulated `board_id`, would take on the chips it stands for.

    Times are cycles / clock, energies current * volts * time, in µJ.
    """
    return [_estimate(executed, chip) for chip in CHIPS if chip.emulated_by == board_id]


def middle_cycles(executed: Sequence[Executed], board_id: str) -> int | None:
    """The middle case of the chip that the emulated board stands for; None without one."""
    chip = next((chip for chip in CHIPS if chip.emulated_by == board_id), None)
    return chip.cycles(executed, chip.cases[timings.MIDDLE]) if chip else None


def describe(result: Estimate) -> str:
    """One line: what it is, for which chip, and best, middle and worst case."""

    def three(values: tuple[float, float, float], digits: int) -> str:
        return " / ".join(f"{value:,.{digits}f}" for value in values)

    return (
        f"{result.kind}: {result.chip} at {result.clock_hz // 1_000_000} MHz, best / middle / "
        f"worst case: {three(result.cycles, 0)} cycles, {three(result.milliseconds, 2)} ms, "
        f"{three(result.microjoules, 1)} µJ"
    )


def _estimate(executed: Sequence[Executed], chip: Chip) -> Estimate:
    best, middle, worst = (chip.cycles(executed, case) for case in chip.cases)
    cycles = (best, middle, worst)
    times = [round(count / chip.clock_hz * 1e3, 4) for count in cycles]
    energies = [
        round(current * chip.volts * count / chip.clock_hz * 1e3, 3)
        for current, count in zip(chip.current_ma, cycles, strict=True)
    ]
    return Estimate(
        kind="estimate, not a measurement",
        chip=chip.name,
        clock_hz=chip.clock_hz,
        cycles=cycles,
        milliseconds=(times[0], times[1], times[2]),
        microjoules=(energies[0], energies[1], energies[2]),
        assumptions=chip.assumptions,
        sources=chip.sources,
    )
