"""The framework that `flash` takes unasked: the board's first, else bare metal; and the ESP32-C3's
own USB port."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from host_tools.boards import flash as flash_module
from host_tools.boards.board import Board, load_board
from host_tools.boards.flash import choose_port
from host_tools.cli import Commands
from host_tools.commands import flash as flash_command
from host_tools.errors import UsageError
from host_tools.link import transport
from host_tools.link.transport import UsbPort
from tests.native_app import ROOT

OWN_USB = UsbPort(name="/dev/null", text="USB JTAG/serial debug unit", usb="303a:1001")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--board esp32c3", ("esp32c3", "bare")),
        ("--board nano33-selftest", ("nano33-armv7em-selftest", "bare")),
        ("--board nano33", ("nano33-armv7em", "arduino")),
        ("--board esp32", ("esp32-xtensa_mac16", "arduino")),
        ("--board esp32 --framework bare", ("esp32-xtensa_mac16", "bare")),
        ("", ("nano33-armv7em", "arduino")),
    ],
)
def test_flash_takes_the_framework_that_the_board_has(
    words: str, expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    pairs = zip(words.split()[::2], words.split()[1::2], strict=True)
    variables = [f"{name[2:].upper()}={value}" for name, value in pairs]

    def choose(
        board: Board, port: str | None, link_port: str | None, framework: str, again: str
    ) -> None:
        asked.append((board.folder, framework))
        assert again == " ".join(["make flash RECIPE=motion", *variables, "PORT={port}"])
        raise UsageError("no port")

    monkeypatch.setattr(flash_command, "choose_port", choose)
    monkeypatch.setattr(flash_command, "pio_environment", lambda board, framework: "")
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(Commands(name="tinyproof"), ["flash", "motion", *words.split()])
    assert str(result.exception) == "no port", result.output
    assert asked == [expected]


def test_the_own_usb_port_of_the_esp32_c3_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash_module, "usb_ports", lambda: [OWN_USB])
    board = load_board("esp32c3")
    assert choose_port(board, None, None, board.default_framework) == (
        OWN_USB.name,
        "make flash BOARD=esp32c3 PORT={port}",
    )
    for module in (flash_module, transport):
        monkeypatch.setattr(module, "usb_ports", list)
    with pytest.raises(UsageError, match="make flash BOARD=esp32c3 PORT=") as told:
        choose_port(board, None)
    assert "an ESP32-C3 by its own USB" in str(told.value)
    assert "Nano" not in str(told.value)


def test_several_ports_are_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [OWN_USB, UsbPort(name="/dev/ttyACM5", text="the same", usb=OWN_USB.usb)]
    monkeypatch.setattr(flash_module, "usb_ports", lambda: others)
    with pytest.raises(UsageError, match=r"^several ports may be that of the ESP32-C3 \(MINI-1"):
        choose_port(load_board("esp32c3"), None)
