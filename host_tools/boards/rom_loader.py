"""Upload to an Espressif chip through the serial loader in its ROM, by esptool.

esptool speaks of what happened, not of what to do on this board, so its last words decide which
advice goes with them.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from host_tools.errors import DeviceError, ToolMissing
from model.processes import end_with_parent

log = logging.getLogger(__name__)

PORT_HINT = (
    "An ESP32 board shows up by its USB-serial chip (CP210x or CH340), an ESP32-C3 by its own USB."
)
RETURN_HINT = "Unplug the board, plug it in again, and repeat with the port that appears."
TOOL_S = 300.0
STDERR = 2  # file descriptor; standard output is for results

NO_LOADER = (
    "The chip's serial loader did not answer. Hold the board's BOOT button while the upload starts "
    "(boards without the two reset transistors need it every time), close programs that use the "
    "port, and repeat."
)
OTHER_CHIP = (
    "The board on this port has another chip, and nothing was written; give the port of a board "
    "with the chip that was named."
)
NOT_OPENED = "Close the program that has the port open, such as a serial monitor, and repeat."
HALF_WRITTEN = (
    "The flash may hold a part of the image only, which is not started: repeat the upload. If it "
    "ends like this again, take a short USB cable and a port of the computer instead of a hub."
)
UNKNOWN = "What esptool said stands above; repeat the command."
ADVICE = (  # by the first that matches what esptool says; pyserial's words for a port among them
    (re.compile(r"This chip is .*, not |[Ww]rong.*chip argument"), OTHER_CHIP),
    (re.compile(r"Lost connection|Flash will be erased|Writing at"), HALF_WRITTEN),
    (re.compile(r"port is busy|Could not (exclusively lock|open)|Permission denied"), NOT_OPENED),
    (re.compile(r"Failed to connect|No serial data received|boot mode"), NO_LOADER),
)


def upload_with_esptool(port: str, image: Path, chip: str, image_at: str) -> None:
    """Write `image` where the ROM of `chip` looks for it; what esptool says goes to standard error.

    Raises DeviceError with esptool's reason and what to do, ToolMissing without esptool.
    """
    if importlib.util.find_spec("esptool") is None:
        raise ToolMissing("esptool is not installed; type: pip install esptool")
    tool = [sys.executable, "-m", "esptool", "--chip", chip, "--port", port]
    command = [*tool, "write-flash", image_at, str(image)]
    log.info("%s", " ".join(command))
    code, said = _run(command)
    if code != 0:
        advice = next((advice for pattern, advice in ADVICE if pattern.search(said)), UNKNOWN)
        raise DeviceError(f"esptool ended with code {code}: {_reason(said)}\n{advice}")


def _run(command: Sequence[str]) -> tuple[int, str]:
    """(exit code, what it said); it is seen at once, with the progress bar of a terminal."""
    terminal = {"TTY_COMPATIBLE": "1"} if os.isatty(STDERR) else {}  # esptool prints with rich
    process = subprocess.Popen(
        command,
        env=os.environ | terminal,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        preexec_fn=end_with_parent(),
    )
    stop = threading.Timer(TOOL_S, process.kill)
    said = b""
    try:
        stop.start()
        with process:
            assert process.stdout is not None
            while part := process.stdout.read(4096):
                os.write(STDERR, part)
                said += part
        if not stop.is_alive():
            raise DeviceError(f"esptool did not end in {TOOL_S:.0f} s and was stopped")
    except KeyboardInterrupt:
        process.kill()
        process.wait()
        raise
    finally:
        stop.cancel()
    return process.returncode, said.decode(errors="replace")


def _reason(text: str) -> str:
    """esptool's last words: its error, else the last line of a Python traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR: ")]
    last = (errors or lines or ["it said nothing"])[-1]
    return last.removeprefix("ERROR: ").removeprefix("A fatal error occurred: ")
