"""Put firmware on a board and prove that it runs.

``python -m host_tools.boards.flash --tool sam-ba|esptool --port PORT --image FILE`` is what
PlatformIO's upload target calls (boards/platform/builder/main.py, with PYTHONPATH at the folder of
the packages). FILE is

- for ``sam-ba``: the raw binary of the application (objcopy -O binary), which the boot loader of
  the Nano 33 BLE places behind itself;
- for ``esptool``: an image made by ``esptool elf2image`` that the ROM loader starts by itself;
  --chip and --image-at, the place in the flash, come from the board's JSON file.

An empty PORT ends at once with what to plug in and what to type. Exit codes: 0 uploaded, 2 wrong
use or a tool that is not installed, 3 no such port or the upload failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from host_tools.boards import sam_ba
from host_tools.boards.board import Board, load_board
from host_tools.build.firmware import pio_environment
from host_tools.build.workspace import open_workspace
from host_tools.errors import DeviceError, HostToolsError, ToolMissing, UsageError
from host_tools.link.device import Device
from host_tools.link.target import check_identity
from host_tools.link.transport import (
    SerialTransport,
    require_port,
    serial_ports,
    touch_port,
    usb_identity,
    usb_ports,
)
from host_tools.report.results import read_manifest

log = logging.getLogger(__name__)

LOADER = "2341:005a"  # the Nano 33 BLE's boot loader; its Arduino application is 2341:805a
NOT_A_NANO = {"2341:1002": "Arduino UNO R4 WiFi"}  # it tells the same chip
TOUCH_BAUD = 1200  # opening and closing a port at this speed asks for the boot loader
LEAVE_S = 3.0  # a port that has not vanished by then belongs to the boot loader already
RETURN_S = 10.0
POLL_S = 0.05
SETTLE_S = 0.5  # for the system to set the access rights of a port that has just appeared
TOOL_S = 300.0
BUILD_S = 600.0
STDERR = 2  # file descriptor; standard output is for results
START_S = 15.0  # from the end of the upload to the first answer
PORT_HINTS = {
    "sam-ba": sam_ba.RESET,
    "esptool": "An ESP32 board shows up by its USB-serial chip (CP210x or CH340).",
}
FAST_WITH_FRAMEWORK = ("esp32",)  # whose fast kernels suit the framework's compiler and ABI


def chip_board(board: Board, framework: str = "bare") -> Board:
    """The board with the kernels for its chip, which its emulator may lack the instructions of."""
    if framework != "bare" and board.id not in FAST_WITH_FRAMEWORK:
        return load_board(f"{board.id}-ref")
    if board.upload is None or board.folder != board.id or board.upload.kernels == board.kernels:
        return board
    return load_board(f"{board.id}-{board.upload.kernels}")


def flash(
    out_dir: Path,
    board: Board,
    *,
    port: str | None,
    link_port: str | None,
    framework: str = "bare",
) -> int:
    """Upload the firmware that lies in `out_dir`, and run its self-test over the link; returns 0.

    `out_dir` is a folder of results in which `board` has been built. `link_port` is where the link
    is, when its connector is not the one of the upload. `framework` is "bare" or "arduino".

    Raises UsageError or DeviceError within seconds when a port is missing, DeviceError when the
    upload fails, the board stays silent or runs another model, HostToolsError when the self-test
    fails.
    """
    port, again = choose_port(board, port)
    if link_port:
        require_port(link_port, f"make flash BOARD={board.id} PORT={port} LINK_PORT={{port}}")
    assert board.uart is not None and board.upload is not None
    manifest = read_manifest(board, out_dir)
    before = _ports_near(port)
    try:
        if framework == "bare":
            image = out_dir / board.folder / "firmware.bin"
            if not image.is_file():
                raise UsageError(f"{image}: no image; run `make build BOARD={board.folder}` first")
            UPLOADERS[board.upload.tool](port, image, board.upload.chip, board.upload.image_at)
        else:
            _upload_with_platformio(board, board.gen_dir(out_dir), framework, port)
    except DeviceError as error:
        raise DeviceError(
            f"{error}\nThe upload to {port} failed. To repeat it, type: {again.format(port=port)}"
        ) from error
    wiring = board.uart.wiring if framework == "bare" else ""
    if link_port is None and wiring:
        sys.stdout.write(_unlinked(board, wiring, again.format(port=port)))
        return 0
    device = Device(
        SerialTransport(link_port or _come_back(port, before), board.baud), start_s=START_S
    )
    with device:
        sys.stdout.write(_prove(board, device, manifest))
    return 0


def _upload_with_platformio(board: Board, gen_dir: Path, framework: str, port: str) -> None:
    """A framework's platform brings its own way to upload."""
    with open_workspace(board, pio_environment(board, framework), gen_dir) as workspace:
        command = workspace.command("--target", "upload", "--upload-port", port)
        _run(command, BUILD_S, DeviceError, workspace.variables)


def choose_port(board: Board, port: str | None) -> tuple[str, str]:
    """(the port to upload to, the command to repeat with {port} in it).

    Without `port` it is the one with the board's USB identity. Raises UsageError when there is
    none, when several have it, and for a board that nothing is uploaded to.
    """
    if board.upload is None or board.uart is None:
        raise UsageError(f"{board.id} is no board to upload to: make parity BOARD={board.id}")
    again = f"make flash BOARD={board.id} PORT={{port}}"
    if not port:
        found = [p for p in usb_ports() if p.usb in board.upload.usb]
        if len(found) > 1:
            listed = "".join(f"\n  {again.format(port=p.name)}  {p.text}" for p in found)
            raise UsageError(f"several ports may be a {board.title}; type one of:{listed}")
        if found:
            chosen = found[0]
            print(f"port {chosen.name}: {chosen.text} (USB {chosen.usb})", file=sys.stderr)
            return chosen.name, again
    require_port(port or "", again, PORT_HINTS[board.upload.tool])
    assert port
    return port, again


