"""Upload through the boot loader of the Arduino Nano 33 BLE: SAM-BA, as Arduino has extended it.

A command ends with '#', its numbers are 8 hexadecimal digits. Offsets are from the application's
first byte at 0x10000. Source: ArduinoCore-mbed, bootloaders/nano33ble (its ELF file, disassembled):

    N#                        '\\n\\r'; binary mode
    V#, I#                    version; chip; each with '\\n\\r', a NUL and a stray byte behind it
    S<to>,<length># + bytes   no answer; bytes into its buffer of 8192
    Y<from>,0#                'Y\\n\\r'; where in the buffer the next Y takes its bytes from
    Y<to>,<length>#           'Y\\n\\r'; erases what covers whole pages of flash, and writes
    Z<from>,<length>#         'Z<crc>#\\n\\r'; CRC-16 of at most 4096 bytes of flash
    K#                        no answer; reset

It ignores what it does not know, and does not look whether flash took a byte: hence the CRC of
every page. An application whose first words are erased is not started, so the first page is
erased at the beginning and written at the end: a board whose upload was cut off waits in its boot
loader.
"""

from __future__ import annotations

import binascii
import contextlib
import re
import time

from host_tools.errors import DeviceError, UsageError
from host_tools.link.transport import SerialTransport, Transport
from model.progress import item_progress

BAUD = 115200  # of a USB port that has no wires: any will do
PAGE = 4096  # bytes; what the chip erases at once
BUFFER = 8192  # bytes of its buffer, which an S fills
ORIGIN = 0x10000  # of the application in flash
FLASH_END = 0x100000
RAM, RAM_END = 0x20000000, 0x20040000
CHIP = "nRF52840"
ANSWER_S = 2.0  # erasing and writing a page takes 0.13 s at most (nRF52840 PS v1.7, 4.3 NVMC)
LEAVE_S = 0.5  # that a port stays open behind K, since closing it may drop what was not sent
GREETINGS = (1, BUFFER, BUFFER)  # how many '#' before N: see BootLoader.greet
TRIES = 3  # of a page
RESET = (
    "Press the board's reset button twice, quickly, until its orange light pulses: the boot loader "
    "brings its own port."
)


class BootLoader:
    """The boot loader at the other end of a line; every method raises DeviceError."""

    def __init__(self, line: Transport) -> None:
        self._line, self._pending = line, b""

    def greet(self) -> str:
        """Its version; whatever it was doing is ended before.

        That may be an S whose bytes never came: it takes '#' for them, and ignores the rest.
        """
        for ends in GREETINGS:
            self._send(b"#" * ends + b"N#")
            if self._find(rb"\n\r", ANSWER_S / len(GREETINGS)) is not None:
                break
        else:
            raise DeviceError(
                f"{self._line.name}: no boot loader answers (N#, {len(GREETINGS)} times, "
                f"{ANSWER_S:g} s). {RESET} Then repeat with that port."
            )
        version = self._ask(b"V#", rb"([ -~]+)\n\r")[1].decode("ascii")
        if "SAM-BA extended" not in version or not re.search(r"\[Arduino:\w*Y\w*Z\w*\]", version):
            raise DeviceError(
                f"{self._line.name}: the boot loader says {version!r}; expected Arduino's "
                "'SAM-BA extended' with the commands Y and Z: this is another board or an old boot "
                "loader"
            )
        return version

    def chip(self) -> str:
        """What it says its chip is."""
        return self._ask(b"I#", rb"([ -~]+)\n\r")[1].decode("ascii")

    def write(self, offset: int, page: bytes) -> None:
        """Erase and write one page; what flash has taken of it is not known yet."""
        self._send(b"S%08X,%08X#" % (0, len(page)) + page)
        for command in (b"Y%08X,0#" % 0, b"Y%08X,%08X#" % (offset, len(page))):
            self._ask(command, rb"Y\n\r")

    def crc(self, offset: int, length: int) -> int:
        """CRC-16 (polynomial 0x1021, from 0) of flash."""
        return int(self._ask(b"Z%08X,%08X#" % (offset, length), rb"Z([0-9A-Fa-f]{8})#\n\r")[1], 16)

    def reset(self) -> None:
        """Leave, into the application; the port may vanish before all is sent or said."""
        with contextlib.suppress(DeviceError):
            self._send(b"K#")
            self._line.read(LEAVE_S)

    def _send(self, data: bytes) -> None:
        self._pending = b""
        self._line.write(data)

    def _ask(self, command: bytes, answer: bytes) -> re.Match[bytes]:
        """The answer; bytes before it are what an earlier answer has left."""
        self._send(command)
        found = self._find(answer, ANSWER_S)
        if found is None:
            said = f"but {self._pending[-40:]!r}" if self._pending else "no byte"
            raise DeviceError(
                f"{self._line.name}: the boot loader has fallen silent: to {command.decode()} it "
                f"sent in {ANSWER_S:g} s {said}. Unplug the board, plug it in again. {RESET} Then "
                "repeat."
            )
        return found

    def _find(self, pattern: bytes, limit_s: float) -> re.Match[bytes] | None:
        end = time.monotonic() + limit_s
        while (found := re.search(pattern, self._pending)) is None:
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._pending += self._line.read(left)
        return found


