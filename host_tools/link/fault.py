"""A fatal exception that has stopped the firmware: as a FAULT frame, as text, and in words."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from host_tools.link.frames import REPLY, Frame, FrameDecoder
from host_tools.link.protocol import MessageType

ARM, XTENSA, RISCV = 40, 94, 243  # machine numbers of ELF files
MAX_FAULTS = 16  # of one log
LOST = 1  # of the flags: pc and lr could not be saved
# The order in which the code in firmware/board/<core>/ saves them.
REGISTERS: dict[int, tuple[str, ...]] = {
    ARM: ("pc", "lr", "sp", "xpsr", "cfsr", "hfsr", "mmfar", "bfar", *(f"r{n}" for n in range(13))),
    XTENSA: ("exccause", "pc", "excvaddr", "a0", "sp", *(f"a{n}" for n in range(2, 16))),
    RISCV: (
        "mcause",
        "pc",
        "mtval",
        "ra",
        "sp",
        *(f"s{n}" for n in range(12)),
        *(f"a{n}" for n in range(6)),
    ),
}
_HEAD = struct.Struct("<20sHBBI")
_LINE = re.compile(r"fault:((?: \w+=0x[0-9a-f]{8})+)")
_VALUE = re.compile(r"(\w+)=0x([0-9a-f]{8})")
_BUILD = re.compile(r"build=0x([0-9a-f]{8}),0x([0-9a-f]{8})")
_STACK = re.compile(r"stack 0x([0-9a-f]{8}):((?: [0-9a-f]{8})+)")

# Armv7-M Architecture Reference Manual (DDI 0403E), B3.2.15 CFSR and B3.2.16 HFSR.
_CFSR = {
    0: "instruction fetched from where no code may run (IACCVIOL)",
    1: "access to protected memory (DACCVIOL)",
    3: "access to protected memory while an exception returned (MUNSTKERR)",
    4: "no room on the stack for an exception (MSTKERR)",
    5: "access to protected memory by the floating-point unit (MLSPERR)",
    8: "instruction fetched from where nothing is (IBUSERR)",
    9: "read or write where nothing is (PRECISERR)",
    10: "write where nothing is, some instructions before pc (IMPRECISERR)",
    11: "read where nothing is while an exception returned (UNSTKERR)",
    12: "no memory under the stack for an exception (STKERR)",
    13: "access where nothing is by the floating-point unit (LSPERR)",
    16: "undefined instruction (UNDEFINSTR)",
    17: "call to an address that is no function's, such as 0 (INVSTATE)",
    18: "return from an exception that was none (INVPC)",
    19: "the floating-point unit is off (NOCP)",
    24: "unaligned access (UNALIGNED)",
    25: "division by zero (DIVBYZERO)",
}
_MMARVALID, _BFARVALID = 1 << 7, 1 << 15
_HFSR = {1: "the vector table could not be read (VECTTBL)", 31: "breakpoint (DEBUGEVT)"}
# Xtensa Instruction Set Architecture, table of EXCCAUSE; which of them have EXCVADDR.
_EXCCAUSE = {
    0: "illegal instruction",
    1: "system call",
    2: "instruction fetched from where nothing is",
    3: "read or write where nothing is",
    4: "interrupt",
    5: "register window allocation",
    6: "division by zero",
    8: "privileged instruction",
    9: "unaligned access",
    12: "data bus error while an instruction was fetched",
    13: "data bus error",
    14: "address error while an instruction was fetched",
    15: "read or write where nothing is",
    16: "instruction of an address without translation",
    20: "instruction fetched from where no code may run",
    24: "access to an address without translation",
    28: "read where none is allowed",
    29: "write where none is allowed",
}
# The RISC-V Instruction Set Manual, volume II, Machine Cause Register; which have an address.
_MCAUSE = {
    0: "call to an address that is no function's",
    1: "instruction fetched from where nothing is",
    2: "undefined instruction",
    3: "breakpoint",
    4: "unaligned read",
    5: "read where nothing is or none is allowed",
    6: "unaligned write",
    7: "write where nothing is or none is allowed",
    11: "system call",
    12: "instruction fetched from where no code may run",
    13: "read of an address without translation",
    15: "write to an address without translation",
}
_MTVAL_ADDRESS = {0, 1, 4, 5, 6, 7, 12, 13, 15}
_WITH_ADDRESS = {3, 9, 13, 15, 24, 25, 26, 28, 29}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What the firmware sent when it stopped; nothing in it is to be trusted."""

    machine: int
    registers: dict[str, int]
    build_id: bytes  # of the image: 20 bytes, the first 8 of them in text, or none
    stack_at: int  # the address of the first byte of `stack`; the stack pointer, unless lost
    stack: bytes = b""
    lost: bool = False  # pc and lr could not be saved

    @property
    def sp(self) -> int:
        """The stack pointer."""
        return self.registers.get("sp", 0)

    @property
    def pc(self) -> int:
        """The instruction that faulted, or one soon after it."""
        return self.registers.get("pc", 0)

    def cause(self) -> str:
        """What happened, in words, with the address that was touched where it is known."""
        words = _CAUSES[self.machine](self)
        if self.lost or self.stack_at > self.sp:  # the stack begins above its own pointer
            return f"stack overflow; {words}"
        return words


