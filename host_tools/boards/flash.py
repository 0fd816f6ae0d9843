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
import glob
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from host_tools.boards import rom_loader, sam_ba
from host_tools.boards.board import Board
from host_tools.boards.ports import LOADER, USB, one_of
from host_tools.build.firmware import build_limit, pio_environment
from host_tools.build.workspace import open_workspace
from host_tools.errors import DeviceError, HostToolsError, UsageError
from host_tools.link.device import Device
from host_tools.link.target import check_identity, image_words, open_port
from host_tools.link.transport import (
    UsbPort,
    port_exists,
    require_port,
    serial_ports,
    touch_port,
    usb_identity,
    usb_ports,
)
from host_tools.processes import run_whole
from host_tools.report.results import read_manifest

log = logging.getLogger(__name__)

NOT_A_NANO = {"2341:1002": "Arduino UNO R4 WiFi"}  # it tells the same chip
TOUCH_BAUD = 1200  # opening and closing a port at this speed asks for the boot loader
LEAVE_S = 3.0  # a port that has not vanished by then belongs to the boot loader already
RETURN_S = 10.0
POLL_S = 0.05
SETTLE_S = 0.5  # for the system to set the access rights of a port that has just appeared
STDERR = 2  # file descriptor; standard output is for results
LINK_START_S = 3.0  # for firmware that runs already
START_S = 15.0  # from the end of the upload to the first answer
PORT_HINTS = {
    "sam-ba": sam_ba.RESET,
    "esptool": rom_loader.PORT_HINT,
}
RETURN_HINTS = {
    "sam-ba": "Press the board's reset button twice, quickly, look which port appears, and repeat "
    "with that.",
    "esptool": rom_loader.RETURN_HINT,
}


def flash(
    out_dir: Path,
    board: Board,
    *,
    port: str | None,
    link_port: str | None,
    framework: str = "bare",
    says: str = "",
    again: str = "",
) -> int:
    """Upload the firmware that lies in `out_dir`, and run its self-test over the link; returns 0.

    `out_dir` is a folder of results in which `board` has been built. `link_port` is where the link
    is, when its connector is not the one of the upload. `framework` is "bare" or "arduino";
    `says` names the recipe or model on make's command line, `again` is the command that repeats
    this one, with {port} in it.

    Raises UsageError or DeviceError within seconds when a port is missing, DeviceError when the
    upload fails, the board stays silent or runs another model, HostToolsError when the self-test
    fails.
    """
    port, again = choose_port(board, port, link_port, framework, again)
    if link_port:
        require_port(link_port, f"{again.replace('{port}', port)} LINK_PORT={{port}}")
    assert board.uart is not None and board.upload is not None
    manifest = read_manifest(board, out_dir)
    if not port and link_port:
        port = through_link(board, link_port, again)
    before = _ports_near(port)
    _upload(out_dir, board, framework, port, again.replace("{port}", port))
    wiring = board.uart.wiring if framework == "bare" else ""
    if link_port is None and wiring:
        sys.stdout.write(_unlinked(board, wiring, again.replace("{port}", port)))
        return 0
    firmware = [usb for usb in board.upload.usb if usb != LOADER]
    at = link_port or _come_back(port, before, board.upload.tool, firmware)
    board = board.with_framework(framework)
    images = [out_dir / board.folder / "firmware.elf"] if framework == "bare" else []
    with Device(open_port(at, board), start_s=START_S, images=images) as device:
        sys.stdout.write(_prove(board, device, manifest, says))
        sys.stdout.write(_commands(board, at, says))
    return 0