def checked_image(image: bytes) -> bytes:
    """The image in whole pages, filled with 0xFF; UsageError for what cannot run at 0x10000.

    Its first words are the stack's end and the entry point (Armv7-M, B1.5.3).
    """
    room = FLASH_END - ORIGIN
    if not 8 <= len(image) <= room:
        raise UsageError(f"an image of {len(image):,} bytes: expected 8 to {room:,}")
    stack, entry = (int.from_bytes(image[i : i + 4], "little") for i in (0, 4))
    if not RAM < stack <= RAM_END or not (entry & 1 and ORIGIN <= entry < ORIGIN + len(image)):
        raise UsageError(
            f"the image begins with a stack at {stack:#010x} and an entry at {entry:#010x}; "
            f"expected RAM below {RAM_END:#x} and an odd address in the image at {ORIGIN:#x}: it "
            "is no raw binary for the Nano 33 BLE (objcopy -O binary of its ELF file)"
        )
    return image + b"\xff" * (-len(image) % PAGE)


def upload(port: str, image: bytes) -> str:
    """Write and verify an image through the boot loader at `port`, and start it.

    Returns a sentence about what was done. Raises UsageError for an image that cannot be one,
    DeviceError for another chip, a page that flash does not take, and a silent or vanished port.
    """
    whole = checked_image(image)
    line = SerialTransport(port, BAUD)
    try:
        loader = BootLoader(line)
        version, chip = loader.greet(), loader.chip()
        if not chip.startswith(CHIP):
            raise DeviceError(
                f"{port}: the boot loader is on a {chip}; expected an {CHIP}. Nothing was written: "
                "this is another board than a Nano 33 BLE"
            )
        loader.write(0, b"\xff" * PAGE)
        pages = [*range(PAGE, len(whole), PAGE), 0]
        for offset in item_progress(pages, f"writing {len(pages)} pages", always=True):
            _write_page(loader, port, offset, whole[offset : offset + PAGE])
        loader.reset()
    finally:
        line.close()
    return (
        f"{len(image):,} bytes in {len(pages)} pages, the CRC of each equal, written by {version} "
        f"on {chip}"
    )


def _write_page(loader: BootLoader, port: str, offset: int, page: bytes) -> None:
    expected = binascii.crc_hqx(page, 0)
    for _ in range(TRIES):
        loader.write(offset, page)
        got = loader.crc(offset, len(page))
        if got == expected:
            return
    raise DeviceError(
        f"{port}: the page at {ORIGIN + offset:#x} does not hold what was written, {TRIES} times: "
        f"expected CRC {expected:#06x}, got {got:#06x}. The application is incomplete, so the "
        "board waits in its boot loader: repeat; if it stays so, this page of the flash is worn "
        "out or protected"
    )
