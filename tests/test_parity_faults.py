"""Parity over a line that fails: nothing lost, nothing endless, and a part is no proof."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host_tools.boards.board import load_board
from host_tools.emulators.native import Native
from host_tools.errors import DeviceError
from host_tools.link import device as device_module
from host_tools.link import target as target_module
from host_tools.link.batch import Batch
from host_tools.link.target import Target, choose_target
from host_tools.link.transport import Gone, Transport, UsbPort
from host_tools.parity.outputs import describe, run_parity
from host_tools.parity.stage import print_parity
from host_tools.report.collect import INCOMPLETE, _parity_state
from quantize.golden import load_golden
from tests.native_app import compile_app
from tests.pty_board import PtyBoard
from tests.test_parity import CASES, make_build

NATIVE = load_board("native")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_firmware(make_build(tmp_path_factory.mktemp("project")))


def with_firmware(out_dir: Path) -> Path:
    folder = out_dir / "native"
    folder.mkdir()
    compile_app(folder, out_dir / "gen" / "ref", kernels="ref")
    return out_dir


@pytest.fixture
def out_dir(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "build"))


class Meddled:
    """Calls `meddle` with what is written; it returns what goes on, or raises."""

    def __init__(self, inner: Transport, meddle: Callable[[bytes], bytes]) -> None:
        self.name, self.read, self.close = inner.name, inner.read, inner.close
        self._inner, self._meddle = inner, meddle

    def write(self, data: bytes) -> None:
        self._inner.write(self._meddle(data))


def meddle_with(monkeypatch: pytest.MonkeyPatch, meddle: Callable[[bytes], bytes]) -> None:
    start = Native.start
    monkeypatch.setattr(Native, "start", lambda self, elf: Meddled(start(self, elf), meddle))
    monkeypatch.setattr(device_module, "ATTEMPTS", 3)
    monkeypatch.setattr("host_tools.link.line.MAX_WINDOW", 0)  # frames are written whole


def parity(out_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out_dir / "native" / "parity.json").read_text())
    return found


def native() -> Target:
    return choose_target(NATIVE, None, None)


def spoil(out_dir: Path, case: int, times: int) -> Callable[[bytes], bytes]:
    """Change the case's input on the way, so that its frame is damaged, so many times."""
    golden = load_golden(out_dir / "golden.npz")
    data = golden.case_inputs(case)[0].tobytes()
    part = max(data.split(b"\0"), key=len)[:40]
    left = [times]

    def meddle(sent: bytes) -> bytes:
        if part in sent and left[0] > 0:
            left[0] -= 1
            return sent.replace(part, bytes([part[0] % 255 + 1]) + part[1:], 1)
        return sent

    return meddle


def test_a_case_that_gives_up_is_asked_again_at_the_end(
    out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Batch, "_go_back", lambda *_: False)
    meddle_with(monkeypatch, spoil(out_dir, 1, 4))
    report = run_parity(out_dir, NATIVE, native(), None)
    print_parity(report)
    stored = parity(out_dir)
    assert (stored["cases"], stored["equal"], stored["missing"]) == (CASES, CASES, 0)
    assert (stored["put_aside"], stored["partial"]) == ([1], None)
    assert stored["link"]["retries"] >= 3
    assert any("asked again at the end: case 1" in line for line in describe(report))


