"""Which port is the board's, and into its boot loader over the link, with doubles of both."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from host_tools.boards import flash as flash_module
from host_tools.boards import ports as ports_module
from host_tools.boards.board import load_board
from host_tools.boards.flash import choose_port, flash
from host_tools.boards.ports import LOADER, find_link, require_link
from host_tools.cli import Commands
from host_tools.emulators.labwired_nrf52840 import SYSTEM
from host_tools.errors import DeviceError, UsageError
from host_tools.link import frames, transport
from host_tools.link.device import Device
from host_tools.link.frames import Frame, Status
from host_tools.link.protocol import MessageType
from host_tools.link.transport import SerialTransport, UsbPort
from tests.boot_loader import BootLoader
from tests.firmware_builds import built
from tests.native_app import FIRMWARE, compile_app
from tests.pty_board import PtyBoard
from tests.test_flash import image_of, write_manifest

NANO33, ESP32 = load_board("nano33"), load_board("esp32")
APPLICATION = "2341:805a"
ENTERED = """
#include "board.h"
#include <fcntl.h>
#include <unistd.h>
bool board_has_boot_loader(void);
void board_enter_boot_loader(void);
bool board_has_boot_loader(void)
{
    return true;
}
void board_enter_boot_loader(void)
{
    close(open(MARK, O_CREAT | O_WRONLY, 0600));
    execl("/proc/self/exe", "firmware", (char *)0);
}
"""


def plugged(monkeypatch: pytest.MonkeyPatch, *ports: tuple[str, str]) -> list[UsbPort]:
    """These USB ports are there; the list may be changed."""
    found = [UsbPort(name=name, text="text", usb=usb) for name, usb in ports]
    for module in (flash_module, ports_module, transport):
        monkeypatch.setattr(module, "usb_ports", lambda: list(found))
    return found


def test_the_board_on_the_desk_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plugged(monkeypatch, ("/dev/ttyS0", "1234:5678"), ("/dev/ttyACM2", APPLICATION))
    assert require_link("usb", NANO33, "make parity PORT={port}") == "/dev/ttyACM2"
    assert "port /dev/ttyACM2: text (USB 2341:805a)" in capsys.readouterr().err
    assert require_link(None, None, "make monitor PORT={port}") == "/dev/ttyACM2"
    assert require_link("/dev/x", NANO33, "") == "/dev/x"  # what is named is taken
    assert find_link(ESP32, "") is None and find_link(load_board("qemu_m4"), "") is None


def test_several_boards_are_a_list_of_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, ("/dev/ttyACM0", APPLICATION), ("/dev/ttyUSB1", "10c4:ea60"))
    with pytest.raises(
        UsageError, match="several ports may be that of a board; type one of:"
    ) as told:
        require_link("usb", None, "make bench RECIPE=motion PORT={port}")
    for port in ("/dev/ttyACM0", "/dev/ttyUSB1"):
        assert f"\n  make bench RECIPE=motion PORT={port}  text" in str(told.value)
    assert require_link("usb", ESP32, "") == "/dev/ttyUSB1"  # its name tells which


def test_no_board_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, ("/dev/ttyUSB9", "1234:5678"))
    for port, kind in (("usb", DeviceError), (None, UsageError)):
        plugged(monkeypatch, ("/dev/ttyUSB9", "1234:5678"))
        with pytest.raises(kind, match=r"(?s)/dev/ttyUSB9.*3\.3 V USB-serial.*PORT=/dev/ttyUSB9"):
            require_link(port, NANO33, "make parity PORT={port}")
        plugged(monkeypatch, ("/dev/ttyACM0", LOADER))
        with pytest.raises(kind, match=r"ttyACM0 is a Nano 33 BLE's boot loader.*make flash"):
            require_link(port, NANO33, "make parity PORT={port}")


@pytest.mark.parametrize("board", [["--board", "nano33"], []])
def test_samples_of_an_emulator_are_not_taken_for_a_boards(
    board: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged(monkeypatch)
    monkeypatch.chdir(FIRMWARE.parent)
    words = ["record", "motion", "--label", "wave", "--seconds", "1", *board]
    told = CliRunner().invoke(Commands(name="tinyproof"), words).exception
    assert isinstance(told, DeviceError)
    assert "is plugged in" in str(told) and "EMULATOR=" in str(told)


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        (["parity", "motion", "--board", "nano33", "--tap", "--port", "usb"],
         "make parity RECIPE=motion BOARD=nano33 TAP=1"),
        (["bench", "motion", "--board", "nano33", "--port", "usb"],
         "make bench RECIPE=motion BOARD=nano33"),
        (["features", "motion", "--port", "usb", "--cases", "3"],
         "make features RECIPE=motion CASES=3"),
        (["drift", "motion", "--port", "usb"], "make drift RECIPE=motion"),
        (["selftest", "motion", "--board", "nano33", "--port", "usb"],
         "make selftest RECIPE=motion BOARD=nano33"),
        (["whois", "--port", "usb"], "make whois"),
        (["whois"], "make whois"),
        (["record", "motion", "--label", "a b", "--seconds", "1"],
         "make record RECIPE=motion LABEL='a b' SECONDS=1.0"),
        (["monitor"], "make monitor"),
    ],
)  # fmt: skip
def test_each_command_asks_which_of_several(
    arguments: list[str], typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a port, parity and its like go on to the emulator; these look for a board."""
    plugged(monkeypatch, ("/dev/ttyACM0", APPLICATION), ("/dev/ttyACM7", APPLICATION))
    monkeypatch.chdir(FIRMWARE.parent)
    result = CliRunner().invoke(Commands(name="tinyproof"), arguments)
    assert isinstance(result.exception, UsageError), result.output
    for port in ("/dev/ttyACM0", "/dev/ttyACM7"):
        assert f"\n  {typed} PORT={port}  text" in str(result.exception)


