"""Which serial port is a board's own: by its USB identity, or a list with what to type for each."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from host_tools.boards.board import BOARDS, Board, load_board
from host_tools.errors import DeviceError, UsageError
from host_tools.link.transport import UsbPort, port_advice, require_port, usb_ports

USB = "usb"  # in the place of a port's name: the board on the desk
LOADER = "2341:005a"  # the Nano 33 BLE's boot loader, which speaks no link; its application is 805a


def one_of(found: Sequence[UsbPort], what: str, again: str) -> UsbPort | None:
    """The only port of `found`, which is told, or None; UsageError when there are several.

    `again` is the command to repeat with {port} in it.
    """
    if len(found) > 1:
        listed = "".join(f"\n  {again.replace('{port}', p.name)}  {p.text}" for p in found)
        raise UsageError(f"several ports may be that of {what}; type one of:{listed}")
    for port in found:
        print(f"port {port.name}: {port.text} (USB {port.usb})", file=sys.stderr)
        return port
    return None


def boards_with(usb: str) -> list[str]:
    """The boards whose ports may have this USB identity."""
    known = map(load_board, BOARDS)
    return [board.id for board in known if board.upload and usb in board.upload.usb]


def links(board: Board | None) -> list[UsbPort]:
    """The ports of boards whose firmware speaks over their own USB connectors; any board for None.

    Not of one that waits in its boot loader.
    """
    return [
        port
        for port in usb_ports()
        if port.usb != LOADER
        and (owners := boards_with(port.usb))
        and (board is None or board.id in owners)
    ]


def find_link(board: Board | None, again: str) -> UsbPort | None:
    """The one port of `links`, which is told, or None; UsageError when there are several."""
    return one_of(links(board), f"the {board.title}" if board else "a board", again)


def require_link(port: str | None, board: Board | None, again: str) -> str:
    """`port`, or for none and USB the name of what find_link finds.

    Where that is nothing, UsageError (no port was asked for) or DeviceError (USB) say what to do.
    """
    if port and port != USB:
        return port
    found = find_link(board, again)
    if found is not None:
        return found.name
    hint = _why_none(board)
    if port != USB:
        require_port("", again, hint)
    raise DeviceError(
        f"PORT={USB}: no port has the USB identity of "
        f"{f'the {board.title}' if board else 'a known board'}. {port_advice(again, hint)}"
    )


def _why_none(board: Board | None) -> str:
    """What may be the matter when no board shows up."""
    waiting = [port.name for port in usb_ports() if port.usb == LOADER]
    if waiting:
        return (
            f"{waiting[0]} is a Nano 33 BLE's boot loader, which speaks no link: press reset once, "
            "or put firmware on it: make flash BOARD=nano33"
        )
    if board is None or board.uart is None:
        return "Of a board that has its link on other pins, give the adapter's port."
    if board.uart.wiring:
        return (
            f"With the Arduino framework the board itself is such a port; bare-metal firmware has "
            f"its link on other pins. {board.uart.wiring} Give the adapter's port."
        )
    return ""