def test_a_case_that_never_answers_is_no_proof(
    out_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    meddle_with(monkeypatch, spoil(out_dir, 1, 1000))
    report = run_parity(out_dir, NATIVE, native(), None)
    with pytest.raises(DeviceError, match=f"1 of {CASES} cases have no answer"):
        print_parity(report)
    told = capsys.readouterr().out
    assert "no proof" in told and "every byte" not in told
    stored = parity(out_dir)
    assert (stored["equal"], stored["missing"], stored["put_aside"]) == (CASES - 1, 1, [1])
    board = {"parity": stored, "size": None, "generated": None}
    assert _parity_state(board, None) == INCOMPLETE


def test_an_interrupt_leaves_what_was_done(out_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = load_golden(out_dir / "golden.npz")
    data = golden.case_inputs(CASES - 1)[0].tobytes()
    part = max(data.split(b"\0"), key=len)[:40]

    def meddle(sent: bytes) -> bytes:
        if part in sent:
            raise KeyboardInterrupt
        return sent

    meddle_with(monkeypatch, meddle)
    with pytest.raises(KeyboardInterrupt):
        run_parity(out_dir, NATIVE, native(), None)
    stored = parity(out_dir)
    assert (stored["cases"], stored["equal"], stored["missing"]) == (CASES, CASES - 1, 1)
    assert stored["partial"] == "interrupted"


def test_firmware_that_ends_is_started_again(
    out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = load_golden(out_dir / "golden.npz")
    parts = [
        max(golden.case_inputs(case)[0].tobytes().split(b"\0"), key=len)[:40] for case in (1, 3)
    ]

    def meddle(sent: bytes) -> bytes:
        if found := [part for part in parts if part in sent]:
            parts.remove(found[0])
            raise Gone("native: the connection ended")
        return sent

    meddle_with(monkeypatch, meddle)
    run_parity(out_dir, NATIVE, native(), None)
    stored = parity(out_dir)
    assert (stored["equal"], stored["link"]["reconnects"]) == (CASES, 2)


def test_firmware_that_always_ends_is_an_error(
    out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddle(sent: bytes) -> bytes:
        raise Gone("native: the connection ended: status 7")

    meddle_with(monkeypatch, meddle)
    with pytest.raises(DeviceError, match="status 7"):
        run_parity(out_dir, NATIVE, native(), None)
    assert not (out_dir / "native" / "parity.json").exists()


@pytest.fixture
def usb(monkeypatch: pytest.MonkeyPatch) -> list[UsbPort]:
    """The USB devices that are plugged in."""
    ports: list[UsbPort] = []
    monkeypatch.setattr(target_module, "usb_ports", lambda: ports)
    monkeypatch.setattr(
        target_module, "usb_port", lambda name: next((p for p in ports if p.name == name), None)
    )
    monkeypatch.setattr(target_module, "RETURN_S", 5.0)
    return ports


@pytest.mark.parametrize("same_model", [True, False])
def test_a_board_that_is_replugged_is_found_by_its_serial_number(
    out_dir: Path,
    tmp_path: Path,
    usb: list[UsbPort],
    monkeypatch: pytest.MonkeyPatch,
    same_model: bool,
) -> None:
    """It comes back under another name; another board takes the one it had."""
    monkeypatch.setattr("host_tools.link.line.MAX_WINDOW", 0)
    before, after = tmp_path / "ttyACM0", tmp_path / "ttyACM1"
    elf = out_dir / "native" / "firmware.elf"
    other = elf if same_model else compile_app(tmp_path)
    golden = load_golden(out_dir / "golden.npz")
    part = max(golden.case_inputs(2)[0].tobytes().split(b"\0"), key=len)[:40]
    write = target_module.SerialTransport.write
    usb.append(UsbPort(name=str(before), text="", usb="2341:805a", serial="A1"))
    with PtyBoard(elf, before), PtyBoard(other, tmp_path / "hidden") as second:
        unplugged = []

        def meddle(self: target_module.SerialTransport, data: bytes) -> None:
            if part in data and not unplugged:
                unplugged.append(True)
                usb[:] = [
                    UsbPort(name=str(before), text="", usb="2341:805a", serial="B2"),
                    UsbPort(name=str(after), text="", usb="2341:805a", serial="A1"),
                ]
                second.appear(after)
                raise Gone("ttyACM0: the port has gone")
            write(self, data)

        monkeypatch.setattr(target_module.SerialTransport, "write", meddle)
        at_port = Target(emulator=None, port=str(before))
        if same_model:
            report = run_parity(out_dir, NATIVE, at_port, None)
            assert (report.equal, report.link.reconnects) == (CASES, 1)
            return
        with pytest.raises(DeviceError, match="another firmware answers than before"):
            run_parity(out_dir, NATIVE, at_port, None)
    stored = json.loads((out_dir / "native" / "parity-port.json").read_text())
    assert stored["partial"].startswith(str(after)) and stored["missing"] > 0


def test_a_board_that_stays_away_ends_the_run(
    usb: list[UsbPort], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(target_module, "RETURN_S", 0.5)
    reopen = target_module._reopening(
        Target(emulator=None, port=str(tmp_path / "ttyACM0")), NATIVE, tmp_path
    )
    with pytest.raises(Gone, match="did not come back in 0 s: it is not there"):
        reopen()
