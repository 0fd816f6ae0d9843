"""Board files: strict reading, and agreement with linker scripts, ports and the build."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from host_tools.boards.board import BOARDS, BOARDS_DIR, load_board, read_board
from host_tools.boards.flash import UPLOADERS
from host_tools.emulators import EMULATORS
from host_tools.errors import UsageError
from host_tools.link.target import choose_target

ROOT = BOARDS_DIR.parent
MEMORY = re.compile(r"(\w+) \(\w+\)\s*: ORIGIN = (0x[0-9A-F]+), LENGTH = (\d+)([KM]?)")
REGISTERS = re.compile(r"^(reg_\w+) = (0x[0-9A-F]{8});$", re.MULTILINE)
ADDRESS = re.compile(r"\b0x(?:[24567]00|3F[CEF]|3C0|403|E00)[0-9A-F]{5}\b")
UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}
LINKED = [board_id for board_id in BOARDS if load_board(board_id).memories]


def linker_script(board_id: str) -> str:
    name = json.loads(BOARDS[board_id].read_text())["build"]["ldscript"]
    return (BOARDS_DIR / name).read_text()


def write_board(folder: Path, change: Any) -> Path:
    content = json.loads(BOARDS["nano33"].read_text())
    change(content)
    path = folder / "changed.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("board_id", BOARDS)
def test_a_board_names_what_exists(board_id: str) -> None:
    board = load_board(board_id)
    assert board.id == board_id
    assert board.emulators
    assert set(board.emulators) <= set(EMULATORS)
    assert board.upload is None or board.upload.tool in UPLOADERS
    assert f"[env:{board.env}]" in (ROOT / "platformio.ini").read_text()
    for folder in board.port:
        assert (ROOT / "firmware" / "board" / folder).is_dir()


def test_every_emulator_belongs_to_a_board() -> None:
    assert {name for board_id in BOARDS for name in load_board(board_id).emulators} == set(
        EMULATORS
    )
    assert all(name == emulator.name for name, emulator in EMULATORS.items())


@pytest.mark.parametrize("board_id", LINKED)
def test_memories_equal_the_linker_script(board_id: str) -> None:
    found = {
        name: (int(origin, 16), int(size) * UNITS[unit])
        for name, origin, size, unit in MEMORY.findall(linker_script(board_id))
    }
    board = load_board(board_id)
    assert found == {memory.name: (memory.origin, memory.bytes) for memory in board.memories}
    for content in ("code", "constants", "data"):
        assert board.memory_for(content) is not None


@pytest.mark.parametrize("board_id", LINKED)
def test_every_address_has_its_source(board_id: str) -> None:
    board = load_board(board_id)
    registers = dict(REGISTERS.findall(linker_script(board_id)))
    assert {memory.name for memory in board.memories} | set(registers) <= set(board.provenance)
    assert {key for key in board.provenance if key.startswith("reg_")} == set(registers)
    for name, address in registers.items():
        assert address in board.provenance[name], name


def test_boards_of_two_chips_do_not_share_a_source() -> None:
    """But for what belongs to the processor's architecture and not to a chip."""
    seen: dict[str, str] = {}
    for board_id in BOARDS:
        board = load_board(board_id)
        for key, text in board.provenance.items():
            if not text.startswith("Armv7-M Architecture Reference Manual"):
                assert seen.setdefault(text, board.soc) == board.soc, (board_id, key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the manual",
        "nRF52840 Product Specification v1.7: registers",
        "nRF52840 Product Specification v1.7, 6.31 TWIM",
        "nRF52840 Product Specification v1.7, : registers",
        "nRF52840 Product Specification v1.7, 6.31 TWIM: ",
    ],
)
def test_a_source_without_document_section_and_fact_is_refused(tmp_path: Path, text: str) -> None:
    path = write_board(
        tmp_path, lambda content: content["tinyproof"]["provenance"].update(reg_twim0=text)
    )
    with pytest.raises(UsageError, match="provenance.reg_twim0: expected '<document>, <section>: "):
        read_board(path)


