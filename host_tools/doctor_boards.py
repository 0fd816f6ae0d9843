"""What the doctor says about real boards: ports, the right to use them, and who disturbs them.

Nothing but the standard library. On Linux it reads /sys, /proc, /etc and /dev; elsewhere pyserial
lists the ports, if it is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from host_tools.errors import HostToolsError
from model.paths import ROOT

GROUPS = ("dialout", "uucp")  # own serial ports: Debian's and Fedora's, Arch's
RULES = "etc/udev/rules.d/60-tinyproof.rules"
RULE_FOLDERS = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")
IGNORE = "ID_MM_DEVICE_IGNORE"
WRITE_RULES = (
    f"tinyproof doctor --udev | sudo tee /{RULES}; "
    "sudo udevadm control --reload; sudo udevadm trigger"
)
UP = 8  # folders of /sys from a port's device to that of its USB plug
PLUG = "plug the board in with a cable that carries data"


def _groups() -> frozenset[int]:
    return frozenset({os.getegid(), *os.getgroups()}) if hasattr(os, "getgroups") else frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Whose ports are looked at: the file system, and who asks."""

    root: Path = Path("/")
    system: str = field(default_factory=platform.system)
    uid: int = field(default_factory=lambda: os.geteuid() if hasattr(os, "geteuid") else 0)
    groups: frozenset[int] = field(default_factory=_groups)
    user: str = field(default_factory=lambda: os.environ.get("USER", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line about boards. `fix` is what has to be done, `note` what may be."""

    name: str
    purpose: str
    found: str
    note: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A serial port of a USB device."""

    name: str
    usb: str  # 'vendor:product', hexadecimal
    text: str


def board_rows(machine: Machine | None = None, root: Path = ROOT) -> Iterator[Row]:
    """The ports with the boards that they may be, and what keeps them from being used."""
    machine = machine or Machine()
    known = usb_boards(root)
    if machine.system != "Linux":
        yield from _elsewhere(known)
        return
    ports = list(_ports(machine.root))
    yield from _port_rows(machine, ports, known)
    yield _group_row(machine, ports, known)
    yield _modem_manager_row(machine, known)


def usb_boards(root: Path = ROOT) -> dict[str, list[str]]:
    """'vendor:product' -> the boards of boards/*.json that have it."""
    found: dict[str, list[str]] = {}
    for path in sorted((root / "boards").glob("*.json")):
        try:
            upload = json.loads(path.read_text("utf-8"))["tinyproof"]["upload"] or {}
            identities = [str(usb).lower() for usb in upload.get("usb", [])]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # commands that use the board say what is wrong with its file
        for usb in identities:
            found.setdefault(usb, []).append(path.stem)
    return found


def udev_rules(root: Path = ROOT) -> str:
    """Rules that give whoever sits at the machine the ports of our boards, and to no modem's."""
    lines = ["# Ports of boards that tinyproof knows; written by `tinyproof doctor --udev`."]
    for usb, boards in sorted(usb_boards(root).items()):
        vendor, product = usb.split(":")
        lines += [
            f"# {', '.join(boards)}",
            f'SUBSYSTEMS=="usb", ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}", '
            f'ENV{{{IGNORE}}}="1", TAG+="uaccess"',
        ]
    return "\n".join(lines) + "\n"


def _elsewhere(known: Mapping[str, list[str]]) -> Iterator[Row]:
    from host_tools.link.transport import usb_ports

    try:
        ports = [Port(name=p.name, usb=p.usb, text=p.text) for p in usb_ports()]
    except (HostToolsError, OSError) as error:
        yield Row(name="serial ports", purpose="real boards", found="", note=str(error))
        return
    yield from (_row(port, known, "", "") for port in ports)
    if not ports:
        yield Row(name="serial ports", purpose="real boards", found="none", note=PLUG)


def _ports(root: Path) -> Iterator[Port]:
    """Every tty whose device belongs to a USB device."""
    for tty in sorted((root / "sys/class/tty").glob("*")):
        device = (tty / "device").resolve()
        for folder in [device, *device.parents][:UP]:
            if vendor := _line(folder / "idVendor"):
                text = " ".join(
                    filter(None, (_line(folder / n) for n in ("manufacturer", "product")))
                )
                usb = f"{vendor}:{_line(folder / 'idProduct')}".lower()
                yield Port(name=f"/dev/{tty.name}", usb=usb, text=text)
                break


def _line(path: Path) -> str:
    """The first line of a small file, printable; '' when there is none."""
    try:
        with path.open("rb") as file:
            text = file.read(200).decode("utf-8", "replace")
    except OSError:
        return ""
    return "".join(c for c in text.split("\n")[0] if c.isprintable()).strip()


def _port_rows(
    machine: Machine, ports: list[Port], known: Mapping[str, list[str]]
) -> Iterator[Row]:
    users = _users(machine.root, {port.name for port in ports}) if ports else {}
    for port in ports:
        user = users.get(port.name, "")
        yield _row(port, known, user, "close that program before you use the board" if user else "")
    if not ports:
        yield Row(name="serial ports", purpose="real boards", found="none", note=PLUG)


def _row(port: Port, known: Mapping[str, list[str]], user: str, note: str) -> Row:
    boards = known.get(port.usb, [])
    may_be = f"may be {' or '.join(boards)}" if boards else "no board that is known by its USB id"
    used = f"; in use by {user}" if user else ""
    text = f" {port.text}" if port.text else ""
    found = f"USB {port.usb}{text}: {may_be}{used}"
    return Row(name=port.name, purpose="serial port", found=found, note=note)


def _users(root: Path, names: set[str]) -> dict[str, str]:
    """Port -> 'pid 12 (screen)', of those processes whose open files may be looked at."""
    found: dict[str, str] = {}
    for folder in (root / "proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for link in (folder / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if (target := str(link.readlink())) in names:
                        found[target] = f"pid {folder.name} ({_line(folder / 'comm')})"
    return found


def _group_row(machine: Machine, ports: list[Port], known: Mapping[str, list[str]]) -> Row:
    """Whether the user may open serial ports: now, after the next login, or not."""
    groups = _group_file(machine.root)
    owners = [gid for port in ports if (gid := _owner(_device(machine, port))) is not None]
    owners += [gid for wanted in GROUPS for name, gid, _ in groups if name == wanted]
    owner = owners[0] if owners else None
    name = next((n for n, gid, _ in groups if gid == owner), str(owner))
    members = next((members for _, gid, members in groups if gid == owner), [])
    closed = [
        port.name
        for port in ports
        if port.usb in known and not os.access(_device(machine, port), os.R_OK | os.W_OK)
    ]
    row = {"name": f"group {name}", "purpose": "the right to open serial ports"}
    if machine.uid == 0:
        return Row(**row, found="not needed by root")
    if owner is None:
        return Row(name="group dialout", purpose=row["purpose"], found="no such group here")
    if owner in machine.groups or (any(p.usb in known for p in ports) and not closed):
        return Row(**row, found=f"{machine.user} may open them")
    if machine.user in members:
        advice = "log out and in again: your session is older than your membership"
        found = f"{machine.user} is a member"
    else:
        advice = f"sudo usermod -a -G {name} $USER, then log out and in again"
        advice += f"; or, for the ports of these boards only: {WRITE_RULES}"
        found = f"{machine.user} is no member"
    if closed:
        return Row(**row, found=f"{found}; closed: {', '.join(closed)}", fix=advice)
    return Row(**row, found=found, note=f"before a board is used: {advice}")


def _device(machine: Machine, port: Port) -> Path:
    return machine.root / port.name.lstrip("/")


def _owner(path: Path) -> int | None:
    """The group of a device that its group may use."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_gid if found.st_mode & stat.S_IRGRP else None


def _group_file(root: Path) -> list[tuple[str, int, list[str]]]:
    try:
        lines = (root / "etc/group").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    parts = [line.split(":") for line in lines]
    return [(p[0], int(p[2]), p[3].split(",")) for p in parts if len(p) == 4 and p[2].isdecimal()]


def _modem_manager_row(machine: Machine, known: Mapping[str, list[str]]) -> Row:
    """It sends AT commands to new ports, and keeps them from others meanwhile."""
    row = {"name": "ModemManager", "purpose": "must leave boards' ports alone"}
    comms = (machine.root / "proc").glob("[0-9]*/comm")
    if not any(_line(comm) == "ModemManager" for comm in comms):
        return Row(**row, found="does not run")
    told = _ignored(machine.root)
    open_ids = [
        usb
        for usb in sorted(known)
        if not any(vendor == usb.split(":")[0] and product in ("", usb.split(":")[1])
                   for vendor, product in told)
    ]  # fmt: skip
    if not open_ids:
        return Row(**row, found="runs; udev rules keep it from the boards' ports")
    return Row(
        **row,
        found=f"runs, and may take the ports of {', '.join(open_ids)} for modems'",
        note=WRITE_RULES,
    )


def _ignored(root: Path) -> set[tuple[str, str]]:
    """(vendor, product) of the udev rules that keep ModemManager away; '' is any product."""
    found = set()
    for folder in RULE_FOLDERS:
        for path in sorted((root / folder).glob("*.rules")):
            try:
                text = path.read_text("utf-8", "replace")
            except OSError:
                continue
            for line in text.replace("\\\n", " ").splitlines():
                if line.lstrip().startswith("#") or f'{IGNORE}}}="1"' not in line:
                    continue
                vendor = re.search(r'idVendor\}=="([0-9a-fA-F]{4})"', line)
                product = re.search(r'idProduct\}=="([0-9a-fA-F]{4})"', line)
                if vendor:
                    found.add((vendor[1].lower(), product[1].lower() if product else ""))
    return found
