"""Where a fault happened and who called: file, line and the chain of calls, from the ELF file.

The chain follows the call frame information (.debug_frame) through the bytes of the stack that the
firmware has sent. Where that ends, words on the stack that stand behind a call are listed as
guesses. Reports and ELF files are taken as they come: every address is looked up, none followed.
"""

from __future__ import annotations

import bisect
import functools
import posixpath
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct import ConstructError
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from host_tools.link.fault import ARM, RISCV, XTENSA, Fault, parse_fault

NOTE, NOTE_HEADER, BUILD_ID_BYTES = "__build_note", 16, 20
MACHINES = {ARM: "EM_ARM", XTENSA: "EM_XTENSA", RISCV: "EM_RISCV"}
SP = {ARM: 13, XTENSA: 1, RISCV: 2}
RETURN = {ARM: 14, XTENSA: 0, RISCV: 1}
FIRST_CODE = ("board_start", "board_reset")  # nobody has called them
MAX_FRAMES = 40
UNKNOWN_WORDS = 48  # that a function without frame information may have on the stack
MAX_ELF_BYTES = 256 * 1024 * 1024
MAX_IMAGES = 16  # that are kept in memory
SHF_EXECINSTR = 0x4
# What pyelftools raises on files that are damaged somewhere.
_UNREADABLE = (ELFError, DWARFError, ConstructError, OSError, ValueError, LookupError, TypeError,
               AttributeError, ArithmeticError, AssertionError, struct.error,
               RecursionError, MemoryError)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One place of the chain; a guess is a word that was found on the stack."""

    address: int
    guess: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """The lines of a stretch of code: (address, file, line) from which on they hold."""

    start: int
    end: int
    rows: list[tuple[int, str, int]]


class Image:
    """The code of one ELF file: its build id, functions, lines and frames."""

    def __init__(self, elf: ELFFile) -> None:
        self.machine = {name: number for number, name in MACHINES.items()}.get(elf["e_machine"], 0)
        self._code = [
            (int(s["sh_addr"]), s.data())
            for s in elf.iter_sections()
            if s["sh_flags"] & SHF_EXECINSTR and s["sh_type"] == "SHT_PROGBITS"
        ]
        symbols = [
            s
            for table in elf.iter_sections()
            if isinstance(table, SymbolTableSection)
            for s in table.iter_symbols()
        ]
        thumb = 1 if self.machine == ARM else 0
        self._functions = sorted(
            (start := s["st_value"] & ~thumb, start + s["st_size"], _printable(s.name))
            for s in symbols
            if s["st_info"]["type"] == "STT_FUNC" and s["st_size"]
        )
        self.build_id = _build_id(elf, [s["st_value"] for s in symbols if s.name == NOTE])
        self._lines: list[_Lines] = []
        self._frames: list[FDE] = []
        self._found: dict[int, tuple[Any, int] | None] = {}
        if elf.has_dwarf_info():
            dwarf = elf.get_dwarf_info()
            self._lines = sorted(_line_tables(dwarf), key=lambda lines: lines.start)
            # What the linker has left out still has its frames and lines, at address 0.
            self._frames = [
                entry
                for entry in (dwarf.CFI_entries() if dwarf.has_CFI() else ())
                if isinstance(entry, FDE) and entry["initial_location"]
            ]

    def function(self, address: int) -> str:
        """The name of the function at `address`, or ''."""
        at = bisect.bisect_right(self._functions, address, key=lambda f: f[0]) - 1
        return self._functions[at][2] if at >= 0 and address < self._functions[at][1] else ""

    def start(self, address: int) -> int:
        """The first address of the function at `address`, or -1."""
        at = bisect.bisect_right(self._functions, address, key=lambda f: f[0]) - 1
        return self._functions[at][0] if at >= 0 and address < self._functions[at][1] else -1

    def line(self, address: int) -> str:
        """'file:line' of the code at `address`, or ''."""
        table = bisect.bisect_right(self._lines, address, key=lambda lines: lines.start) - 1
        if table < 0 or address >= self._lines[table].end:
            return ""
        rows = self._lines[table].rows
        _, file, line = rows[bisect.bisect_right(rows, address, key=lambda row: row[0]) - 1]
        return f"{file}:{line}"

    def frame(self, address: int) -> tuple[Any, int] | None:
        """The row of the call frame information at `address`, and the return column."""
        if address not in self._found:
            self._found[address] = self._frame(address)
        return self._found[address]

    def _frame(self, address: int) -> tuple[Any, int] | None:
        for entry in self._frames:
            start = entry["initial_location"]
            if start <= address < start + entry["address_range"]:
                rows = [row for row in entry.get_decoded().table if row["pc"] <= address]
                return (rows[-1], int(entry.cie["return_address_register"])) if rows else None
        return None

    def is_return(self, word: int) -> bool:
        """Whether `word` is an address behind a call."""
        return self.called(word) is not None

    def called(self, word: int) -> int | None:
        """What the call before the address `word` calls, 0 when that is in a register; None when
        there is no call."""
        if self.machine == ARM:
            return self._called_by_arm(word)
        if self.machine == RISCV:
            return self._called_by_riscv(word)
        before = self._bytes(word - 3, 3)
        if len(before) < 3:
            return None
        code = int.from_bytes(before, "little")
        if code & 0x3F == 5:  # CALL0
            return (((word - 3) & ~3) + 4 + 4 * _signed(code >> 6, 18)) & 0xFFFFFFFF
        return 0 if code & 0xFFF0FF == 0xC0 else None  # CALLX0

    def _called_by_arm(self, word: int) -> int | None:
        """BL, encoding T1, and BLX (register); DDI 0403E, A7.7.18 and A7.7.19."""
        before = self._bytes(word - 5, 4) if word & 1 else b""
        if len(before) < 4:
            return None
        first, second = struct.unpack("<HH", before)
        if first >> 11 == 0x1E and second & 0xD000 == 0xD000:
            sign = first >> 10 & 1
            high = [1 ^ sign ^ (second >> bit & 1) for bit in (13, 11)]
            offset = sign << 23 | high[0] << 22 | high[1] << 21
            offset |= (first & 0x3FF) << 11 | second & 0x7FF
            return (word - 1 + 2 * _signed(offset, 24)) & 0xFFFFFFFF
        return 0 if second & 0xFF87 == 0x4780 else None

    def _called_by_riscv(self, word: int) -> int | None:
        """JAL and JALR with the link in ra, and their compressed forms of RV32C."""
        before = self._bytes(word - 4, 4) if not word & 1 else b""
        if len(before) < 4:
            return None
        code = int.from_bytes(before, "little")
        if code & 0xFFF == 0xEF:  # JAL ra
            offset = code >> 31 << 20 | (code >> 12 & 0xFF) << 12
            offset |= (code >> 20 & 1) << 11 | (code >> 21 & 0x3FF) << 1
            return (word - 4 + _signed(offset, 21)) & 0xFFFFFFFF
        if code & 0x7FFF == 0xE7:  # JALR ra
            return 0
        short = code >> 16
        if short & 0xE003 == 0x2001:  # C.JAL
            places = ((12, 11), (11, 4), (10, 9), (9, 8), (8, 10), (7, 6), (6, 7), (5, 3), (4, 2),
                      (3, 1), (2, 5))  # fmt: skip
            offset = sum((short >> bit & 1) << place for bit, place in places)
            return (word - 2 + _signed(offset, 12)) & 0xFFFFFFFF
        return 0 if short & 0xF07F == 0x9002 and short & 0xF80 else None  # C.JALR

    def _bytes(self, address: int, count: int) -> bytes:
        for start, data in self._code:
            if start <= address < start + len(data):
                return bytes(data[address - start : address - start + count])
        return b""


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def read_image(path: Path) -> Image:
    """The image of an ELF file; ValueError when that cannot be read."""
    try:
        found = path.stat()
        if found.st_size > MAX_ELF_BYTES:
            raise ValueError(f"larger than {MAX_ELF_BYTES // 2**20} MiB")
        return _image(path.absolute(), found.st_mtime_ns, found.st_size)
    except _UNREADABLE as error:
        raise ValueError(f"{path}: not a readable ELF file: {error}") from error


@functools.lru_cache(MAX_IMAGES)
def _image(path: Path, _changed_ns: int, _size: int) -> Image:
    """Read once for all faults of a log."""
    with path.open("rb") as file:
        return Image(ELFFile(file))


def _build_id(elf: ELFFile, notes: Sequence[int]) -> bytes:
    """The linker's note, which lies inside another section."""
    for note in notes:
        for section in elf.iter_sections():
            start = note + NOTE_HEADER - section["sh_addr"]
            if NOTE_HEADER <= start < section["sh_size"]:
                return bytes(section.data()[start : start + BUILD_ID_BYTES])
    return b""


