"""Instructions read from disassembly, the plugin's file, and estimates made of them."""

from __future__ import annotations

import pytest

from host_tools.bench.counting import read_calls
from host_tools.bench.estimate import ESP32, NRF52840, cortex_m4_cycles, estimate, lx6_cycles
from host_tools.bench.instructions import Executed, Kind, decode, mix
from quantize.timings import Timing

CASE = Timing(jump=2, divide=7, flash=3, load_use=1, multiply_use=1)


def once(*lines: str, jumped: int = 0, flash: int = 0) -> list[Executed]:
    """Each line once, one behind the other; `jumped` and `flash` belong to the last."""
    last = len(lines) - 1
    return [
        Executed(
            address=4 * i,
            text=text,
            count=1,
            jumped=jumped if i == last else 0,
            flash=flash if i == last else 0,
        )
        for i, text in enumerate(lines)
    ]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("ldr.w r3, [r0, #8]", Kind.LOAD, 1),
        ("ldrsb.w r1, [r2, r3]", Kind.LOAD, 1),
        ("ldrd r4, r5, [r6], #8", Kind.LOAD, 2),
        ("ldm.w r0!, {r4, r5, r6}", Kind.LOAD, 3),
        ("pop.w {r4, r5, r6, r7, r8, pc}", Kind.LOAD, 6),
        ("vldmia r0!, {s0, s1, s2, s3}", Kind.LOAD, 4),
        ("vldr d7, [sp, #8]", Kind.LOAD, 2),
        ("vpop {d8-d11}", Kind.LOAD, 4),
        ("strb r1, [r0], #1", Kind.STORE, 1),
        ("push {r3, lr}", Kind.STORE, 2),
        ("strd r0, r1, [sp]", Kind.STORE, 2),
        ("bne #0x20", Kind.BRANCH, 0),
        ("bls.w #0x20", Kind.BRANCH, 0),
        ("bl #0x2000", Kind.BRANCH, 0),
        ("bxeq lr", Kind.BRANCH, 0),
        ("cbz r0, #0x40", Kind.BRANCH, 0),
        ("tbb [pc, r3]", Kind.BRANCH, 0),
        ("bic r0, r0, #1", Kind.OTHER, 0),
        ("bfi r0, r1, #0, #8", Kind.OTHER, 0),
        ("smlad r0, r1, r2, r3", Kind.MULTIPLY, 0),
        ("smmlar r0, r1, r2, r3", Kind.MULTIPLY, 0),
        ("smull r0, r1, r2, r3", Kind.MULTIPLY, 0),
        ("smuad r0, r1, r2", Kind.MULTIPLY, 0),
        ("mlsne r0, r1, r2, r3", Kind.MULTIPLY, 0),
        ("sdiv r0, r1, r2", Kind.DIVIDE, 0),
        ("ssat r0, #8, r1", Kind.OTHER, 0),
        ("sxtb16 r0, r1, ror #8", Kind.OTHER, 0),
        ("vmov s0, r1", Kind.OTHER, 0),
        ("subs r2, #4", Kind.OTHER, 0),
    ],
)
def test_thumb(text: str, kind: Kind, words: int) -> None:
    found = decode(text, arm=True)
    assert (found.kind, found.words) == (kind, words)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("l32i.n a3, a1, 12", Kind.LOAD),
        ("l8ui a4, a2, 0", Kind.LOAD),
        ("l32r a2, 0x2000", Kind.LOAD),
        ("lsi f0, a2, 4", Kind.LOAD),
        ("lddec m0, a2", Kind.LOAD),
        ("s32i.n a0, a1, 12", Kind.STORE),
        ("s8i a3, a2, 0", Kind.STORE),
        ("ssi f1, a2, 0", Kind.STORE),
        ("ssl a3", Kind.OTHER),
        ("ssa8l a3", Kind.OTHER),
        ("sext a2, a3, 7", Kind.OTHER),
        ("beqz.n a2, 0x2010", Kind.BRANCH),
        ("j 0x2010", Kind.BRANCH),
        ("callx0 a6", Kind.BRANCH),
        ("ret.n", Kind.BRANCH),
        ("loopnez a3, 0x2020", Kind.BRANCH),
        ("break.n 1", Kind.OTHER),
        ("mull a2, a3, a4", Kind.MULTIPLY),
        ("mul16s a2, a3, a4", Kind.MULTIPLY),
        ("mula.dd.ll.ldinc m0, a2, m1, m2", Kind.MULTIPLY),
        ("madd.s f0, f1, f2", Kind.MULTIPLY),
        ("quos a2, a3, a4", Kind.DIVIDE),
        ("remu a2, a3, a4", Kind.DIVIDE),
        ("add.n a2, a3, a4", Kind.OTHER),
    ],
)
def test_xtensa(text: str, kind: Kind) -> None:
    assert decode(text, arm=False).kind is kind


def test_a_mix_adds_up() -> None:
    rows = [
        Executed(address=0, text="ldr r0, [r1]", count=5, jumped=0, flash=4),
        Executed(address=2, text="mul r0, r0, r2", count=5, jumped=0, flash=0),
        Executed(address=4, text="bne #0", count=5, jumped=4, flash=0),
    ]
    total = mix(rows, arm=True)
    assert (total.instructions, total.loads, total.multiplies, total.branches) == (15, 5, 5, 5)
    assert (total.taken, total.flash_loads) == (4, 4)
    assert (total.stores, total.divides, total.other) == (0, 0, 0)


