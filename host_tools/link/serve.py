"""Lend a serial port to another machine by RFC 2217, to one client after the other."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import struct
import sys
import threading
import time
from typing import NoReturn

import serial
import serial.rfc2217

from host_tools.errors import DeviceError, UsageError
from host_tools.link.transport import Gone, Transport

POLL_S = 0.1
STALL_S = 30.0  # a client that takes nothing for so long has gone
START_S = 10.0  # until a client has said the first of RFC 2217
IDLE_S = (
    660.0  # a client that has asked nothing for so long gives way to one that waits; a run: 600
)
FLOOD_S = 1.0  # of what a board has said before a client came
OTHER = b"tinyproof serve-port speaks RFC 2217: give the port as rfc2217://host:port\r\n"
CHUNK_BYTES = 65536
OPTION_BYTES = 1024  # of an option; RFC 2217 has few that are longer than five


def listen(address: str) -> socket.socket:
    """A listening socket at 'host:port', an address of this computer alone; port 0 takes any.

    Raises UsageError for another address: RFC 2217 knows neither users nor secrets.
    """
    host, _, number = address.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        loopback = ipaddress.ip_address(host).is_loopback
        port = int(number)
    except ValueError as error:
        raise UsageError(
            f"LISTEN={address}: expected <address>:<port>, such as 127.0.0.1:4000"
        ) from error
    if not loopback:
        raise UsageError(
            f"LISTEN={address}: expected an address of this computer alone, such as "
            f"127.0.0.1:{port}: whoever reaches the port has the board. Other machines come in by "
            f"ssh -L {port}:127.0.0.1:{port} <this computer>"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise UsageError(f"LISTEN={address}: cannot listen there: {error}") from error


def serve(transport: Transport, server: socket.socket) -> NoReturn:
    """Until the port has gone (DeviceError) or Ctrl+C.

    A client must speak RFC 2217: a page in a browser of this computer can send other bytes here.
    What a client does to the board ends this client's turn only.
    What clients want of speed, DTR and RTS is granted to a stand-in: the port keeps what its board
    needs, which one of these lines alone would reset.
    """
    while True:
        line, _ = server.accept()
        with line:
            line.settimeout(STALL_S)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if not _speaks(line):
                continue
            try:
                _lend(transport, line, server)
            except Gone:
                raise
            except DeviceError as error:
                print(f"client sent away: {error}", file=sys.stderr)


def _speaks(line: socket.socket) -> bool:
    """Whether a client begins with a command of Telnet, as every one of RFC 2217 does."""
    with contextlib.suppress(OSError):
        line.settimeout(START_S)
        began = bool(line.recv(1, socket.MSG_PEEK) == serial.rfc2217.IAC)
        line.settimeout(STALL_S)
        if not began:
            line.sendall(OTHER)
            line.recv(CHUNK_BYTES)  # what is unread would cut off what was sent
        return began
    return False


class _Client:
    """The side that PortManager answers to; two threads write."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Send all of it."""
        with self._lock:
            self._line.sendall(data)


def _lend(transport: Transport, line: socket.socket, server: socket.socket) -> None:
    """Pass bytes both ways until the client has gone, or has to give way."""
    end = time.monotonic() + FLOOD_S
    while transport.read(0.0) and time.monotonic() < end:
        pass  # said to nobody
    client = _Client(line)
    gone, lost = threading.Event(), list[DeviceError]()

    def forward(manager: serial.rfc2217.PortManager) -> None:
        try:
            while not gone.is_set():
                if data := transport.read(POLL_S):
                    client.write(b"".join(manager.escape(data)))
        except DeviceError as error:
            lost.append(error)
        except OSError:
            pass  # the client has gone
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    # It has gone, or what it sends is no RFC 2217: PortManager takes it for granted that it is.
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, struct.error):
        manager = serial.rfc2217.PortManager(serial.serial_for_url("loop://"), client)
        thread = threading.Thread(target=forward, args=(manager,))
        thread.start()
        try:
            while data := _receive(line, gone, server):
                transport.write(b"".join(manager.filter(data)))
                if len(manager.suboption or b"") > OPTION_BYTES:
                    break  # it would be kept, however long it gets
        finally:
            gone.set()
            thread.join()
    if lost:
        raise lost[0]


def _receive(line: socket.socket, gone: threading.Event, server: socket.socket) -> bytes:
    """What has come in; waits as long as the client is silent and may be."""
    end = time.monotonic() + IDLE_S
    while not gone.is_set() and (
        time.monotonic() < end or not select.select([server], [], [], 0)[0]
    ):
        try:
            return line.recv(CHUNK_BYTES)
        except TimeoutError:
            continue
    return b""