def _upload(out_dir: Path, board: Board, framework: str, port: str, again: str) -> None:
    """`again` is the command that repeats it, for whoever it fails or is interrupted for."""
    assert board.upload is not None
    try:
        if framework == "bare" or board.upload.tool == "sam-ba":  # one image, ours to write
            image = out_dir / board.results(framework) / "firmware.bin"
            if not image.is_file():
                how = "" if framework == "bare" else f" FRAMEWORK={framework}"
                raise UsageError(
                    f"{image}: no image; run `make build BOARD={board.folder}{how}` first"
                )
            UPLOADERS[board.upload.tool](port, image, board.upload.chip, board.upload.image_at)
        else:
            _upload_with_platformio(board, board.gen_dir(out_dir), framework, port)
    except DeviceError as error:
        raise DeviceError(
            f"{error}\nThe upload to {port} failed. To repeat it, type: {again}"
        ) from error
    except KeyboardInterrupt:
        print(
            f"the upload to {port} was cut off, and the board may have no application now; to "
            f"repeat it, type: {again}",
            file=sys.stderr,
        )
        raise


def _commands(board: Board, port: str, says: str) -> str:
    """What to type next, with the port that the firmware answers at."""
    name = f"{says} BOARD={board.id} PORT={port}".lstrip()
    if board.selftest:
        return f"compare its kernels with the reference: make selftest {name}\n"
    if board.mlperf:
        return (
            f"compare every output byte: make parity {name}\n"
            f"run the benchmark: make mlperf {name} MLPERF={board.mlperf}\n"
        )
    return (
        f"compare every output byte: make parity {name}\n"
        f"count its cycles: make bench {name}\nwatch it: make monitor PORT={port}\n"
    )


def _upload_with_platformio(board: Board, gen_dir: Path, framework: str, port: str) -> None:
    """A framework's platform brings its own way to upload."""
    with open_workspace(board, pio_environment(board, framework), gen_dir) as workspace:
        command = workspace.command("--target", "upload", "--upload-port", port)
        _run(command, build_limit(board), DeviceError, workspace.variables)


def choose_port(
    board: Board,
    port: str | None,
    link_port: str | None = None,
    framework: str = "bare",
    again: str = "",
) -> tuple[str, str]:
    """(the port to upload to, the command to repeat with {port} in it: `again` if there is one).

    Without `port` it is the one with the board's USB identity; '' when there is none yet and the
    firmware at `link_port` can be asked for it, see through_link. Raises UsageError when there is
    none, when several have it, and for a board that nothing is uploaded to.
    """
    if board.upload is None or board.uart is None:
        raise UsageError(f"{board.id} is no board to upload to: make parity BOARD={board.id}")
    name = f"{board.id}{board.suffix}"
    bare = " FRAMEWORK=bare" if framework == "bare" and board.frameworks else ""
    again = again or f"make flash BOARD={name}{bare} PORT={{port}}"
    if not port or port == USB:
        found = [p for p in usb_ports() if p.usb in board.upload.usb]
        chosen = one_of(found, f"the {board.title}", again)
        port = chosen.name if chosen else ""
    if link_port and board.upload.tool == "sam-ba" and not port_exists(port):
        require_port(link_port, f"{again.replace('{port}', port or '<port>')} LINK_PORT={{port}}")
        return "", again
    require_port(port, again, PORT_HINTS[board.upload.tool])
    return port, again


def through_link(board: Board, link_port: str, again: str) -> str:
    """Have the firmware at `link_port` reset into the boot loader; returns the port of this.

    Raises UsageError, with what to press, when no firmware of `board` answers there or none of
    these has a boot loader to enter, DeviceError when the boot loader does not appear.
    """
    try:
        with Device(open_port(link_port, board), start_s=LINK_START_S, running=True) as device:
            if device.info.board_id != board.id:
                raise DeviceError(f"{link_port}: this firmware is of {device.info.board_id}")
            if not device.enter_boot_loader():
                raise DeviceError(f"{link_port}: this firmware cannot enter a boot loader")
    except DeviceError as error:
        print(f"the boot loader was not asked for over the link: {error}", file=sys.stderr)
        require_port("", again, sam_ba.RESET)
    print(f"{link_port}: the board resets into its boot loader", file=sys.stderr)
    if not _wait(lambda: bool(_loaders()), RETURN_S):
        raise DeviceError(
            f"no port of the boot loader (USB {LOADER}) has appeared in {RETURN_S:.0f} s: connect "
            f"the board's own USB connector to this computer. {sam_ba.RESET}"
        )
    time.sleep(SETTLE_S)
    chosen = one_of(_loaders(), f"the {board.title}", again)
    assert chosen is not None
    return chosen.name


