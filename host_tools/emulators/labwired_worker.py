"""Run one firmware in labwired, its line on standard input and output.

A process of its own, because the simulator prints what a UART sends and may end with the firmware.
Usage: labwired_worker.py ELF (--system YAML | --chip NAME) [--fast-uart]. An ELF file with the
symbol `board_rtt` (firmware/board/esp32/rtt.h) is served through those rings in its memory, others
through the UART.
Exit codes: 0 the host has closed standard input, 3 the simulation has ended.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
from pathlib import Path
from typing import Any, Protocol

CHUNK_BYTES = 65536
SLICE = "200us"  # of simulated time between two looks at the line
RTT_MAGIC = 0x31545452
# Offsets of board_rtt_t.
ATTACHED, UP_BYTES, UP_HEAD, UP_TAIL, DOWN_BYTES, DOWN_HEAD, DOWN_TAIL, RINGS = range(4, 36, 4)
UART_CLKDIV = 0x14
FAST_CLKDIV = 16  # the simulator sends at the true baud rate, thousands of cycles a byte


class Line(Protocol):
    """The way in and out of the simulated firmware."""

    def send(self, data: bytes) -> int:
        """Hand over the beginning of `data` and return how many bytes were taken."""

    def receive(self) -> bytes:
        """Return what the firmware has sent."""


def make_fast(sim: Any) -> None:
    """Shorten the bits of an Espressif UART."""
    sim.write_u32(sim.symbol("reg_uart0") + UART_CLKDIV, FAST_CLKDIV)


class UartLine:
    """The simulator's UART; its input queue has no end. With `fast` its bits are made short once
    the firmware has sent something, so has set its baud rate."""

    def __init__(self, sim: Any, *, fast: bool) -> None:
        self._sim = sim
        self._fast = fast

    def send(self, data: bytes) -> int:
        self._sim.send_bytes(data)
        return len(data)

    def receive(self) -> bytes:
        sent = bytes(self._sim.read_uart_bytes())
        if sent and self._fast:
            self._fast = False
            make_fast(self._sim)
        return sent


class MemoryLine:
    """The UART until the first byte to the firmware, and the rings of board_rtt from then on."""

    def __init__(self, sim: Any, base: int) -> None:
        self._sim = sim
        self._base = base
        self._ready = False

    def send(self, data: bytes) -> int:
        if not self._is_ready():
            return 0
        self._write(ATTACHED, 1)
        size, head = self._read(DOWN_BYTES), self._read(DOWN_HEAD)
        room = size - (head - self._read(DOWN_TAIL)) % 2**32
        place = head % size
        taken = data[: min(room, size - place)]
        self._write_bytes(self._base + RINGS + self._read(UP_BYTES) + place, taken)
        self._write(DOWN_HEAD, (head + len(taken)) % 2**32)
        return len(taken)

    def receive(self) -> bytes:
        sent = bytes(self._sim.read_uart_bytes())
        if not self._is_ready():
            return sent
        size, head, tail = self._read(UP_BYTES), self._read(UP_HEAD), self._read(UP_TAIL)
        ring = self._sim.read_memory(self._base + RINGS, size) if head != tail else b""
        self._write(UP_TAIL, head)
        count = (head - tail) % 2**32
        return sent + bytes(ring[(tail + index) % size] for index in range(count))

    def _is_ready(self) -> bool:
        if not self._ready and self._read(0) == RTT_MAGIC:
            self._ready = True
            make_fast(self._sim)
        return self._ready

    def _read(self, offset: int) -> int:
        return int(self._sim.read_u32(self._base + offset))

    def _write(self, offset: int, value: int) -> None:
        self._sim.write_u32(self._base + offset, value)

    def _write_bytes(self, address: int, data: bytes) -> None:
        start, end = address & ~3, (address + len(data) + 3) & ~3
        words = bytearray(self._sim.read_memory(start, end - start))
        words[address - start : address - start + len(data)] = data
        for index in range(0, len(words), 4):
            self._sim.write_u32(start + index, int.from_bytes(words[index : index + 4], "little"))


def serve(sim: Any, line: Line, read_fd: int, write_fd: int) -> None:
    """Run the simulation until `read_fd` ends."""
    waiting = b""
    while True:
        readable, _, _ = select.select([] if waiting else [read_fd], [], [], 0)
        if readable:
            waiting = os.read(read_fd, CHUNK_BYTES)
            if not waiting:
                return
        if waiting:
            waiting = waiting[line.send(waiting) :]
        sim.run_for(SLICE)
        sent = line.receive()
        while sent:
            sent = sent[os.write(write_fd, sent) :]


def main() -> int:
    """Start the simulator on the command line's ELF file and serve it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("elf", type=Path)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--system", type=Path)
    model.add_argument("--chip")
    parser.add_argument("--fast-uart", action="store_true", help="of an Espressif chip")
    options = parser.parse_args()
    from labwired import Sim  # lazy: only this process needs it

    write_fd = os.dup(1)
    os.dup2(2, 1)  # the simulator's own prints go to standard error
    sim = Sim(options.elf, chip=options.chip, system=options.system)
    try:
        base = sim.symbol("board_rtt")
    except (KeyError, RuntimeError, ValueError):
        base = None
    line = UartLine(sim, fast=options.fast_uart) if base is None else MemoryLine(sim, base)
    try:
        serve(sim, line, 0, write_fd)
    except BrokenPipeError:
        return 0
    except RuntimeError as error:
        sys.stderr.write(f"\nthe simulation ended: {error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
