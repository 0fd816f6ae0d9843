"""The uploader of the Nano 33 BLE against a double of its boot loader."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from host_tools.boards import flash as flash_module
from host_tools.boards import sam_ba
from host_tools.boards.flash import enter_boot_loader, main
from host_tools.boards.sam_ba import ORIGIN, PAGE, checked_image, upload
from host_tools.errors import DeviceError, UsageError
from tests.boot_loader import BootLoader


def image_of(size: int) -> bytes:
    vectors = (0x20040000).to_bytes(4, "little") + (ORIGIN + 0x101).to_bytes(4, "little")
    return vectors + np.random.default_rng(size).bytes(size - 8)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sam_ba, "ANSWER_S", 0.6)
    monkeypatch.setattr(flash_module, "LEAVE_S", 0.1)


@pytest.mark.parametrize("size", [300, PAGE, PAGE + 1, 3 * PAGE, 70_001])
def test_every_page_is_written_and_verified(tmp_path: Path, size: int) -> None:
    image = image_of(size)
    with BootLoader(tmp_path / "ttyACM0") as loader:
        loader.flash[:] = os.urandom(len(loader.flash))  # what an earlier application left
        said = upload(str(loader.port), image)
    pages = -(-size // PAGE)
    assert bytes(loader.flash[: pages * PAGE]) == image + b"\xff" * (pages * PAGE - size)
    checked = [c for c in loader.commands if c[:1] == b"Z"]
    assert len(checked) == pages and loader.resets == 1
    assert f"{size:,} bytes in {pages} pages" in said and "nRF52840-QIAA" in said


def test_the_first_page_is_written_last(tmp_path: Path) -> None:
    """So that a board whose upload is cut off does not start half an application."""
    with BootLoader(tmp_path / "ttyACM0") as loader:
        loader.flash[:] = bytes(len(loader.flash))
        loader.stuck[2 * PAGE] = 99
        with pytest.raises(DeviceError, match=r"0x12000 does not hold .*waits in its boot loader"):
            upload(str(loader.port), image_of(4 * PAGE))
        assert bytes(loader.flash[:8]) == b"\xff" * 8
        assert loader.resets == 0


def test_a_page_that_does_not_stick_once_is_written_again(tmp_path: Path) -> None:
    image = image_of(3 * PAGE)
    with BootLoader(tmp_path / "ttyACM0") as loader:
        loader.stuck[PAGE] = 1
        upload(str(loader.port), image)
        assert bytes(loader.flash[: 3 * PAGE]) == image


@pytest.mark.parametrize(
    "left", [b"S0000", b"\xff\x00Y00", b"garbage" * 40, b"S00000000,00001000#half a page"]
)
def test_what_an_earlier_program_left_in_its_buffer_does_no_harm(
    tmp_path: Path, left: bytes
) -> None:
    image = image_of(PAGE)
    with BootLoader(tmp_path / "ttyACM0") as loader:
        port = os.open(loader.port, os.O_RDWR | os.O_NOCTTY)
        os.write(port, left)
        os.close(port)
        upload(str(loader.port), image)
        assert bytes(loader.flash[:PAGE]) == image


def test_another_chip_and_another_loader_are_left_alone(tmp_path: Path) -> None:
    with (
        BootLoader(tmp_path / "ttyACM0", chip="SAMD21G18A") as loader,
        pytest.raises(DeviceError, match=r"on a SAMD21G18A; expected an nRF52840. Nothing was"),
    ):
        upload(str(loader.port), image_of(PAGE))
    assert not {c[:1] for c in loader.commands} & {b"S", b"Y", b"K"}
    with (
        BootLoader(tmp_path / "ttyACM1", version="v1.1 [Arduino:XYZ] Mar 2015") as loader,
        pytest.raises(DeviceError, match="says 'v1.1 .*expected Arduino's 'SAM-BA extended'"),
    ):
        upload(str(loader.port), image_of(PAGE))


def test_a_port_that_never_answers(tmp_path: Path) -> None:
    with BootLoader(tmp_path / "ttyACM0") as loader:
        loader.silent_after = 0
        with pytest.raises(DeviceError, match=r"no boot loader answers .*reset button twice"):
            upload(str(loader.port), image_of(PAGE))


@pytest.mark.parametrize("after", [4, 8, 12])
def test_a_loader_that_falls_silent_is_told_with_what_to_do(tmp_path: Path, after: int) -> None:
    with BootLoader(tmp_path / "ttyACM0") as loader:
        loader.silent_after = after
        with pytest.raises(DeviceError, match=r"fallen silent: to [VIYZ].*reset button twice"):
            upload(str(loader.port), image_of(4 * PAGE))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (b"", "expected 8 to 983,040"),
        (image_of(PAGE) * 300, "expected 8 to 983,040"),
        (b"\x7fELF" + bytes(100), "no raw binary"),
        (b"\xff" * 100, "no raw binary"),
        (image_of(300)[:4] + (0x101).to_bytes(4, "little") + bytes(300), "no raw binary"),
    ],
)
def test_what_cannot_run_is_refused_before_the_board_is_asked(image: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        checked_image(image)


def test_the_command_uploads_and_says_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "firmware.bin"
    path.write_bytes(image_of(5000))
    with BootLoader(tmp_path / "ttyACM0") as loader:
        assert main(["--tool", "sam-ba", "--port", str(loader.port), "--image", str(path)]) == 0
        assert bytes(loader.flash[:5000]) == path.read_bytes()
    assert "5,000 bytes in 2 pages, the CRC of each equal" in capsys.readouterr().err
    path.write_bytes(b"firmware")
    with BootLoader(tmp_path / "ttyACM1") as loader:
        assert main(["--tool", "sam-ba", "--port", str(loader.port), "--image", str(path)]) == 2
        assert loader.commands == []


def test_a_running_loader_is_not_touched_and_another_board_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touched(port: str, baud: int) -> None:
        raise AssertionError

    monkeypatch.setattr(flash_module, "touch_port", touched)
    monkeypatch.setattr(flash_module, "usb_identity", lambda port: "2341:005a")
    assert enter_boot_loader("/dev/ttyACM0") == "/dev/ttyACM0"
    monkeypatch.setattr(flash_module, "usb_identity", lambda port: "2341:1002")
    with pytest.raises(DeviceError, match="UNO R4 WiFi"):
        enter_boot_loader("/dev/ttyACM0")
