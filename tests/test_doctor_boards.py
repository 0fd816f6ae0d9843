"""What the doctor says about real boards, on /sys, /proc, /etc and /dev made by hand."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from host_tools import doctor
from host_tools.cli import main
from host_tools.doctor import run_doctor
from host_tools.doctor_boards import IGNORE, Machine, Row, board_rows, udev_rules, usb_boards
from host_tools.errors import ToolMissing
from host_tools.link import transport
from host_tools.link.transport import UsbPort

GID = 54321  # nobody's here
GROUP = f"root:x:0:\ndialout:x:{GID}:ann\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A computer without boards, of user ann."""
    for folder in ("sys/class/tty", "proc", "etc/udev/rules.d", "dev"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/group").write_text(GROUP)
    (tmp_path / "sys/class/tty/console").mkdir()
    return Machine(
        root=tmp_path, system="Linux", uid=1000, groups=frozenset({GID, 1000}), user="ann"
    )


def plug(machine: Machine, name: str, usb: str, product: str) -> None:
    """A USB device with a serial port, as the kernel shows it."""
    device = machine.root / "sys/devices/pci0/usb1" / f"1-{name}"
    (device / "1-1:1.0").mkdir(parents=True)
    vendor, number = usb.split(":")
    for file, text in (("idVendor", vendor), ("idProduct", number), ("product", product)):
        (device / file).write_text(text + "\n")
    tty = device / "1-1:1.0/tty" / name
    tty.mkdir(parents=True)
    (tty / "device").symlink_to("../..")
    (machine.root / "sys/class/tty" / name).symlink_to(tty)
    (machine.root / "dev" / name).write_text("")


def process(machine: Machine, pid: int, name: str, opened: str = "/dev/null") -> None:
    folder = machine.root / "proc" / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "comm").write_text(name + "\n")
    (folder / "fd/3").symlink_to(opened)


def rows(machine: Machine) -> dict[str, Row]:
    return {row.name: row for row in board_rows(machine)}