def _line_tables(dwarf: Any) -> Iterator[_Lines]:
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        names = _file_names(program)
        rows: list[tuple[int, str, int]] = []
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if not state.end_sequence:
                rows.append((state.address, names.get(state.file, "?"), state.line))
                continue
            if rows and rows[0][0]:
                rows.sort(key=lambda row: row[0])
                yield _Lines(start=rows[0][0], end=state.address, rows=rows)
            rows = []


def _file_names(program: Any) -> dict[int, str]:
    header = program.header
    first = 0 if header["version"] >= 5 else 1
    folders = [_text(folder) for folder in header["include_directory"]]
    folders = folders if first == 0 else ["", *folders]
    return {
        number: posixpath.normpath(posixpath.join(folders[entry.dir_index], _text(entry.name)))
        for number, entry in enumerate(header["file_entry"], first)
        if entry.dir_index < len(folders)
    }


def _text(raw: bytes) -> str:
    """Printable, whatever it was."""
    return _printable(raw.decode("utf-8", "replace"))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def call_chain(fault: Fault, image: Image) -> list[Call]:
    """Where it happened, and who called; guesses only where the frames end too early."""
    if fault.lost:
        return _guesses(fault, image, fault.stack_at)
    registers, here = _numbered(fault), _even(fault, fault.pc)
    first = Call(address=here, guess=False)
    if image.frame(here) is None:  # assembly language, or no function at all
        starts = _starts(fault, image, registers)
        caller: dict[int, int] | None = next(starts, None)
    else:
        starts = iter(())
        caller = _caller(fault, image, registers, here)
    calls, rest = _follow(fault, image, caller)
    for start in starts:
        if rest is None:
            break
        other, end = _follow(fault, image, start)
        if end is None:
            calls, rest = other, None
    guesses = [] if rest is None else _guesses(fault, image, rest)
    return [first, *calls, *guesses][:MAX_FRAMES]


