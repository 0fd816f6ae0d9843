"""What kind of work an instruction is, from its text in the emulators' disassembly."""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass


class Kind(enum.Enum):
    """Every instruction is of one kind; what loads the program counter is a load, what multiplies
    and loads is a multiplication."""

    LOAD = "loads"
    STORE = "stores"
    BRANCH = "branches"
    MULTIPLY = "multiplies"
    DIVIDE = "divides"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """An instruction and what happened to it.

    address: relative to the start of the code.
    text: as disassembled, mnemonic first.
    count: how often it ran, with a condition that was false too.
    jumped: how often another instruction than the next one followed.
    flash: how many words it loaded from the memory that holds constants only.
    """

    address: int
    text: str
    count: int
    jumped: int
    flash: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Instructions by kind, those that multiply and load under both; `taken` are jumps, whatever
    instruction made them."""

    instructions: int
    loads: int
    stores: int
    branches: int
    taken: int
    multiplies: int
    divides: int
    other: int
    flash_loads: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """`words` are the registers that a load or store moves, also one that multiplies as well;
    `registers` are as written."""

    kind: Kind
    mnemonic: str
    words: int
    registers: tuple[str, ...]
    result: str | None  # the register that a load of one word, or a multiplication, writes
    address: tuple[str, ...]  # registers of the address, of a load or store
    accumulates: bool  # Xtensa's MAC16: the product goes to the accumulator


CONDITIONS = "eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al"
ARM = (
    (Kind.BRANCH, re.compile(rf"(b|bl|bx|blx)({CONDITIONS})?$|cbn?z$|tb[bh]$")),
    (Kind.LOAD, re.compile(r"v?ldr|v?ldm|v?pop")),
    (Kind.STORE, re.compile(r"v?str|v?stm|v?push")),
    (Kind.DIVIDE, re.compile(r"[su]div|vdiv")),
    (Kind.MULTIPLY, re.compile(r"mul|mla|mls|sm[ml][la-z]|smu|umu|uml|umaal|vn?mul|vn?ml|vf")),
)
XTENSA = (
    (Kind.MULTIPLY, re.compile(r"mul|umul|madd|msub")),
    (Kind.LOAD, re.compile(r"l(8|16|32)|ls[ix]|ld(inc|dec)|lddr32")),
    (Kind.STORE, re.compile(r"s(8|16|32)|ss[ix]|sddr32")),
    (Kind.DIVIDE, re.compile(r"quo|rem")),
    (Kind.BRANCH, re.compile(r"b(?!reak)|j|call|ret|loop")),
)
REGISTER = re.compile(r"\b(?:[rafsd]\d+|m[0-3]|ip|lr|sp|fp|pc|sl|sb)\b")
MAC16 = re.compile(r"(u?mul|mula|muls)\.(aa|ad|da|dd)\.\w\w(\.ld(inc|dec))?$")
RANGE = re.compile(r"\b([rsd])(\d+)\s*-\s*[rsd](\d+)\b")
WIDTH = re.compile(r"\.[nw](?=\s|$)")
TWO_WORDS = re.compile(r"(ldrd|strd)|(vldr|vstr).* d\d")
LISTS = re.compile(r"v?(ldm|stm|push|pop)")


@functools.cache
def decode(text: str, *, arm: bool) -> Instruction:
    """Read one line of disassembly, of Thumb-2 when `arm` is set, else of Xtensa."""
    text = WIDTH.sub("", text.lower())
    mnemonic, _, operands = text.partition(" ")
    kind = next((k for k, form in (ARM if arm else XTENSA) if form.match(mnemonic)), Kind.OTHER)
    registers = tuple(REGISTER.findall(operands))
    moves = kind in {Kind.LOAD, Kind.STORE}
    words = _words(mnemonic, text, operands) if moves else 0
    mac16 = None if arm else MAC16.match(mnemonic)
    if mac16 and mac16[3]:
        words, moves = 1, True
    product = kind is Kind.MULTIPLY and mac16 is None
    has_result = (kind is not Kind.STORE and words == 1) or product
    if arm:
        inside = operands.partition("[")[2]
        address = tuple(REGISTER.findall(inside)) if moves else ()
    else:
        address = registers[1:] if moves else ()
    return Instruction(
        kind=kind,
        mnemonic=mnemonic,
        words=words,
        registers=registers,
        result=registers[0] if has_result and registers else None,
        address=address,
        accumulates=mac16 is not None,
    )


def _words(mnemonic: str, text: str, operands: str) -> int:
    if LISTS.match(mnemonic):
        listed = operands.partition("{")[2]
        ranges = RANGE.findall(listed)
        inside = sum(int(last) - int(first) - 1 for _, first, last in ranges)
        return len(REGISTER.findall(listed)) + inside
    return 2 if TWO_WORDS.match(text) else 1


def mix(executed: Iterable[Executed], *, arm: bool) -> Mix:
    """Add up a call."""
    counts = dict.fromkeys(Kind, 0)
    taken = flash = loads = 0
    for item in executed:
        found = decode(item.text, arm=arm)
        counts[found.kind] += item.count
        loads += item.count if found.words and found.kind is Kind.MULTIPLY else 0
        taken += item.jumped
        flash += item.flash
    instructions = sum(counts.values())
    counts[Kind.LOAD] += loads  # of instructions that multiply as well
    return Mix(
        instructions=instructions,
        taken=taken,
        flash_loads=flash,
        **{kind.value: count for kind, count in counts.items()},
    )
