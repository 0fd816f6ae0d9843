"""What runs a firmware, an emulator or a board at a port, and the opened device there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools.boards.board import BOARDS, TFLM, Board, load_board
from host_tools.emulators import EMULATORS, Emulator, Lacking
from host_tools.errors import DeviceError, ToolMissing, UsageError
from host_tools.link.device import Device
from host_tools.link.transport import (
    BAUD,
    Gone,
    SerialTransport,
    Transport,
    port_exists,
    usb_identity,
    usb_port,
    usb_ports,
)
from model.files import write_text

RETURN_S = 60.0  # until a board that was unplugged has to be back
RETURN_POLL_S = 0.2
RUN_S = 600.0  # an inference may take
TOLD_SIZES = 5  # of tensors, in a message
ENGINE_LINE = "engine "  # of the firmware's command `info`, when its engine did not start


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the firmware runs: an emulator or a real port."""

    emulator: Emulator | None
    port: str | None
    # behind names of results: of an emulator that is not the board's first, of one port of many
    beside: str = ""

    @property
    def name(self) -> str:
        """For messages."""
        return self.port or (self.emulator.name if self.emulator else "")

    def unit(self, board: Board) -> str:
        """What the firmware's counter counts there; behind an address may be an emulator too."""
        return self.emulator.unit if self.emulator else board_unit(board)

    def is_chip(self, board: Board) -> bool:
        """Whether the board's own clock passes there."""
        return self.emulator is None and board.upload is not None

    @property
    def start_s(self) -> float:
        """Until firmware that starts there has to answer.

        A slow emulator runs the self-test at boot for minutes; its death is noticed at once.
        """
        return 300.0 if self.emulator else 10.0

    def file(self, result: str) -> str:
        """The name of a result's file: those of the board's first emulator are what stages read."""
        beside = self.beside or ("-port" if self.port else "")
        return f"{result}{beside}.json"

    @property
    def log(self) -> str:
        """The name of the file with what the firmware has said."""
        return f"link{self.beside if self.port else ''}.log"


def board_unit(board: Board) -> str:
    """What the counter of a board's firmware counts, wherever it runs but in an emulator of ours:
    of a chip cycles, of a board that only emulators have what these count."""
    return "cycles" if board.upload else EMULATORS[board.emulators[0]].unit


def choose_target(board: Board, emulator: str | None, port: str | None) -> Target:
    """The port if one is given, else the named emulator, else the board's first one."""
    if port:
        return Target(emulator=None, port=port)
    name = emulator or board.emulators[0]
    if name not in board.emulators:
        raise UsageError(
            f"board {board.id}: emulator {name!r} does not run it; "
            f"its emulators: {', '.join(board.emulators)}"
        )
    chosen = EMULATORS.get(name)
    if chosen is None:
        raise UsageError(
            f"{board.id}.json: tinyproof.emulators: no emulator {name!r}; there are "
            f"{', '.join(EMULATORS)}"
        )
    if isinstance(chosen, Lacking) and board.engine in chosen.lacks:
        others = " or ".join(e for e in board.emulators if e != name)
        raise UsageError(
            f"emulator {name}: it does not run ENGINE={board.engine}: {chosen.lacks[board.engine]}"
            + (f"; type EMULATOR={others}" if others else "")
        )
    if missing := chosen.missing():
        raise ToolMissing(f"emulator {name}: {missing}")
    first = name == board.emulators[0]
    return Target(emulator=chosen, port=None, beside="" if first else f"-{name}")


def open_port(port: str, board: Board | None) -> SerialTransport:
    """The serial port of a board; without one, of the board whose USB identity the port has.

    Raises UsageError or DeviceError when it cannot be opened.
    """
    if board is None and (usb := usb_identity(port)):
        known = (load_board(name) for name in BOARDS)
        board = next((b for b in known if b.upload and usb in b.upload.usb), None)
    if board is None or board.uart is None:
        return SerialTransport(port, BAUD)
    return SerialTransport(port, board.baud, dtr_rts=board.uart.dtr_rts)


def usb_serial(port: str) -> str:
    """The serial number of the USB device behind a serial port; '' for none."""
    found = usb_port(port)
    return found.serial if found else ""


def follow(port: str) -> Callable[[], str | None]:
    """What tells where the board that is at `port` now has come back; None while it is away.

    A board is the USB device with the same serial number; a port without one keeps its name.
    """
    was = usb_port(port)

    def name() -> str | None:
        if was is None or not was.serial:
            return port if port_exists(port) else None
        same = (p.name for p in usb_ports() if (p.usb, p.serial) == (was.usb, was.serial))
        return next(same, None)

    return name