def _starts(fault: Fault, image: Image, registers: dict[int, int]) -> Iterator[dict[int, int]]:
    """What a caller's registers may be when nothing tells how the function keeps its own: as they
    are, or with a return address and a stack pointer from higher up. Only a chain that leads to the
    program's first function bears one of the latter out."""
    back, sp = RETURN[fault.machine], SP[fault.machine]
    yield registers
    words = [word for (word,) in struct.iter_unpack("<I", fault.stack[: len(fault.stack) & ~3])]
    here = image.start(_even(fault, fault.pc))
    found = [
        (at, word, image.called(word))
        for at, word in enumerate(words[:UNKNOWN_WORDS])
        if image.is_return(word)
    ]
    # First those whose call is of this very function, last those whose call is of another.
    for at, word, _ in sorted(found, key=lambda f: (f[2] != here, f[2] != 0)):
        for size in range(at + 1, UNKNOWN_WORDS):
            yield {**registers, back: word, sp: fault.sp + 4 * size}


def _follow(
    fault: Fault, image: Image, caller: dict[int, int] | None
) -> tuple[list[Call], int | None]:
    """The calls from `caller` on; and where on the stack they end, None at the first function."""
    back, pointer = RETURN[fault.machine], SP[fault.machine]
    calls: list[Call] = []
    sp = fault.sp
    while caller is not None and image.is_return(caller.get(back, 0)):
        if calls and caller[pointer] <= sp:
            break  # a function that never returns keeps no way back
        sp = caller[pointer]
        here = _even(fault, caller[back]) - 1
        calls.append(Call(address=here, guess=False))
        if image.function(here) in FIRST_CODE:
            return calls, None
        if len(calls) == MAX_FRAMES:
            break
        caller = _caller(fault, image, caller, here)
    return calls, sp


def _even(fault: Fault, address: int) -> int:
    return address & ~1 if fault.machine == ARM else address


