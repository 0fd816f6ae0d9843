"""Building: every board from the stub model, what comes out, and what is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from host_tools.boards.board import BOARDS, load_board
from host_tools.build import firmware as build_module
from host_tools.build import libraries
from host_tools.build import provision as provisioning
from host_tools.build.elf import size_report, symbol_address
from host_tools.build.firmware import build_firmware, check_fits, pio_environment, read_model_sizes
from host_tools.build.provision import CORE_DIR, provision
from host_tools.errors import HostToolsError, ToolMissing, UsageError
from model.paths import ROOT
from tests.firmware_builds import (
    STUB_ARENA_BYTES,
    STUB_GOLDEN_BYTES,
    built,
    compiled_with,
    symbol_names,
    write_gen,
)
from tests.sweeps import sweep

MEGABYTE = 1024 * 1024
FLOAT_CALLS = ("__aeabi_f", "__aeabi_d", "__addsf", "__mulsf", "__divsf", "__adddf", "__muldf")


@pytest.mark.parametrize("board_id", BOARDS)
def test_every_board_builds_and_is_measured(board_id: str) -> None:
    out_dir, report = built(board_id)
    board = load_board(board_id)
    written = json.loads((out_dir / "size.json").read_text())
    del written["image_sha256"]
    image = {"kernels": board.kernels, "framework": "bare", "engine": "aot"}
    head = image | {"board": board_id, "model_sha256": "0" * 64}
    assert written == json.loads(json.dumps(head | asdict(report)))
    assert report.flash_bytes == report.code_bytes + report.weight_bytes + report.golden_bytes
    assert report.golden_bytes == STUB_GOLDEN_BYTES
    assert report.arena_bytes == STUB_ARENA_BYTES < report.ram_bytes
    assert report.stack_bytes == (8192 if board.memories else 0)
    assert (out_dir / "firmware.bin").is_file() == (board.upload is not None)
    sizes = [symbol.bytes for symbol in report.largest]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("board_id", "limit"),
    [
        ("qemu_m4", 6100),
        ("nano33", 6300),
        ("qemu_xtensa", 7450),
        ("esp32", 9650),
        ("qemu_riscv32", 7500),
        ("esp32c3", 8000),
    ],
)
def test_everything_but_kernels_and_model_stays_small(board_id: str, limit: int) -> None:
    assert built(board_id)[1].code_bytes < limit


@pytest.mark.parametrize("board_id", BOARDS)
def test_a_network_s_calls_are_compiled_for_size(board_id: str) -> None:
    assert "-Os" in compiled_with(built(board_id)[0] / "firmware.elf", "gen/model.c")


@pytest.mark.parametrize("board_id", BOARDS)
def test_firmware_has_no_floating_point_and_no_arm_state(board_id: str) -> None:
    names = symbol_names(built(board_id)[0] / "firmware.elf")
    assert not [name for name in names if name.startswith(FLOAT_CALLS)]
    assert "$a" not in names


def test_nano33_starts_behind_the_boot_loader() -> None:
    elf_path = built("nano33")[0] / "firmware.elf"
    with elf_path.open("rb") as file:
        elf = ELFFile(file)
        first = min(s["p_paddr"] for s in elf.iter_segments() if s["p_filesz"])
        table = elf.get_section_by_name(".text").data()
    assert first == 0x10000
    stack, reset = (int.from_bytes(table[at : at + 4], "little") for at in (0, 4))
    assert stack == symbol_address(elf_path, "__stack_top")
    assert reset == symbol_address(elf_path, "board_reset")
    assert (built("nano33")[0] / "firmware.bin").read_bytes()[:8] == table[:8]


@pytest.mark.parametrize(
    ("board_id", "ram"),
    [("esp32", ["0x3ffb2000", "0x40080300"]), ("esp32c3", ["0x3fc82000", "0x403b0000"])],
)
def test_esptool_accepts_the_image(board_id: str, ram: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "esptool", "--chip", board_id, "image-info", "firmware.bin"],
        cwd=built(board_id)[0],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"Segments: {len(ram)}" in done.stdout  # what the ROM loads; not the constants
    assert re.search(r"Checksum: 0x\w+ \(valid\)", done.stdout)
    loads = [
        line.split()[2] for line in done.stdout.splitlines() if line.strip()[:2] in ("0 ", "1 ")
    ]
    assert sorted(loads) == ram


ESP = ("esp32", "esp32c3")


def assert_constants_follow(board_id: str, out_dir: Path) -> None:
    """What the flash window shows at the address of .rodata, once written, is .rodata."""
    board = load_board(board_id)
    flash = board.memory_for("constants")
    assert flash is not None and board.upload is not None
    with (out_dir / "firmware.elf").open("rb") as file:
        section = ELFFile(file).get_section_by_name(".rodata")
        place = section["sh_addr"] - flash.origin - int(board.upload.image_at, 16)
        data = section.data()
    assert len(data) > 1000
    assert (out_dir / "firmware.bin").read_bytes()[place : place + len(data)] == data


@pytest.mark.parametrize("board_id", ESP)
def test_an_image_has_its_constants_where_the_flash_window_shows_them(board_id: str) -> None:
    assert_constants_follow(board_id, built(board_id)[0])


@pytest.mark.parametrize(
    ("board_id", "ram_bytes"),  # below and above a page of 64 KiB
    sweep([(board, ram) for board in ESP for ram in (48000, 80000)], [("esp32", 80000)]),
)
def test_the_constants_follow_a_large_ram_part_too(
    tmp_path: Path, board_id: str, ram_bytes: int
) -> None:
    big = f"extern uint8_t filled[{ram_bytes}];\nuint8_t filled[{ram_bytes}] = {{1}};\n"
    use = {"void model_step": f"{big}void model_step"}
    read = {"if (step == 0) {": "if (step == 0) { arena[0] ^= filled[arena[1]];"}
    gen = write_gen(tmp_path / "gen", {**use, **read})
    report = build_firmware(load_board(board_id), gen, tmp_path / "out")
    assert report.ram_bytes > ram_bytes
    assert_constants_follow(board_id, tmp_path / "out")


def test_esp32_constants_are_not_in_ram(tmp_path: Path) -> None:
    big = "extern const uint8_t model_w0[400000];\nconst uint8_t model_w0[400000] = {1};\n"
    use = {"void model_step": f"{big}void model_step"}
    read = {"if (step == 0) {": "if (step == 0) { arena[0] ^= model_w0[arena[1]];"}
    gen = write_gen(tmp_path / "gen", {**use, **read}, weight_bytes=400000)
    report = build_firmware(load_board("esp32"), gen, tmp_path / "out")
    assert report.weight_bytes == 400000
    assert report.ram_bytes < 20000


@pytest.mark.parametrize(
    ("board_id", "manifest", "message"),
    [
        (
            "nano33",
            {"weight_bytes": 983041, "constants": [{"name": "model_w3", "bytes": 983041}]},
            r"nano33: FLASH needs 983,041 bytes or more, available are 983,040. "
            r"Largest parts in bytes: model_w3 983,041",
        ),
        ("nano33", {"arena_bytes": 262145}, r"RAM needs 262,145 .*262,144.*: arena 262,145"),
        ("esp32", {"weight_bytes": 4194305}, "FLASH needs 4,194,305 .*4,194,304"),
        ("esp32", {"weight_bytes": 190000, "arena_bytes": 197000}, "DATA needs 197,000 .*196,608"),
    ],
)
def test_a_model_that_cannot_fit_is_refused_before_the_build(
    tmp_path: Path, board_id: str, manifest: dict[str, object], message: str
) -> None:
    gen = write_gen(tmp_path / "gen", **manifest)
    with pytest.raises(HostToolsError, match=message):
        build_firmware(load_board(board_id), gen, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_just_fits_is_not_refused(tmp_path: Path) -> None:
    gen = write_gen(tmp_path / "gen", weight_bytes=983040, arena_bytes=262144)
    check_fits(load_board("nano33"), read_model_sizes(gen))
    check_fits(load_board("native"), read_model_sizes(gen))


def test_what_only_the_linker_finds_too_large_is_told_the_same_way(tmp_path: Path) -> None:
    big = "const uint8_t model_golden_big[1048576] = {1};\n"
    use = {"void model_step": f"extern {big.split(' =')[0]};\n{big}void model_step"}
    read = {"if (step == 0) {": "if (step == 0) { arena[0] ^= model_golden_big[arena[1]];"}
    gen = write_gen(tmp_path / "gen", {**use, **read})
    with pytest.raises(HostToolsError, match=r"FLASH needs 1,05\d,\d+ bytes or more, available"):
        build_firmware(load_board("nano33"), gen, tmp_path / "out")


def test_a_compiler_error_is_quoted(tmp_path: Path) -> None:
    gen = write_gen(tmp_path / "gen", {"if (step == 0) {": "int unused; if (step == 0) {"})
    with pytest.raises(HostToolsError, match=r"(?s)model.c:.*unused variable.*build.log"):
        build_firmware(load_board("qemu_m4"), gen, tmp_path / "out")


def test_builds_of_two_models_do_not_mix(tmp_path: Path) -> None:
    def build(number: int) -> bytes:
        gen = write_gen(tmp_path / f"gen{number}")
        header = gen / "model.h"
        header.write_text(header.read_text().replace('"stub"', f'"stub number {number}"'))
        out_dir = tmp_path / f"out{number}"
        build_firmware(load_board("qemu_m4"), gen, out_dir)
        return (out_dir / "firmware.elf").read_bytes()

    with ThreadPoolExecutor(2) as pool:
        images = list(pool.map(build, (1, 2)))
    for number in (1, 2):
        assert f"stub number {number}".encode() in images[number - 1]
        assert f"stub number {3 - number}".encode() not in images[number - 1]


@pytest.mark.parametrize(
    ("board_id", "package"),
    [
        ("nano33", "gcc-arm-none-eabi"),
        ("esp32", "gcc-xtensa-lx106"),
        ("esp32c3", "gcc-riscv64"),
        ("native", "install gcc"),
    ],
)
def test_a_missing_compiler_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board_id: str, package: str
) -> None:
    gen = write_gen(tmp_path / "gen")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=f"gcc is not on PATH.*{package}"):
        build_firmware(load_board(board_id), gen, tmp_path / "out")


@pytest.mark.parametrize("content", [None, "{}", "nonsense", '{"weight_bytes": "x"}'])
def test_a_folder_without_a_generated_model_is_explained(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UsageError, match=r"generate (it first|the model again)"):
        build_firmware(load_board("native"), tmp_path, tmp_path / "out")


def test_platformio_by_hand_tells_what_to_type_without_a_model(tmp_path: Path) -> None:
    provision()
    done = subprocess.run(
        [sys.executable, "-m", "platformio", "run", "-d", str(ROOT), "-e", "native"],
        env={
            **os.environ,
            "PLATFORMIO_CORE_DIR": str(CORE_DIR),
            "PLATFORMIO_WORKSPACE_DIR": str(tmp_path / ".pio"),
            "TINYPROOF_GEN": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert f"{tmp_path} holds no generated model" in done.stderr
    assert "make emit RECIPE=motion" in done.stderr


def test_provisioning_twice_changes_nothing(tmp_path: Path) -> None:
    package = provision(tmp_path)
    before = (package / "package.json").stat().st_mtime_ns
    assert provision(tmp_path) == package
    assert (package / "package.json").stat().st_mtime_ns == before
    assert (package / "SCons" / "Script").is_dir()


def test_an_incomplete_package_is_written_again(tmp_path: Path) -> None:
    broken = tmp_path / "packages" / "tool-scons"
    broken.mkdir(parents=True)
    (broken / "package.json").write_text("{")
    assert (provision(tmp_path) / "scons.py").is_file()


def test_the_wrong_scons_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        version = "4.5.2"

    def distribution(name: str) -> object:
        return Old() if name == "scons" else metadata.distribution(name)

    monkeypatch.setattr(provisioning, "_distribution", distribution)
    with pytest.raises(UsageError, match=r"wants scons 4.11.1, found 4.5.2; .*scons==4.11.1"):
        provision(tmp_path)


def test_a_file_that_is_no_elf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "firmware.elf").write_bytes(b"not an ELF file")
    with pytest.raises(HostToolsError, match="not a readable ELF file"):
        size_report(tmp_path / "firmware.elf", arena_bytes=0)


def test_arduino_without_its_registry_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(build_module, "CORE_DIR", tmp_path)
    monkeypatch.setattr(libraries.socket, "create_connection", refuse)
    with pytest.raises(ToolMissing, match=r"nordicnrf52.*does not answer.*FRAMEWORK=bare"):
        pio_environment(load_board("nano33"), "arduino")
    with pytest.raises(UsageError, match="arduino for esp32 and nano33"):
        pio_environment(load_board("qemu_m4"), "arduino")
    assert pio_environment(load_board("nano33"), "bare") == "nano33"


def test_the_esp32_has_no_loop_buffer_before_its_first_loop() -> None:
    """WSR.MEMCTL a2 with a2 = 0 and ISYNC are the first that board_init does; see board.c."""
    folder, _ = built("esp32")
    with (folder / "firmware.elf").open("rb") as stream:
        image = ELFFile(stream)
        symbol = image.get_section_by_name(".symtab").get_symbol_by_name("board_init")[0]
        section = image.get_section(symbol["st_shndx"])
        code = section.data()[symbol["st_value"] - section["sh_addr"] :][:24]
    at = code.index(bytes.fromhex("206113002000"))
    assert code[:at].endswith(bytes.fromhex("0c02")), "a2 is not 0"
    assert at <= 12  # behind the prologue
