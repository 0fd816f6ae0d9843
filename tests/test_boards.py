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

ROOT = BOARDS_DIR.parent
MEMORY = re.compile(r"(\w+) \(\w+\)\s*: ORIGIN = (0x[0-9A-F]+), LENGTH = (\d+)([KM]?)")
REGISTERS = re.compile(r"^(reg_\w+) = 0x[0-9A-F]{8};$", re.MULTILINE)
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
    registers = set(REGISTERS.findall(linker_script(board_id)))
    assert {memory.name for memory in board.memories} | registers <= set(board.provenance)
    assert {key for key in board.provenance if key.startswith("reg_")} == registers


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