def with_boot_loader(folder: Path, board_id: str = "nano33") -> tuple[Path, Path]:
    """Firmware that enters a boot loader by leaving a mark and starting again; and the mark."""
    folder.mkdir()
    mark = folder / "entered"
    gen = folder / "gen"
    gen.mkdir()
    for source in (FIRMWARE.parent / "tests" / "stub_gen").glob("model*"):
        (gen / source.name).write_text(source.read_text())
    (gen / "enter.c").write_text(f'#define MARK "{mark}"\n{ENTERED}')
    return compile_app(folder, gen, board_id=board_id), mark


@contextmanager
def appearing(found: list[UsbPort], mark: Path, port: UsbPort) -> Iterator[None]:
    """The port shows up once the mark is there."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            if mark.exists():
                found.append(port)
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_flash_enters_the_boot_loader_over_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bare metal has no USB port of its own: the link asks, the boot loader's port appears."""
    out_dir = write_manifest(tmp_path / "build", bytes(range(32)).hex())
    program, mark = with_boot_loader(tmp_path / "app")
    found = plugged(monkeypatch)
    with (
        PtyBoard(program, tmp_path / "ttyUSB0") as link,
        BootLoader(tmp_path / "ttyACM4") as loader,
        appearing(found, mark, UsbPort(name=str(loader.port), text="Nano", usb=LOADER)),
    ):
        gone, at = str(tmp_path / "ttyACM9"), str(link.port)
        assert flash(out_dir, NANO33, port=gone, link_port=at, says="RECIPE=m") == 0
        assert bytes(loader.flash[:5000]) == image_of(5000)
        assert loader.resets == 1
    said = capsys.readouterr()
    assert f"{at}: the board resets into its boot loader" in said.err
    assert "self-test PASS" in said.out
    assert f"make parity RECIPE=m BOARD=nano33 PORT={at}\n" in said.out