def parse_fault(payload: bytes) -> Fault:
    """Return the payload of a FAULT frame as values; ValueError when it cannot be right."""
    if len(payload) < _HEAD.size:
        raise ValueError(f"a FAULT has at least {_HEAD.size} bytes, this one {len(payload)}")
    build_id, machine, count, flags, stack = _HEAD.unpack_from(payload)
    names = REGISTERS.get(machine)
    if names is None:
        raise ValueError(f"a FAULT of machine {machine}, which these tools do not know")
    end = _HEAD.size + 4 * count
    if count != len(names) or len(payload) < end:
        raise ValueError(
            f"a FAULT of {count} registers in {len(payload)} bytes; machine {machine} has "
            f"{len(names)}"
        )
    registers = dict(zip(names, struct.unpack_from(f"<{count}I", payload, _HEAD.size), strict=True))
    return Fault(
        machine=machine,
        registers=registers,
        build_id=build_id,
        stack_at=stack,
        stack=payload[end:],
        lost=bool(flags & LOST),
    )


def find_faults(data: bytes) -> list[Fault]:
    """The faults that `data` tells of, in order: a log of text, or all that a port has said.

    One that is there as text and as a frame is found once, as the frame, which holds more. A board
    repeats its report: the same one counts once. The first MAX_FAULTS different ones are taken.
    """
    found = _faults_of_text(data.decode("ascii", "replace"))
    for event in FrameDecoder().feed(data + b"\0"):
        if not (isinstance(event, Frame) and event.type == MessageType.FAULT | REPLY):
            continue
        try:
            fault = parse_fault(event.payload)
        except ValueError:
            continue
        if fault in found:
            continue
        same = [i for i, other in enumerate(found) if _is_part(other, fault)]
        if same:
            found[same[0]] = fault
        elif len(found) < MAX_FAULTS:
            found.append(fault)
    return found


def _is_part(text: Fault, frame: Fault) -> bool:
    return (
        len(text.build_id) < len(frame.build_id)
        and frame.build_id.startswith(text.build_id)
        and text.registers.items() <= frame.registers.items()
    )


def _faults_of_text(text: str) -> list[Fault]:
    """What common/fault.c writes; a terminal may have put something before each line."""
    starts = [*_LINE.finditer(text)]
    ends = [*(start.start() for start in starts), len(text)][1:]
    found: list[Fault] = []
    for start, end in zip(starts, ends, strict=True):
        fault = _fault_of_text(start[1], text[start.end() : end])
        if fault not in found and len(found) < MAX_FAULTS:
            found.append(fault)
    return found


def _fault_of_text(values: str, behind: str) -> Fault:
    registers = {name: int(value, 16) for name, value in _VALUE.findall(values)}
    build = _BUILD.search(behind)
    words = [int(part, 16) for part in build.groups()] if build else []
    first = _STACK.search(behind)
    at = int(first[1], 16) if first else registers.get("sp", 0)
    return Fault(
        machine=_machine(registers),
        registers=registers,
        build_id=struct.pack(f"<{len(words)}I", *words),
        stack_at=at,
        stack=b"".join(_stack_lines(behind, at)),
        lost="pc" in registers and not registers["pc"] and not registers.get("lr", 1),
    )


def _machine(registers: dict[str, int]) -> int:
    return XTENSA if "exccause" in registers else RISCV if "mcause" in registers else ARM


def _stack_lines(text: str, address: int) -> Iterator[bytes]:
    """The stack's bytes from `address` up, as far as lines follow on one another."""
    for found in _STACK.finditer(text):
        if int(found[1], 16) != address:
            return
        words = [int(word, 16) for word in found[2].split()]
        yield struct.pack(f"<{len(words)}I", *words)
        address += 4 * len(words)


def _arm_cause(fault: Fault) -> str:
    cfsr, hfsr = fault.registers.get("cfsr", 0), fault.registers.get("hfsr", 0)
    told = [words for bit, words in _CFSR.items() if cfsr >> bit & 1]
    told += [words for bit, words in _HFSR.items() if hfsr >> bit & 1]
    at = ""
    if cfsr & _BFARVALID:
        at = f", at address 0x{fault.registers.get('bfar', 0):08x}"
    elif cfsr & _MMARVALID:
        at = f", at address 0x{fault.registers.get('mmfar', 0):08x}"
    return ("; ".join(told) or f"unknown: CFSR 0x{cfsr:08x}, HFSR 0x{hfsr:08x}") + at


def _xtensa_cause(fault: Fault) -> str:
    number = fault.registers.get("exccause", 0)
    words = _EXCCAUSE.get(number, "coprocessor is off" if 32 <= number < 40 else "unknown")
    at = f", at address 0x{fault.registers.get('excvaddr', 0):08x}"
    return f"{words} (EXCCAUSE {number}){at if number in _WITH_ADDRESS else ''}"


def _riscv_cause(fault: Fault) -> str:
    number = fault.registers.get("mcause", 0)
    at = f", at address 0x{fault.registers.get('mtval', 0):08x}"
    words = _MCAUSE.get(number, "unknown")
    return f"{words} (mcause {number}){at if number in _MTVAL_ADDRESS else ''}"


_CAUSES = {ARM: _arm_cause, XTENSA: _xtensa_cause, RISCV: _riscv_cause}