def _loaders() -> list[UsbPort]:
    return [port for port in usb_ports() if port.usb == LOADER]


def _unlinked(board: Board, wiring: str, again: str) -> str:
    return (
        f"uploaded to {board.id}; self-test not run, because its link is not connected.\n{wiring}\n"
        f"Then type: {again} LINK_PORT=<the adapter's port>\n"
        f"or watch the board itself: make monitor BOARD={board.id} PORT=<the adapter's port>\n"
    )


def _prove(board: Board, device: Device, manifest: dict[str, Any], says: str) -> str:
    check_identity(device, manifest, board)
    selftest = device.selftest()
    if selftest.failures:
        raise HostToolsError(
            f"{board.id} computes wrong results: {selftest.failures} of {selftest.cases} golden "
            f"vectors differ, the first at case {selftest.first_case}, byte {selftest.first_byte}: "
            f"expected {selftest.expected}, got {selftest.got}. "
            "To see all differences, type: make parity "
            + f"{says} BOARD={board.id} PORT=<the link's port>".lstrip()
        )
    said = image_words(device.info.kernels, device.info.framework, device.info.engine)
    equal = f"self-test PASS: {selftest.cases} of {selftest.cases} golden vectors equal"
    return (
        f"uploaded to {board.id}; it runs model {device.info.model_name} "
        f"{device.info.model_sha256[:16]} ({said}), "
        f"{equal if selftest.cases else 'without a self-test: make parity compares its outputs'}\n"
    )


def _run(
    command: Sequence[str],
    limit_s: float,
    failure: type[HostToolsError],
    variables: Mapping[str, str] | None = None,
) -> None:
    log.info("%s", " ".join(command))
    try:
        environment = {**os.environ, **(variables or {})}
        code = run_whole(command, limit_s, env=environment, stdout=STDERR).returncode
    except subprocess.TimeoutExpired as error:
        raise failure(f"{command[0]} did not end in {limit_s:.0f} s and was stopped") from error
    if code != 0:
        raise failure(f"`{' '.join(command)}` ended with code {code}")


def upload_with_sam_ba(port: str, image: Path, _chip: str, _image_at: str) -> None:
    """Write `image` through the boot loader of a Nano 33 BLE; `port` may come back renamed."""
    try:
        content = image.read_bytes()
    except OSError as error:
        raise UsageError(f"{image}: {error.strerror}; build it again: make build") from error
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
    return _come_back(port, before, "sam-ba", (LOADER,))


def _come_back(port: str, before: set[str], tool: str, usb: Sequence[str]) -> str:
    """Return the port that a board which has left `port` comes back as: a new name or the same.

    `usb` are the USB identities that it may have then; another device that was plugged in
    meanwhile, or a boot loader that is about to vanish, is not waited for.
    """

    def is_ours(name: str) -> bool:
        found = usb_identity(name)
        return found in ("", *usb) or (name == port and found != LOADER)

    def candidates() -> set[str]:
        return {name for name in _candidates(port, before) if is_ours(name)}

    if "://" in port:
        return port
    if not _wait(lambda: bool(candidates()), RETURN_S):
        raise DeviceError(
            f"{port} vanished and no port came back in {RETURN_S:.0f} s. {RETURN_HINTS[tool]}"
        )
    time.sleep(SETTLE_S)
    return min(candidates())


def _candidates(port: str, before: set[str]) -> set[str]:
    now = _ports_near(port)
    return now - before or now & {port}


def _ports_near(port: str) -> set[str]:
    """The system's serial ports, and those whose names differ from `port` in the number only."""
    path = Path(port)
    stem = path.name.rstrip("0123456789")
    return set(serial_ports()) | {
        str(near) for near in path.parent.glob(f"{glob.escape(stem)}*") if stem
    }


def _wait(condition: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


UPLOADERS = {"sam-ba": upload_with_sam_ba, "esptool": rom_loader.upload_with_esptool}


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