def test_a_copied_source_is_refused(tmp_path: Path) -> None:
    def copy(content: Any) -> None:
        sources = content["tinyproof"]["provenance"]
        sources["reg_gpio_p1"] = sources["reg_gpio_p0"]

    message = "provenance.reg_gpio_p1: the same text as for 'reg_gpio_p0'"
    with pytest.raises(UsageError, match=message):
        read_board(write_board(tmp_path, copy))


def test_no_source_file_holds_an_address() -> None:
    for path in sorted((ROOT / "firmware" / "board").rglob("*.[cSh]")):
        assert not ADDRESS.search(path.read_text()), path


def test_an_unknown_board_lists_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=r"'nano3' .did you mean 'nano33'..; .*: esp32, esp32c3, nano33"
    ):
        load_board("nano3")


def test_an_unknown_key_names_the_closest(tmp_path: Path) -> None:
    path = write_board(tmp_path, lambda content: content["tinyproof"]["uart"].update(bauds=9600))
    with pytest.raises(
        UsageError, match=r"changed.json: unknown key 'tinyproof.uart.bauds' .did you mean 'baud'"
    ):
        read_board(path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = write_board(tmp_path, lambda content: content["tinyproof"].pop("toolchain"))
    with pytest.raises(UsageError, match=r"'tinyproof\.toolchain' is missing"):
        read_board(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("origin", "flash", "memories.0..origin: expected a hexadecimal address"),
        ("bytes", "many", "memories.0..bytes: expected int, got 'many'"),
        ("bytes", True, "memories.0..bytes: expected int, got True"),
        ("holds", ["stack"], "memories.0..holds: expected some of code, constants, data"),
        ("holds", "code", "memories.0..holds: expected list"),
    ],
)
def test_a_wrong_value_is_explained(tmp_path: Path, key: str, value: object, message: str) -> None:
    path = write_board(
        tmp_path, lambda content: content["tinyproof"]["memories"][0].update({key: value})
    )
    with pytest.raises(UsageError, match=message):
        read_board(path)


def test_a_broken_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(UsageError, match=r"broken.json: not a readable JSON file"):
        read_board(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memories": [{"name": "a", "origin": "0x0", "bytes": 0, "holds": []}]}, "bytes: .* 0"),
        ({"memories": [{"name": "a", "origin": "-0x4", "bytes": 1, "holds": []}]}, "hexadecimal"),
        ({"emulators": []}, r"tinyproof.emulators: expected a list of 1 or more strings"),
        ({"port": ["common", "nosuch"]}, "tinyproof.port: expected folders of .*, got 'nosuch'"),
        ({"port": ["../kernels"]}, "tinyproof.port: expected folders of .*, got '../kernels'"),
        (
            {"flags": ["-DX=`touch x`"]},
            "tinyproof.flags: expected a list of 0 or more strings of the form -",
        ),
        ({"upload": {"tool": "bossac"}}, "upload.tool: expected one of sam-ba, esptool"),
        (
            {"upload": {"usb": ["2341:005A"]}},
            r"upload.usb: expected a list of 0 or more strings of the form \[0-9a-f\]",
        ),
        ({"uart": {"baud": -9600}}, "uart.baud: expected a whole number above 0, got -9600"),
    ],
)
def test_values_that_nothing_can_work_with_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    def update(content: dict[str, Any]) -> None:
        for key, value in change.items():
            ours = content["tinyproof"]
            ours[key] = ours[key] | value if isinstance(value, dict) else value

    with pytest.raises(UsageError, match=message):
        read_board(write_board(tmp_path, update))


def test_an_emulator_that_there_is_not_is_named(tmp_path: Path) -> None:
    path = write_board(tmp_path, lambda content: content["tinyproof"].update(emulators=["qemo"]))
    with pytest.raises(UsageError, match=r"changed.json: .*no emulator 'qemo'; there are"):
        choose_target(read_board(path), None, None)


def test_no_clock_and_a_deep_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="build.f_cpu: expected hertz"):
        read_board(write_board(tmp_path, lambda content: content["build"].update(f_cpu="0L")))
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="not a readable JSON file"):
        read_board(tmp_path / "deep.json")