@pytest.mark.parametrize("board_id", ["nano33", "esp32"])
def test_firmware_that_cannot_enter_leaves_two_presses(
    board_id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    out_dir = write_manifest(tmp_path / "build", bytes(range(32)).hex())
    plugged(monkeypatch)
    with (
        PtyBoard(compile_app(tmp_path, board_id=board_id), tmp_path / "ttyUSB0") as link,
        pytest.raises(UsageError, match=r"twice"),
    ):
        flash(out_dir, NANO33, port=None, link_port=str(link.port))
    why = "cannot enter a boot loader" if board_id == "nano33" else "is of esp32"
    assert why in capfd.readouterr().err


def test_a_boot_loader_that_does_not_appear_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out_dir = write_manifest(tmp_path / "build", bytes(range(32)).hex())
    program, _ = with_boot_loader(tmp_path / "app")
    plugged(monkeypatch)
    monkeypatch.setattr(flash_module, "RETURN_S", 0.2)
    with (
        PtyBoard(program, tmp_path / "ttyUSB0") as link,
        pytest.raises(DeviceError, match=r"no port of the boot loader \(USB 2341:005a\)"),
    ):
        flash(out_dir, NANO33, port=None, link_port=str(link.port))


def test_a_port_that_is_there_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, ("/dev/ttyACM1", LOADER))
    assert choose_port(NANO33, None, "/dev/null")[0] == "/dev/ttyACM1"
    assert choose_port(NANO33, "usb")[0] == "/dev/ttyACM1"
    assert choose_port(NANO33, "/dev/null", "/dev/null")[0] == "/dev/null"
    plugged(monkeypatch)
    assert choose_port(NANO33, None, "/dev/null")[0] == ""  # to be asked for over the link
    with pytest.raises(UsageError, match="no serial port was given"):
        choose_port(ESP32, None, "/dev/null")  # esptool needs no such thing


def test_a_board_without_a_boot_loader_refuses_and_goes_on(tmp_path: Path) -> None:
    with (
        PtyBoard(compile_app(tmp_path), tmp_path / "ttyACM0") as board,
        Device(SerialTransport(str(board.port))) as device,
    ):
        assert device.enter_boot_loader() is False
        assert device.selftest().failures == 0


def test_the_boot_loaders_port_is_not_taken_for_the_applications(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the upload the boot loader's port is about to vanish; the application's comes."""
    old, new = tmp_path / "ttyACM1", tmp_path / "ttyACM2"
    old.touch()
    plugged(monkeypatch, (str(old), LOADER))

    def change() -> None:
        old.unlink()
        new.touch()

    timer = threading.Timer(0.3, change)
    timer.start()
    before = {str(tmp_path / "ttyACM0")}
    came = flash_module._come_back(str(tmp_path / "ttyACM0"), before, "sam-ba", ["2341:805a"])
    timer.join()
    assert came == str(new)


def test_another_device_that_appears_meanwhile_is_not_taken_for_the_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with the marks of a pattern in it, too."""
    other, new = tmp_path / "tty[x]1", tmp_path / "tty[x]2"
    other.touch()
    new.touch()
    plugged(monkeypatch, (str(other), "1234:5678"))
    came = flash_module._come_back(str(tmp_path / "tty[x]0"), set(), "sam-ba", [LOADER])
    assert came == str(new)


def test_the_chip_keeps_the_wish_over_its_reset() -> None:
    """In labwired's nRF52840: reply, GPREGRET, reset by AIRCR, and the banner again."""
    from labwired import Sim

    sim = Sim(built("nano33")[0] / "firmware.elf", chip=None, system=SYSTEM)
    gpregret = 0x4000051C  # nRF52840 Product Specification v1.7, 5.3.8: POWER, GPREGRET

    def until_ready() -> bytes:
        said = b""
        for _ in range(5000):
            sim.run_for("200us")
            said += bytes(sim.read_uart_bytes())
            if b"ready: type help" in said:
                return said
        raise AssertionError(said)

    until_ready()
    assert sim.read_u32(gpregret) == 0
    sim.send_bytes(frames.encode(Frame(type=MessageType.HELLO, sequence=7)))
    sim.send_bytes(frames.encode(Frame(type=MessageType.BOOT, sequence=7)))
    reply, _, banner = until_ready().partition(b"tinyproof ")
    expected = Frame(type=MessageType.BOOT | frames.REPLY, sequence=7, status=Status.OK)
    assert reply.endswith(frames.encode(expected))
    assert banner and sim.read_u32(gpregret) == 0xB0
