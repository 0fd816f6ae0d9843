"""Count exactly what ran inside calls of a firmware's functions, by a plugin of QEMU.

The plugin (host_tools/emulators/count.c) is compiled when it is needed. Its counts do not depend on
the speed of this computer: the same firmware and input give the same numbers.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from elftools.elf.elffile import ELFFile

from host_tools import emulators
from host_tools.bench.instructions import Executed
from host_tools.boards.board import Board
from host_tools.build.elf import symbol_address
from host_tools.emulators import Pluggable
from host_tools.errors import HostToolsError, ToolMissing
from host_tools.link.target import Target
from model.processes import scratch_folder

SOURCE = Path(emulators.__file__).with_name("count.c")
COMPILE = ("gcc", "-std=c11", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
COMPILE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a function: every instruction that ran in it, by rising address."""

    function: str
    executed: tuple[Executed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A target with the plugin loaded; `path` is complete when the target has ended."""

    target: Target
    path: Path
    functions: dict[int, str]  # by address relative to the code

    def calls(self) -> list[Call]:
        """All calls, in order. Raises HostToolsError when the file is not the plugin's."""
        try:
            with self.path.open(encoding="utf-8") as lines:
                return list(read_calls(lines, self.functions))
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise HostToolsError(
                f"{self.path.name}: not what {SOURCE.name} writes: {error!r}"
            ) from error


@contextmanager
def counting(
    target: Target, board: Board, elf: Path, functions: Sequence[str]
) -> Iterator[Counter]:
    """`target` with the calls of `functions` in `elf` counted.

    Raises ToolMissing when the emulator takes no plugins or the plugin cannot be compiled, and
    HostToolsError when `elf` has none of the functions.
    """
    if not isinstance(target.emulator, Pluggable):
        raise ToolMissing(f"{target.name} takes no plugins of QEMU")
    base, size, arm = _code(elf)
    found = {f: symbol_address(elf, f) for f in functions}
    missing = [f for f, address in found.items() if address is None]
    if missing:
        raise HostToolsError(f"{elf}: no function {', '.join(missing)}; build it again")
    # The lowest bit of a function's address on Arm says Thumb.
    starts = {a & ~1 if arm else a: f for f, a in found.items() if a is not None}
    with scratch_folder("count") as folder:
        out = folder / "counts"
        words = [str(_compile(folder)), f"out={out}", f"base={base}", f"bytes={size}"]
        words += [f"mark={address}" for address in starts]
        flash = board.memory_for("constants")
        if flash is not None and "data" not in flash.holds:
            words += [f"flash={flash.origin}", f"flash_bytes={flash.bytes}"]
        yield Counter(
            target=replace(target, emulator=target.emulator.with_plugin(",".join(words))),
            path=out,
            functions={address - base: f for address, f in starts.items()},
        )


def is_arm(elf: Path) -> bool:
    """Whether a firmware is for an Arm core."""
    return _code(elf)[2]


def read_calls(lines: Iterable[str], functions: dict[int, str]) -> Iterator[Call]:
    """Read what the plugin wrote.

    Raises ValueError, KeyError or IndexError for anything else, and when something ran outside the
    code.
    """
    texts: dict[int, str] = {}
    function = ""
    places: list[list[int]] = []
    for line in lines:
        word, rest = line.rstrip("\n").split(" ", 1)
        if word == "insn":
            address, text = rest.split(" ", 1)
            texts[int(address)] = " ".join(text.split())
        elif word == "call":
            function, places = functions[int(rest)], []
        elif word == "at":
            places.append([int(number) for number in rest.split()])
        elif word == "end" and int(rest) == 0:
            yield Call(function=function, executed=tuple(_executed(texts, places)))
        else:
            raise ValueError(f"unexpected line {line!r}")


def _executed(texts: dict[int, str], places: list[list[int]]) -> Iterator[Executed]:
    """Runs begin and end at `places`; between them every known instruction ran equally often."""
    known = sorted(texts)
    at = {place[0]: place[1:] for place in places}
    running = 0
    for address in sorted({*known, *at}):
        begun, ended, jumped, flash = at.get(address, (0, 0, 0, 0))
        running += begun - ended
        if running and address in texts:
            yield Executed(
                address=address, text=texts[address], count=running, jumped=jumped, flash=flash
            )
    if running:
        raise ValueError(f"{running} runs without an end")


def _code(elf: Path) -> tuple[int, int, bool]:
    """Address and bytes of the code, and whether it is Arm's."""
    with elf.open("rb") as file:
        parsed = ELFFile(file)
        section = parsed.get_section_by_name(".text")
        return section["sh_addr"], section["sh_size"], parsed["e_machine"] == "EM_ARM"


def _compile(folder: Path) -> Path:
    plugin = folder / "count.so"
    try:
        done = subprocess.run(
            [*COMPILE, str(SOURCE), "-o", str(plugin)],
            capture_output=True,
            text=True,
            timeout=COMPILE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolMissing(f"{SOURCE.name}: {error}; type: sudo apt-get install gcc") from error
    if done.returncode != 0:
        raise ToolMissing(f"{SOURCE.name} does not compile: {done.stderr.strip()[-300:]}")
    return plugin
