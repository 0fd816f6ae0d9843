"""Run a firmware in its emulator with this terminal as its serial monitor."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

from host_tools.boards.board import Board
from host_tools.errors import DeviceError, UsageError
from host_tools.link.backtrace import explain
from host_tools.link.frames import REPLY, Frame, FrameDecoder, TextLine
from host_tools.link.protocol import MessageType
from host_tools.link.target import Target

QUIET_S = 2.0  # after the end of input: how long the firmware may be silent before we end


def run(board: Board, target: Target, board_dir: Path) -> int:
    """Show what the firmware says and send what is typed; Ctrl+D or Ctrl+C ends it.

    Raises UsageError when there is no firmware, DeviceError when the emulator ends by itself.
    """
    elf = board_dir / "firmware.elf"
    if target.emulator is None or not elf.exists():
        raise UsageError(f"{elf}: nothing to emulate; run `make build BOARD={board.folder}` first")
    transport = target.emulator.start(elf)
    decoder, stdin, typed = FrameDecoder(), sys.stdin.fileno(), True
    try:
        while True:
            data = transport.read(0.05 if typed else QUIET_S)
            for event in decoder.feed(data):
                if isinstance(event, TextLine):
                    print(event.text, flush=True)
                elif isinstance(event, Frame) and event.type == MessageType.FAULT | REPLY:
                    print(explain(event.payload, [elf]), flush=True)
            if typed and select.select([stdin], [], [], 0)[0]:
                line = os.read(stdin, 4096)
                typed = bool(line)
                transport.write(line)
            elif not typed and not data:
                return 0
    except DeviceError as error:
        raise DeviceError(f"{board.id}: the emulator ended: {error}") from error
    finally:
        transport.close()