def _numbered(fault: Fault) -> dict[int, int]:
    """The registers that are known, by their DWARF numbers."""
    if fault.machine == RISCV:
        named = {"ra": 1, "s0": 8, "s1": 9} | {f"s{n}": n + 16 for n in range(2, 12)}
        named |= {f"a{n}": n + 10 for n in range(6)}
    else:
        letter = "r" if fault.machine == ARM else "a"
        named = {f"{letter}{n}": n for n in range(16)} | {"lr": 14}
    named["sp"] = SP[fault.machine]
    return {named[name]: value for name, value in fault.registers.items() if name in named}


def _caller(
    fault: Fault, image: Image, registers: dict[int, int], here: int
) -> dict[int, int] | None:
    """The registers after the function at `here` has returned; None where the way is lost."""
    found = image.frame(here)
    if found is None:
        return None
    row, column = found
    rule = row.get("cfa")
    if rule is None or rule.reg not in registers or column != RETURN[fault.machine]:
        return None
    frame = (registers[rule.reg] + rule.offset) & 0xFFFFFFFF
    restored = dict(registers)
    for number, saved in row.items():
        if not isinstance(number, int) or saved.type in ("SAME_VALUE", "UNDEFINED"):
            continue
        place = (frame + (saved.arg or 0) - fault.stack_at) if saved.type == "OFFSET" else -1
        if not 0 <= place <= len(fault.stack) - 4:
            return None
        restored[number] = int.from_bytes(fault.stack[place : place + 4], "little")
    restored[SP[fault.machine]] = frame
    return restored


def _guesses(fault: Fault, image: Image, start: int) -> list[Call]:
    """Every word of the stack from `start` up that stands behind a call."""
    first = max(0, start - fault.stack_at) & ~3
    whole = fault.stack[first : len(fault.stack) & ~3]
    words = [word for (word,) in struct.iter_unpack("<I", whole) if image.is_return(word)]
    return [Call(address=_even(fault, word) - 1, guess=True) for word in words[:MAX_FRAMES]]


def describe(fault: Fault, images: Sequence[Path]) -> tuple[str, bool]:
    """The cause, and the chain of calls from the ELF file of `images` that is the very image; and
    whether there is one."""
    lines = [f"the board has stopped by a fault: {fault.cause()}"]
    looked = []
    for path in images:
        try:
            image = read_image(path)
        except ValueError as error:
            looked.append(str(error))
            continue
        if _belongs(fault, image):
            return "\n".join([*lines, *_told(fault, image), f"  image {path}"]), True
        told = image.build_id.hex()[:16] or "none"
        looked.append(f"{path} is another image (build id {told})")
    values = " ".join(f"{name}=0x{value:08x}" for name, value in fault.registers.items())
    lines.append(f"  {values}")
    known = fault.build_id.hex()[:16] or "unknown"
    lines.append(f"  no ELF file is of this image, build id {known}; looked at: ")
    lines[-1] += "; ".join(looked) or "none"
    return "\n".join(lines), False


def explain(payload: bytes, images: Sequence[Path]) -> str:
    """What a FAULT frame says."""
    try:
        return describe(parse_fault(payload), images)[0]
    except ValueError as error:
        return f"the board has stopped by a fault; its report is no good: {error}"


def _belongs(fault: Fault, image: Image) -> bool:
    return (
        len(fault.build_id) >= 8
        and image.machine == fault.machine
        and image.build_id.startswith(fault.build_id)
    )


def _told(fault: Fault, image: Image) -> Iterator[str]:
    try:
        calls = call_chain(fault, image)
    except _UNREADABLE as error:
        yield f"  pc 0x{fault.pc:08x}; the chain of calls cannot be read: {error}"
        return
    guessed = False
    for number, call in enumerate(calls):
        function = image.function(call.address) or f"0x{call.address:08x}, which is no function"
        line = image.line(call.address)
        if call.guess and not guessed:
            yield "  and, as a guess, these words of the stack that stand behind a call:"
            guessed = True
        how = "in" if number == 0 and not call.guess else "called from" if not call.guess else "  "
        yield f"  {how} {function}{f' ({line})' if line else ''}" + (
            f", pc 0x{fault.pc:08x}" if number == 0 and not fault.lost else ""
        )
