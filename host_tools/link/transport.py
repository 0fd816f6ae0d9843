"""Ways to exchange bytes with running firmware: pipes and serial ports.

Nothing above this module knows whether it talks to a chip, an emulator or a process.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from host_tools.errors import DeviceError, ToolMissing, UsageError

if TYPE_CHECKING:
    import serial

BAUD = 115200  # of a port of no named board
CHUNK_BYTES = 65536
WRITE_BYTES = 4096  # to a serial port at once: 0.4 s at 115200 baud
WRITE_STALL_S = 30.0  # the longest a receiver may leave the line full before it counts as dead
PENDING_BYTES = 16 << 20  # received while a write waits; a firmware says far less
NETWORK = ("socket://", "rfc2217://")  # pyserial's URLs of ports of other machines


class Gone(DeviceError):
    """The line has ended: unplugged, closed by the other side, or its process is no more."""


class Transport(Protocol):
    """A two-way byte stream to one running firmware."""

    name: str

    def write(self, data: bytes) -> None:
        """Send all of `data`; DeviceError when the other side has gone or takes nothing."""

    def read(self, timeout_s: float) -> bytes:
        """Return at least one byte, or b"" after `timeout_s`; DeviceError when the stream ended."""

    def close(self) -> None:
        """Release the line; may be called again."""


class PipeTransport:
    """A pair of POSIX file descriptors: pipes, FIFOs, sockets or a pty, owned from now on.

    When the stream ends, `why_gone` is asked for a sentence about the other side ("qemu-system-arm
    ended with code 1 and said: ..."). close() calls `on_close` once, after the descriptors.
    """

    def __init__(
        self,
        name: str,
        read_fd: int,
        write_fd: int,
        *,
        why_gone: Callable[[], str] | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._why_gone = why_gone
        self._on_close = on_close
        self._pending = bytearray()
        self._ended = False
        self._closed = False
        os.set_blocking(write_fd, False)

    def write(self, data: bytes) -> None:
        """Send all of `data`; takes in what arrives meanwhile, so two full pipes cannot lock up."""
        rest = memoryview(data)
        deadline = time.monotonic() + WRITE_STALL_S
        while rest:
            self._check_open()
            readers = [] if self._ended else [self._read_fd]
            left_s = max(0.0, deadline - time.monotonic())
            readable, writable, _ = select.select(readers, [self._write_fd], [], left_s)
            if not writable and (not readable or left_s == 0):
                raise DeviceError(
                    f"{self.name}: took nothing in {WRITE_STALL_S:.0f} s, {len(rest)} bytes left; "
                    "the firmware has stopped reading. Start it again."
                )
            if readable:
                self._receive()
                if len(self._pending) > PENDING_BYTES:
                    raise DeviceError(
                        f"{self.name}: sends without end and takes nothing, {len(rest)} bytes "
                        "left. Is it tinyproof's firmware?"
                    )
            if writable:
                try:
                    rest = rest[os.write(self._write_fd, rest[:CHUNK_BYTES]) :]
                    deadline = time.monotonic() + WRITE_STALL_S
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise self._gone() from error

    def read(self, timeout_s: float) -> bytes:
        """Return at least one byte, or b"" after `timeout_s`; DeviceError when the stream ended."""
        self._check_open()
        if not self._pending:
            if self._ended:
                raise self._gone()
            readable, _, _ = select.select([self._read_fd], [], [], max(0.0, timeout_s))
            if readable:
                self._receive()
                if self._ended:
                    raise self._gone()
        data = bytes(self._pending)
        self._pending.clear()
        return data

    def close(self) -> None:
        """Close both descriptors and run `on_close`; may be called again."""
        if self._closed:
            return
        self._closed = True
        for descriptor in {self._read_fd, self._write_fd}:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        if self._on_close is not None:
            self._on_close()

    def _receive(self) -> None:
        try:
            data = os.read(self._read_fd, CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:  # a pty whose other end closed says EIO
            data = b""
        self._pending += data
        self._ended = not data

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError(f"{self.name}: the connection was closed; open it again.")

    def _gone(self) -> Gone:
        reason = (
            self._why_gone() if self._why_gone is not None else "the other side closed the line"
        )
        return Gone(f"{self.name}: the connection ended: {reason}")


class SerialTransport:
    """A serial port by name (/dev/ttyACM0, COM3) or pyserial's URL: socket://host:port, loop://.

    rfc2217://host:port is one whose server sets speed, DTR and RTS as it is asked to.
    """

    def __init__(self, port: str, baud: int = BAUD, *, dtr_rts: bool = True) -> None:
        """`dtr_rts`: both lines on while the port is open; False: both off.

        Never one alone, not even for a moment: that resets boards which esptool can reset.
        """
        self.name = port
        self._port = _open_serial(port, baud, dtr_rts)

    def write(self, data: bytes) -> None:
        """Send all of `data`; DeviceError when the port has gone or takes nothing."""
        with self._reporting_loss():
            for at in range(0, len(data), WRITE_BYTES):
                self._port.write(data[at : at + WRITE_BYTES])

    def read(self, timeout_s: float) -> bytes:
        """Return at least one byte, or b"" after `timeout_s`; DeviceError when the port is gone."""
        with self._reporting_loss():
            self._port.timeout = max(0.0, timeout_s)
            data = bytes(self._port.read(1))
            while data and len(data) < CHUNK_BYTES and (waiting := self._port.in_waiting):
                data += bytes(self._port.read(waiting))
            return data

    def close(self) -> None:
        """Close the port; may be called again."""
        self._port.close()

    @contextlib.contextmanager
    def _reporting_loss(self) -> Iterator[None]:
        # pyserial: OSError for a device that was unplugged, TypeError for a port that was closed
        try:
            yield
        except _import_serial().SerialTimeoutException as error:
            raise DeviceError(
                f"{self.name}: took nothing in {WRITE_STALL_S:.0f} s; the firmware has stopped "
                "reading. Reset the board and repeat."
            ) from error
        except (OSError, TypeError) as error:
            raise Gone(
                f"{self.name}: the port has gone ({error}); plug the board in and repeat."
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbPort:
    """A serial port of a USB device: its name, the system's words, and 'vendor:product'."""

    name: str
    text: str
    usb: str  # hexadecimal: '2341:005a'
    serial: str = ""  # the device's own number; some have none


def usb_ports() -> list[UsbPort]:
    """The USB serial ports that exist now."""
    _import_serial()
    from serial.tools import list_ports

    return sorted(
        (
            UsbPort(
                name=str(p.device),
                text=str(p.description),
                usb=f"{p.vid:04x}:{p.pid:04x}",
                serial=p.serial_number or "",
            )
            for p in list_ports.comports()
            if p.vid is not None and p.pid is not None
        ),
        key=lambda port: port.name,
    )


def serial_ports() -> dict[str, str]:
    """Return the USB serial ports that exist now, each with what the system says about it."""
    return {port.name: port.text for port in usb_ports()}


def usb_identity(port: str) -> str:
    """'vendor:product' of the USB device behind a serial port or a link to one; '' for none."""
    found = usb_port(port)
    return found.usb if found else ""


def usb_port(port: str) -> UsbPort | None:
    """The USB device behind a serial port or a link to one."""
    names = {port, os.path.realpath(port)}
    return next((found for found in usb_ports() if found.name in names), None)


def port_exists(port: str) -> bool:
    """Whether there is such a serial port now; a URL counts as one."""
    return "://" in port or bool(port and Path(port).exists()) or port in serial_ports()


def require_port(port: str, what_to_type: str, hint: str = "") -> None:
    """Raise when `port` is empty (UsageError) or absent (DeviceError), listing those that exist.

    `what_to_type` is the command to repeat, with {port} where the name belongs; `hint` is what to
    do before.
    """
    if port_exists(port):
        return
    advice = port_advice(what_to_type, hint)
    if not port:
        raise UsageError(f"no serial port was given. {advice}")
    raise DeviceError(f"serial port {port} does not exist. {advice}")


def port_advice(what_to_type: str, hint: str = "") -> str:
    """Which ports there are, and the command to type with one of them; as of require_port."""
    ports = serial_ports()
    listed = "".join(f"\n  {name}  {text}" for name, text in sorted(ports.items()))
    found = (
        f"USB serial ports found:{listed}"
        if ports
        else "No USB serial port was found: plug the board in with a cable that carries data."
    )
    example = what_to_type.replace("{port}", min(ports, default="/dev/ttyACM0"))
    return "\n".join(filter(None, [found, hint, f"Then type, for example: {example}"]))


def touch_port(port: str, baud: int) -> None:
    """Open `port` at `baud` with DTR off and close it: boards read this as a wish.

    A port that vanishes meanwhile has understood; one that cannot be opened is a DeviceError.
    """
    module = _import_serial()
    touched = module.Serial()
    touched.port = port
    touched.baudrate = baud
    touched.dtr = False
    touched.exclusive = True  # not of a board that another command of ours is talking to
    try:
        touched.open()
    except OSError as error:
        raise DeviceError(f"cannot open {port}: {error}. {_open_hint(error)}") from error
    with contextlib.suppress(OSError):
        touched.close()


def _open_serial(port: str, baud: int, dtr_rts: bool) -> serial.Serial:
    module = _import_serial()
    require_port(port, "make monitor PORT={port}")
    network = port.lower().startswith(NETWORK)
    if network and not _has_place(port):
        scheme = port.partition("://")[0]
        raise DeviceError(f"cannot open {port}: expected {scheme}://host:port, as localhost:4000")
    # POSIX systems switch both lines on as the port opens; pyserial would take them off singly.
    posix = os.name == "posix" and not network
    try:
        opened: serial.Serial = module.serial_for_url(
            port, baudrate=baud, exclusive=True, do_not_open=True
        )
        if not port.lower().startswith("rfc2217://"):  # it takes none: its socket's is 5 s
            opened.write_timeout = WRITE_STALL_S
        opened.dtr = opened.rts = dtr_rts or posix
        opened.open()
    except (OSError, ValueError, TypeError, re.error) as error:  # what pyserial's URLs may raise
        hint = _network_hint(error) if network else _open_hint(error)
        raise DeviceError(f"cannot open {port}: {error}. {hint}") from error
    if posix and not dtr_rts:
        _both_lines_off(opened)
    return opened


def _has_place(url: str) -> bool:
    """Whether a URL names a host and the number of a port."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port is not None
    except ValueError:
        return False


def _both_lines_off(opened: serial.Serial) -> None:
    """DTR and RTS in one request; ports without them (socket://, a pseudo terminal) stay as is."""
    import fcntl  # POSIX only
    import termios

    with contextlib.suppress(AttributeError, OSError):  # no fileno; no such lines
        lines = termios.TIOCM_DTR | termios.TIOCM_RTS
        fcntl.ioctl(opened.fileno(), termios.TIOCMBIC, lines.to_bytes(4, sys.byteorder))


def _open_hint(error: Exception) -> str:
    code = getattr(error, "errno", None)
    if code == errno.EACCES:
        return (
            "Your user may not use serial ports: type `sudo usermod -a -G dialout $USER`, "
            "log out and in again, and repeat the command."
        )
    if code in (errno.EBUSY, errno.EAGAIN):
        return "Another program has the port open: close its serial monitor and repeat the command."
    if code in (errno.ENOTTY, errno.EINVAL, errno.EISDIR) or code is None or "ioctl" in str(error):
        return "That is no serial port; give the board's, such as /dev/ttyACM0."
    return "Unplug the board, plug it in again and repeat the command."


def _network_hint(error: Exception) -> str:
    if getattr(error.__context__, "errno", None) == errno.ECONNREFUSED:  # pyserial's own has none
        return "Nothing listens at that address; start the server or the tunnel there first."
    return "Check host and port, and that the server there speaks this protocol."


def _import_serial() -> ModuleType:
    try:
        import serial
    except ImportError as error:
        raise ToolMissing("pyserial is not installed; type: pip install pyserial") from error
    module: ModuleType = serial
    return module
