"""What an image holds of parts that it was built without, or that its model has no use for."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import pytest

from host_tools.boards.board import load_board
from host_tools.boards.parts import PARTS, lacking
from host_tools.build.breakdown import find_parts
from host_tools.build.elf import SizeReport, size_report
from host_tools.build.firmware import build_firmware
from host_tools.emulators import EMULATORS
from host_tools.errors import DeviceError, UsageError
from host_tools.link.device import Device
from host_tools.link.frames import Frame, FrameDecoder, Status
from host_tools.link.protocol import MessageType
from quantize.drift import emit_drift
from tests.firmware_builds import STUB_FEATURES, built, symbol_names, write_gen
from tests.test_drift import MODEL, make_profile

BOARD = "qemu_m4"
ALL = f"{BOARD}-without-{'-'.join(PARTS)}"
LINK_BYTES = 3900  # of app and link together, with every part that a model without data has
# What only that part needs: how its symbols begin, and words of its texts.
OWN = {
    "text": (("app_text", "app_command", "app_print", "app_bench", "app_live", "do_"), b"help"),
    "golden": (("model_golden", "app_selftest", "on_selftest", "do_selftest"), b"self-test PASS"),
    "layers": (("on_steps", "app_model_time_step"), b"  step #"),
    "stream": (
        ("fe_", "app_on_", "app_stream", "app_live", "board_sensor", "replay", "decide", "model_f"),
        b"samples were lost",
    ),
    "drift": (("drift", "on_drift", "app_infer"), b""),
}


@pytest.fixture(scope="module")
def gen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stub model with a front end and counters of drift."""
    folder = write_gen(tmp_path_factory.mktemp("parts") / "gen")
    for source in STUB_FEATURES.glob("*"):
        shutil.copy(source, folder)
    for name, text in emit_drift(make_profile(), MODEL, "stub").items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def whole(gen: Path) -> tuple[Path, SizeReport]:
    return built_as(gen, BOARD)


@functools.cache
def built_as(gen: Path, board: str) -> tuple[Path, SizeReport]:
    """The image of a board, whose name says what it is without, and its sizes."""
    folder = gen.parent / board
    report = build_firmware(load_board(board), gen, folder)
    return folder / "firmware.elf", report


def belonging(elf: Path, part: str) -> list[str]:
    prefixes, words = OWN[part]
    found = [name for name in symbol_names(elf) if name.startswith(prefixes)]
    return found + ([words.decode()] if words and words in elf.read_bytes() else [])


@pytest.mark.parametrize("part", PARTS)
def test_what_is_left_out_costs_nothing(
    gen: Path, whole: tuple[Path, SizeReport], part: str
) -> None:
    elf, report = built_as(gen, f"{BOARD}-without-{part}")
    assert len(belonging(whole[0], part)) > 2
    assert belonging(elf, part) == []
    assert report.flash_bytes < whole[1].flash_bytes - 200
    assert report.ram_bytes <= whole[1].ram_bytes
    others = set(PARTS) - {part}
    assert all(belonging(elf, other) for other in others)


def test_without_everything_the_line_and_the_model_are_left(gen: Path) -> None:
    elf, report = built_as(gen, ALL)
    assert [name for part in PARTS for name in belonging(elf, part)] == []
    assert report.golden_bytes == 0
    assert report.parts["app"] + report.parts["link"] < 1900
    assert set(report.parts) == {"app", "link", "board", "model", "alignment"}


def test_what_a_model_has_no_use_for_is_not_there() -> None:
    elf = built(BOARD)[0] / "firmware.elf"
    assert belonging(elf, "stream") == belonging(elf, "drift") == []


def test_app_and_link_take_no_more_than_planned() -> None:
    parts = built(BOARD)[1].parts
    assert parts["app"] + parts["link"] <= LINK_BYTES


def test_the_parts_of_an_image_are_its_code(whole: tuple[Path, SizeReport]) -> None:
    elf, report = whole
    assert sum(report.parts.values()) == report.code_bytes
    assert min(report.parts.values()) > 0
    names = {"app", "link", "board", "stream", "drift", "features", "model", "alignment"}
    assert set(report.parts) == names
    assert list(report.parts.values()) == sorted(report.parts.values(), reverse=True)
    alone = elf.with_name("alone.elf")
    shutil.copy(elf, alone)
    assert size_report(alone, arena_bytes=0).parts == {}  # no map beside it
    assert find_parts(elf.with_suffix(".map"), {".none"}) == {}


def test_an_image_without_parts_still_runs_the_model_and_refuses_the_rest(gen: Path) -> None:
    missing = EMULATORS[BOARD].missing()
    if missing is not None:
        pytest.skip(missing)
    elf, _ = built_as(gen, ALL)
    inputs = bytes(range(256)) * 3
    with Device(EMULATORS[BOARD].start(elf), timeout_s=20.0, start_s=20.0) as device:
        assert device.info.golden_count == 0
        assert device.run([inputs]) == [bytes(2 * k for k in range(7))]
        assert device.selftest().cases == 0
        device.write_inputs([inputs])
        for refused in (device.profile, device.drift, device.record_start):
            with pytest.raises(DeviceError, match=r"BAD_TYPE.*built without this part \(--without"):
                refused()


def test_a_line_of_text_belongs_to_no_request_of_an_image_without_text(gen: Path) -> None:
    missing = EMULATORS[BOARD].missing()
    if missing is not None:
        pytest.skip(missing)
    elf, _ = built_as(gen, ALL)
    transport = EMULATORS[BOARD].start(elf)
    decoder, found = FrameDecoder(), list[object]()
    try:
        transport.write(b"help\n")
        while not found:
            found += decoder.feed(transport.read(20.0))
    finally:
        transport.close()
    assert found == [Frame(type=MessageType.ERROR, status=Status.BAD_FRAME, sequence=0)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("qemu_m4-without-", "no part '' to leave out"),
        ("qemu_m4-without-txt", r"no part 'txt' to leave out; expected some of text \(commands"),
        ("qemu_m4-without-link", "a program of your own around the model: tinyproof library"),
        ("qemu_m4-without-text-selftest", "selftest answers in text"),
        ("qemu_m4-without-text-kws01", "kws01 answers in text"),
    ],
)
def test_a_board_without_what_does_not_exist_is_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_board(name)


def test_a_boards_name_says_what_its_image_is_without() -> None:
    board = load_board("nano33-armv7em-without-golden-drift-kws01")
    assert (board.without, board.mlperf, board.kernels) == (("golden", "drift"), "kws01", "armv7em")
    assert board.suffix == "-without-golden-drift-kws01"
    assert lacking("nano33-kws01", "-kws01", "drift, golden") == "nano33-without-golden-drift-kws01"
    assert lacking("nano33", "", None) == "nano33"


def test_parts_in_any_order_make_one_image() -> None:
    """One folder, and the kernels of the chip whichever way it is named."""
    board = load_board("nano33-without-drift-text-drift")
    assert board == load_board("nano33-without-text-drift")
    assert board.folder == "nano33-without-text-drift" and board.plain
    named = lacking(board.folder, board.suffix, "golden")
    assert load_board(named).without == ("text", "golden", "drift")