def _reopening(target: Target, board: Board, elf: Path) -> Callable[[], Transport]:
    """How the line is opened again: the emulator anew, or the board's port, whatever its name."""
    emulator, port = target.emulator, target.port or ""
    if emulator is not None:
        return lambda: emulator.start(elf)
    find = follow(port)

    def reopen() -> Transport:
        deadline = time.monotonic() + RETURN_S
        why = "it is not there"
        while time.monotonic() < deadline:
            time.sleep(RETURN_POLL_S)
            if name := find():
                try:
                    return open_port(name, board)
                except DeviceError as error:  # its permissions come a moment later
                    why = str(error)
        raise Gone(f"{port}: the board did not come back in {RETURN_S:.0f} s: {why}")

    return reopen


@contextmanager
def open_device(target: Target, board: Board, board_dir: Path) -> Iterator[Device]:
    """The firmware of `board_dir`, running at `target`; the device's text goes to target.log."""
    elf = board_dir / "firmware.elf"
    if target.emulator is not None:
        if not elf.exists():
            raise UsageError(f"{elf}: no firmware; run `make build BOARD={board.folder}` first")
        transport = target.emulator.start(elf)
    else:
        transport = open_port(target.port or "", board)
    again = _reopening(target, board, elf)
    device = Device(
        transport,
        start_s=target.start_s,
        run_timeout_s=RUN_S,
        running=target.emulator is None,
        images=[elf],
        reconnect=again,
    )
    try:
        yield device
    finally:
        device.close()
        write_text(board_dir / target.log, "".join(line + "\n" for line in device.log))


def check_identity(device: Device, manifest: dict[str, Any], board: Board) -> None:
    """DeviceError when the firmware is of another model or board, or another image of them."""
    info = device.info
    if info.model_sha256 != manifest["model_sha256"]:
        raise DeviceError(
            f"board {board.id}: the firmware holds model {info.model_name} with hash "
            f"{info.model_sha256[:16]}, the manifest says {manifest['name']} with "
            f"{manifest['model_sha256'][:16]}; build and flash again: make flash BOARD={board.id}"
        )
    if info.run_id != manifest["run_id"]:
        raise DeviceError(
            f"board {board.id}: the firmware is of run {info.run_id}, the manifest for kernels "
            f"{manifest['kernels']} of run {manifest['run_id']}: other settings, kernels or "
            f"budget; build and flash again: make flash BOARD={board.id}"
        )
    if info.board_id != board.id:
        raise DeviceError(
            f"the firmware was built for {info.board_id}, not for {board.id}; "
            f"name the right board: BOARD={info.board_id}"
        )
    asked = image_words(manifest["kernels"], board.framework, board.engine)
    said = image_words(info.kernels, info.framework, info.engine)
    if said != asked:
        raise DeviceError(
            f"board {board.id}: the firmware has {said}; expected {asked}, which is what was asked "
            f"for; build and flash again: make flash BOARD={board.id}"
        )
    _check_engine(device, board)


def _check_engine(device: Device, board: Board) -> None:
    """DeviceError with the firmware's own words when its engine could not set the model up."""
    if device.info.engine != TFLM:
        return
    told = (line for line in device.command("info") if line.startswith(ENGINE_LINE))
    if (line := next(told, None)) is not None:
        raise DeviceError(
            f"board {board.id}: {line.removeprefix(ENGINE_LINE).strip()}; its arena has "
            f"{device.info.arena_bytes:,} bytes. Give it more with ARENA=bytes, or run generated "
            "code: ENGINE=aot"
        )


def check_tensors(device: Device, manifest: dict[str, Any], board: Board) -> None:
    """DeviceError when the firmware claims other inputs or outputs than its model has."""
    info = device.info
    for what, told in (("inputs", info.input_bytes), ("outputs", info.output_bytes)):
        wanted = tuple(tensor["bytes"] for tensor in manifest[what])
        if told != wanted:
            raise DeviceError(
                f"board {board.id}: the firmware says that the model's {what} have "
                f"{told[:TOLD_SIZES]} bytes, the manifest {wanted[:TOLD_SIZES]}; build and flash "
                f"again: make flash BOARD={board.id}"
            )


def image_words(kernels: str, framework: str, engine: str) -> str:
    """Which of a model's images one is, in words."""
    return f"kernels {kernels}, framework {framework}, engine {engine}"
