"""Which boards of a farm are meant: emulated ones by name, connected ones by port."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from host_tools.boards.board import BOARDS, load_board
from host_tools.boards.ports import USB, links, require_link
from host_tools.errors import UsageError
from host_tools.link.transport import NETWORK
from host_tools.options import ALL, DEFAULT_BOARD, SEVERAL, is_all
from model.errors import ConfigError
from model.toml_reader import build, read_toml

AUTO = "auto"  # in the place of a port's name
ANY = "any"  # in the file, in the place of a board's name
FILE = Path("farm.toml")  # in the project's folder


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmFile:
    """farm.toml: ports by the board that they have, or ANY."""

    ports: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Where a board is connected; `board` None: whatever it is."""

    address: str
    board: str | None


def is_many(board: str | None, ports: Sequence[str]) -> bool:
    """Whether more than one board may be meant."""
    names = names_of(board)
    return len(names) > 1 or _is_all(names) or len(ports) > 1 or AUTO in ports


def names_of(board: str | None) -> list[str]:
    """The parts of --board: names with commas between."""
    return board.split(SEVERAL) if board else []


def _is_all(names: Sequence[str]) -> bool:
    return any(map(is_all, names))


def emulated_names(board: str | None, ports: Sequence[str]) -> tuple[list[str], bool]:
    """The boards to emulate, and whether each was named.

    One name beside ports is that of their boards, which are not emulated. Raises UsageError for
    'all' among others.
    """
    names = names_of(board)
    if not _is_all(names):
        of_ports = bool(ports) and len(names) <= 1
        return ([] if of_ports else list(dict.fromkeys(names or [DEFAULT_BOARD]))), True
    if len(names) > 1:
        raise UsageError(f"--board {board}: expected '{ALL}' alone, or names of boards")
    behind = names[0].removeprefix(ALL)
    return [name + behind for name in BOARDS], False


def connected(board: str | None, ports: Sequence[str], again: str) -> list[Port]:
    """Every port that is meant, each once; for AUTO those of USB and of farm.toml.

    `again` is the command to repeat with {port} in it. Raises UsageError when AUTO finds none and
    nothing is emulated, ConfigError for a damaged farm.toml.
    """
    names = names_of(board)
    named = names[0] if len(names) == 1 and not _is_all(names) else None
    found: dict[str, Port] = {}
    for text in ports:
        if text == AUTO:
            several = _automatic(named)
        elif text == USB:
            name = require_link(USB, load_board(named) if named else None, again)
            several = [Port(address=name, board=named)]
        else:
            several = [Port(address=text, board=named)]
        for port in several:
            found.setdefault(_device(port.address), port)
    if ports and not found:
        told = (
            f"no USB port has the identity of {named or 'a board'}, and {FILE} lists none; plug a "
            f"board in, or give its address: {again.replace('{port}', 'socket://host:4000')}"
        )
        if not names or named:
            raise UsageError(f"PORT={AUTO}: {told}")
        print(f"PORT={AUTO}: {told}", file=sys.stderr)
    return list(found.values())


def _automatic(named: str | None) -> list[Port]:
    """The connected boards, then those of the file that are of the named board or may be."""
    board = load_board(named) if named else None
    found = [Port(address=port.name, board=named) for port in links(board)]
    for name, addresses in read_farm().ports.items():
        if named is None or name == ANY or load_board(name).id == load_board(named).id:
            wanted = named or (None if name == ANY else name)
            found += [Port(address=address, board=wanted) for address in addresses]
    return found


def read_farm(path: Path = FILE) -> FarmFile:
    """farm.toml; without one, none. Raises ConfigError, and UsageError for an unknown board."""
    try:
        content = read_toml(path)
    except FileNotFoundError:
        return FarmFile()
    farm = build(FarmFile, content, str(path))
    for name in farm.ports:
        if name != ANY:
            try:
                load_board(name)
            except UsageError as error:
                raise UsageError(f"{path}: ports.{name}: {error}; or '{ANY}'") from error
        for number, address in enumerate(farm.ports[name]):
            if not address.strip():
                raise ConfigError(
                    f"{path}: ports.{name}[{number}]: expected a serial port or an address such "
                    f"as socket://localhost:4000, got {address!r}"
                )
    return farm


def _device(address: str) -> str:
    """What two names of one port have in common; nothing is asked of the network."""
    if not address.lower().startswith(NETWORK):
        return address if "://" in address else os.path.realpath(address)
    try:
        parts = urlsplit(address)
        return f"{_host(parts.hostname or '')}:{parts.port}"  # whatever is spoken there
    except ValueError:
        return address


def _host(name: str) -> str:
    """A host's address in its usual spelling; IPv6's of this computer and of IPv4 as IPv4's."""
    name = name.rstrip(".")
    if name == "localhost":
        return "127.0.0.1"
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        try:
            return socket.inet_ntoa(socket.inet_aton(name))  # 127.1
        except (OSError, UnicodeError):
            return name
    if isinstance(found, ipaddress.IPv6Address):
        return "127.0.0.1" if found.is_loopback else str(found.ipv4_mapped or found)
    return str(found)