def without_access(monkeypatch: pytest.MonkeyPatch) -> None:
    """root may open everything, so the test says what the system would say to others."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)


def test_a_machine_without_boards_has_nothing_wrong(machine: Machine) -> None:
    found = rows(machine)
    assert not any(row.fix for row in found.values())
    assert found["serial ports"].found == "none"
    assert "cable" in found["serial ports"].note
    assert found["group dialout"].found == "ann may open them"
    assert found["ModemManager"].found == "does not run"


def test_ports_are_listed_with_the_boards_they_may_be(machine: Machine) -> None:
    plug(machine, "ttyACM0", "2341:805a", "Nano 33 BLE")
    plug(machine, "ttyUSB0", "10C4:EA60", "CP2102 USB to UART")
    plug(machine, "ttyACM1", "1234:5678", "A modem\x1b[31m")
    found = rows(machine)
    assert found["/dev/ttyACM0"].found == "USB 2341:805a Nano 33 BLE: may be nano33"
    assert found["/dev/ttyUSB0"].found.startswith("USB 10c4:ea60 CP2102")
    assert "esp32" in found["/dev/ttyUSB0"].found
    assert "no board that is known" in found["/dev/ttyACM1"].found
    assert found["/dev/ttyACM1"].found.isprintable()
    assert "serial ports" not in found
    assert not any(row.fix or row.note for row in found.values())


def test_a_port_in_use_names_the_program(machine: Machine) -> None:
    plug(machine, "ttyACM0", "2341:005a", "Nano 33 BLE")
    process(machine, 12, "screen", "/dev/ttyACM0")
    process(machine, 13, "bash")
    row = rows(machine)["/dev/ttyACM0"]
    assert row.found.endswith("may be nano33; in use by pid 12 (screen)")
    assert "close that program" in row.note


@pytest.mark.parametrize(
    ("user", "groups", "uid", "level", "advice"),
    [
        ("ann", {GID}, 1000, "ok", ""),
        ("ann", {1000}, 1000, "fix", "log out and in again"),
        ("bob", {1000}, 1000, "fix", "sudo usermod -a -G dialout $USER"),
        ("root", {0}, 0, "ok", ""),
    ],
)
def test_the_group_of_a_port_that_is_closed(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    user: str,
    groups: set[int],
    uid: int,
    level: str,
    advice: str,
) -> None:
    asked = Machine(root=machine.root, system="Linux", uid=uid, groups=frozenset(groups), user=user)
    before = rows(asked)["group dialout"]
    assert not before.fix
    assert advice in before.note
    plug(machine, "ttyACM0", "2341:005a", "Nano 33 BLE")
    device = machine.root / "dev/ttyACM0"
    device.chmod(0o600)  # this file is its owner's: the group of /etc/group is asked for
    without_access(monkeypatch)
    row = rows(asked)["group dialout"]
    assert bool(row.fix) == (level == "fix")
    assert advice in row.fix
    if row.fix:
        assert "closed: /dev/ttyACM0" in row.found


def test_the_group_is_the_one_that_owns_the_ports(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(machine, "ttyACM0", "2341:005a", "Nano 33 BLE")
    gid = (machine.root / "dev/ttyACM0").stat().st_gid
    (machine.root / "etc/group").write_text(f"uucp:x:{gid}:\n{GROUP}")
    without_access(monkeypatch)
    asked = Machine(root=machine.root, system="Linux", uid=7, groups=frozenset({GID}), user="ann")
    assert "usermod -a -G uucp" in rows(asked)["group uucp"].fix


def test_a_port_that_an_acl_opens_needs_no_group(machine: Machine) -> None:
    plug(machine, "ttyACM0", "2341:005a", "Nano 33 BLE")
    asked = Machine(root=machine.root, system="Linux", uid=7, groups=frozenset({7}), user="bob")
    (row,) = (row for row in board_rows(asked) if row.name.startswith("group "))
    assert row.found == "bob may open them"
    assert not row.fix


def test_modem_manager_is_noticed_until_rules_keep_it_away(machine: Machine) -> None:
    process(machine, 77, "ModemManager")
    row = rows(machine)["ModemManager"]
    assert "2341:005a, 2341:805a" in row.found
    assert "tinyproof doctor --udev | sudo tee /etc/udev/rules.d/60-tinyproof.rules" in row.note
    assert not row.fix
    rules = machine.root / "etc/udev/rules.d/60-tinyproof.rules"
    rules.write_text(udev_rules().replace(f'ENV{{{IGNORE}}}="1", ', ""))
    assert rows(machine)["ModemManager"].note
    rules.write_text("".join(f"#{line}\n" for line in udev_rules().splitlines()))
    assert rows(machine)["ModemManager"].note
    rules.write_text(udev_rules())
    row = rows(machine)["ModemManager"]
    assert row.found == "runs; udev rules keep it from the boards' ports"
    assert not row.note


def test_a_rule_for_all_products_of_a_vendor_counts(machine: Machine) -> None:
    process(machine, 77, "ModemManager")
    rules = machine.root / "etc/udev/rules.d/77-arduino.rules"
    rules.write_text(f'ATTRS{{idVendor}}=="2341", ENV{{{IGNORE}}}="1"\n')
    found = rows(machine)["ModemManager"].found
    assert "2341" not in found
    assert "10c4:ea60" in found


def test_the_rules_are_of_every_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--udev"]) == 0
    printed = capsys.readouterr().out
    assert printed == udev_rules()
    for usb in usb_boards():
        vendor, product = usb.split(":")
        assert f'ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}"' in printed
    assert {"2341:005a", "2341:805a"} <= set(usb_boards())
    assert all(line.startswith(("#", "SUBSYSTEMS==")) for line in printed.splitlines())


def test_nothing_readable_is_no_failure(tmp_path: Path) -> None:
    asked = Machine(root=tmp_path / "none", system="Linux", uid=5, groups=frozenset(), user="")
    assert not any(row.fix for row in board_rows(asked))


def test_a_broken_board_file_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards/a.json").write_text("{")
    (tmp_path / "boards/b.json").write_text('{"tinyproof": {"upload": {"usb": ["AB:CD"]}}}')
    (tmp_path / "boards/c.json").write_text('{"tinyproof": {"upload": null}}')
    assert usb_boards(tmp_path) == {"ab:cd": ["b"]}


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_elsewhere_pyserial_lists_the_ports(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    asked = Machine(root=machine.root, system=system, uid=501, groups=frozenset(), user="ann")
    port = UsbPort(name="/dev/cu.usbmodem1", text="Nano 33 BLE", usb="2341:005a")
    monkeypatch.setattr(transport, "usb_ports", lambda: [port])
    (row,) = board_rows(asked)
    assert row.name == "/dev/cu.usbmodem1"
    assert row.found == "USB 2341:005a Nano 33 BLE: may be nano33"

    def missing() -> list[UsbPort]:
        raise ToolMissing("pyserial is not installed; type: pip install pyserial")

    monkeypatch.setattr(transport, "usb_ports", missing)
    (row,) = board_rows(asked)
    assert "pip install pyserial" in row.note
    assert not row.fix


def test_notes_are_in_the_table_and_fail_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    some = [
        Row(name="ModemManager", purpose="p", found="runs", note="type this"),
        Row(name="group dialout", purpose="p", found="bob is no member", fix="sudo usermod"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda root: iter(()))
    monkeypatch.setattr(doctor, "board_rows", lambda root: iter(some[:1]))
    assert run_doctor(root=tmp_path) == 0
    printed = capsys.readouterr().out
    for wanted in ("arduino for nano33", "arduino for esp32", "Chirale_TensorFLowLite@2.0.0"):
        assert re.search(rf"(note|ok) +{wanted} ", printed), wanted
    assert "note" in printed
    assert "type this" in printed
    assert "All that is needed is there." in printed
    monkeypatch.setattr(doctor, "board_rows", lambda root: iter(some))
    assert run_doctor(root=tmp_path) == 1
    assert "WRONG" in capsys.readouterr().out