@pytest.mark.parametrize(
    ("lines", "cycles"),
    [
        (["add r0, r1, r2"], 1),
        (["ldr r0, [r1]"], 2),
        (["ldr r0, [r1]", "ldr r2, [r3]"], 3),
        (["ldr r0, [r1]", "ldr r2, [r0]"], 4),  # the address waits for the first
        (["ldr r0, [r1]", "str r0, [r3]"], 3),
        (["ldr r0, [r1]", "ldrd r2, r3, [r4]"], 5),  # a pair does not overlap
        (["ldm.w r0!, {r4, r5, r6}"], 4),
        (["push {r3, lr}"], 3),
        (["smlad r0, r1, r2, r3"], 1),
        (["sdiv r0, r1, r2"], 7),
        (["tbb [pc, r3]"], 3),
    ],
)
def test_cycles_of_a_cortex_m4(lines: list[str], cycles: int) -> None:
    assert cortex_m4_cycles(once(*lines), CASE) == cycles


def test_jumps_and_flash_cost_a_cortex_m4() -> None:
    assert cortex_m4_cycles(once("bne #0", jumped=1), CASE) == 3
    assert cortex_m4_cycles(once("pop {r4, pc}", jumped=1), CASE) == 5
    assert cortex_m4_cycles(once("ldr r0, [r1]", flash=1), CASE) == 5


@pytest.mark.parametrize(
    ("lines", "cycles"),
    [
        (["add a2, a3, a4"], 1),
        (["l32i a2, a3, 0", "add a4, a5, a6"], 2),
        (["l32i a2, a3, 0", "add a4, a2, a6"], 3),
        (["l32i a2, a3, 0", "s32i a2, a6, 0"], 3),
        (["l32i a2, a3, 0", "movi a2, 5"], 2),  # written, not read
        (["mull a2, a3, a4", "add a5, a2, a6"], 3),
        (["quos a2, a3, a4"], 7),
        (["mula.da.hh m0, a5", "mula.da.ll m0, a6"], 2),  # into the accumulator
        (["mula.da.hh m0, a5", "rsr.acclo a5"], 3),
        (["ldinc m0, a2", "mula.da.ll m0, a6"], 3),
        (["l32i a6, a3, 0", "mul.da.ll m0, a6"], 3),
        (["mula.dd.hh.ldinc m3, a4, m0, m2", "mula.dd.ll.ldinc m0, a3, m1, m3"], 3),
    ],
)
def test_cycles_of_an_lx6(lines: list[str], cycles: int) -> None:
    assert lx6_cycles(once(*lines), CASE) == cycles


def test_a_hardware_loop_jumps_back_for_nothing() -> None:
    assert lx6_cycles(once("add a2, a3, a4", jumped=1), CASE) == 1
    assert lx6_cycles(once("bnez a2, 0x10", jumped=1), CASE) == 3


def test_four_products_of_mac16_wait_twice() -> None:
    """Also for what the end of a hardware loop has loaded: 1.5 cycles a product."""
    body = ("ll.ldinc m1, a3, m0, m2", "hh.ldinc m3, a4, m0, m2")
    body += ("ll.ldinc m0, a3, m1, m3", "hh.ldinc m2, a4, m1, m3")
    work = [Executed(address=0, text="loop a6, 0x10", count=1, jumped=0, flash=0)]
    work += [
        Executed(address=3 * n, text=f"mula.dd.{text}", count=64, jumped=63 * (n == 4), flash=0)
        for n, text in enumerate(body, 1)
    ]
    assert lx6_cycles(work, CASE) == 1 + 64 * 5 + 63
    total = mix(work, arm=False)
    assert (total.instructions, total.multiplies, total.loads, total.other) == (257, 256, 256, 0)


def test_an_estimate_is_named_and_ordered() -> None:
    work = [Executed(address=0, text="ldr r0, [r1]", count=64000, jumped=0, flash=64000)]
    (found,) = estimate(work, "qemu_m4")
    assert found.kind == "estimate, not a measurement"
    assert found.chip == NRF52840.name
    assert found.cycles == (128000, 256000, 320000)
    assert found.milliseconds == (2.0, 4.0, 5.0)
    assert found.microjoules[0] == pytest.approx(3.3e-3 * 3.0 * 2e-3 * 1e6)
    assert found.assumptions
    assert found.sources
    assert estimate(work, "native") == []
    for chip in (NRF52840, ESP32):
        for value in ("jump", "divide", "flash", "load_use", "multiply_use"):
            values = [getattr(case, value) for case in chip.cases]
            assert values == sorted(values)


FILE = """insn 0 ldr r0, [r1]
insn 2 mul r0, r0, r2
insn 4 bne #0
call 0
at 0 3 0 0 2
at 4 0 0 2 0
at 6 0 3 0 0
end 0
"""


def test_the_plugins_file_is_read() -> None:
    (call,) = read_calls(FILE.splitlines(keepends=True), {0: "model_invoke"})
    assert call.function == "model_invoke"
    assert [(e.address, e.count, e.jumped, e.flash) for e in call.executed] == [
        (0, 3, 0, 2),
        (2, 3, 0, 0),
        (4, 3, 2, 0),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("end 0", "end 7"),
        ("at 6 0 3 0 0\n", ""),
        ("call 0", "call 8"),
        ("at 0 3", "at 0 x"),
        ("insn 4", "what 4"),
    ],
)
def test_a_damaged_file_is_noticed(old: str, new: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        list(read_calls(FILE.replace(old, new).splitlines(keepends=True), {0: "model_invoke"}))