def _unlinked(board: Board, wiring: str, again: str) -> str:
    return (
        f"uploaded to {board.id}; self-test not run, because its link is not connected.\n{wiring}\n"
        f"Then type: {again} LINK_PORT=<the adapter's port>\n"
        f"or watch the board itself: make monitor BOARD={board.id} PORT=<the adapter's port>\n"
    )


def _prove(board: Board, device: Device, manifest: dict[str, Any]) -> str:
    check_identity(device, manifest, board)
    selftest = device.selftest()
    if selftest.failures:
        raise HostToolsError(
            f"{board.id} computes wrong results: {selftest.failures} of {selftest.cases} golden "
            f"vectors differ, the first at case {selftest.first_case}, byte {selftest.first_byte}: "
            f"expected {selftest.expected}, got {selftest.got}. "
            f"To see all differences, type: make parity BOARD={board.id} PORT=<the link's port>"
        )
    return (
        f"uploaded to {board.id}; it runs model {device.info.model_name} "
        f"{device.info.model_sha256[:16]}, self-test PASS: {selftest.cases} of {selftest.cases} "
        "golden vectors equal\n"
    )


def _run(
    command: Sequence[str],
    limit_s: float,
    failure: type[HostToolsError],
    variables: Mapping[str, str] | None = None,
) -> None:
    log.info("%s", " ".join(command))
    try:
        code = subprocess.run(
            command,
            env={**os.environ, **(variables or {})},
            timeout=limit_s,
            check=False,
            stdout=STDERR,
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise failure(f"{command[0]} did not end in {limit_s:.0f} s and was stopped") from error
    if code != 0:
        raise failure(f"`{' '.join(command)}` ended with code {code}")


def upload_with_sam_ba(port: str, image: Path, _chip: str, _image_at: str) -> None:
    """Write `image` through the boot loader of a Nano 33 BLE; `port` may come back renamed."""
    content = image.read_bytes()
    sam_ba.checked_image(content)  # before the board leaves its application
    print(sam_ba.upload(enter_boot_loader(port), content), file=sys.stderr)


def enter_boot_loader(port: str) -> str:
    """Ask the board for its boot loader and return the port this appears as.

    One with the boot loader's USB identity is left alone; another that does not vanish belongs to
    the boot loader too.
    """
    found = usb_identity(port)
    if found in NOT_A_NANO:
        raise DeviceError(
            f"{port} is an {NOT_A_NANO[found]}, whose boot loader passes for a Nano's; give the "
            "port of a Nano 33 BLE"
        )
    if found == LOADER:
        return port
    before = _ports_near(port)
    touch_port(port, TOUCH_BAUD)
    if not _wait(lambda: port not in _ports_near(port), LEAVE_S):
        return port
    return _come_back(port, before)


def _come_back(port: str, before: set[str]) -> str:
    """Return the port that a board which has left `port` comes back as: a new name or the same."""
    if "://" in port:
        return port
    if not _wait(lambda: bool(_candidates(port, before)), RETURN_S):
        raise DeviceError(
            f"{port} vanished and no port came back in {RETURN_S:.0f} s. Press the board's reset "
            "button twice, quickly, look which port appears, and repeat with that."
        )
    time.sleep(SETTLE_S)
    return min(_candidates(port, before))


def _candidates(port: str, before: set[str]) -> set[str]:
    now = _ports_near(port)
    return now - before or now & {port}


def _ports_near(port: str) -> set[str]:
    """The system's serial ports, and those whose names differ from `port` in the number only."""
    path = Path(port)
    stem = path.name.rstrip("0123456789")
    return set(serial_ports()) | {str(near) for near in path.parent.glob(f"{stem}*") if stem}


def _wait(condition: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def upload_with_esptool(port: str, image: Path, chip: str, image_at: str) -> None:
    """Write `image` where the ROM loader of `chip` finds it."""
    if importlib.util.find_spec("esptool") is None:
        raise ToolMissing("esptool is not installed; type: pip install esptool")
    tool = [sys.executable, "-m", "esptool", "--chip", chip, "--port", port]
    try:
        _run([*tool, "write-flash", image_at, str(image)], TOOL_S, DeviceError)
    except DeviceError as error:
        raise DeviceError(
            f"{error}\nHold the board's BOOT button while the upload starts, and repeat."
        ) from error


UPLOADERS = {"sam-ba": upload_with_sam_ba, "esptool": upload_with_esptool}


def main(arguments: Sequence[str] | None = None) -> int:
    """Upload one image; the upload target of PlatformIO calls this."""
    parser = argparse.ArgumentParser(
        prog="python -m host_tools.boards.flash", description=main.__doc__
    )
    parser.add_argument("--tool", choices=sorted(UPLOADERS), required=True)
    parser.add_argument("--port", default="", help="serial port of the board")
    parser.add_argument("--chip", default="", help="of esptool")
    parser.add_argument("--image-at", default="", help="place in the flash, for esptool")
    parser.add_argument("--image", type=Path, required=True, help="file to write")
    options = parser.parse_args(arguments)
    try:
        if not options.image.is_file():
            raise UsageError(f"no image at {options.image}; build it first: make build")
        again = "pio run --target upload --upload-port {port}"
        require_port(options.port, again, PORT_HINTS[options.tool])
        UPLOADERS[options.tool](options.port, options.image, options.chip, options.image_at)
    except HostToolsError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
