"""A model as a library: what it compiles under, what it refuses, and that it answers the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from host_tools.boards.board import load_board
from host_tools.commands.parity import command as parity_command
from host_tools.errors import UsageError
from host_tools.library.describe import library_name
from host_tools.library.make import Library, make_library
from host_tools.library.sources import SETS, kernel_files, library_set, needed_kernels
from host_tools.library.via import run_via_library
from host_tools.library.write import write_library, zipped
from host_tools.link.target import choose_target
from host_tools.report.collect import collect
from host_tools.report.libraries import KEYS, libraries, library_rows, size_rows, size_table
from model.decide import Rule, decisions
from model.files import write_json
from model.tasks import ClassJudge
from quantize.answers import emit_answers
from quantize.golden import load_golden
from tests.sweeps import sweep
from tests.test_certificate import CASES, make_build

HERE = Path(__file__).parent / "library"
LABELS = ('"quoted"', "*/ end", "täglich\n", "??/ %s", "last")
RULE = Rule(inputs=3, threshold=20, pause=2)
WARNINGS = [
    *("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wundef", "-pedantic", "-Werror"),
    *("-Wstrict-prototypes", "-Wmissing-prototypes"),
]
XTENSA = ("xtensa-lx106-elf-gcc", *load_board("qemu_xtensa").flags)
CLANG = next((name for name in ("clang", "clang-14") if shutil.which(name)), "clang")
COMPILERS = {
    "gcc": ("gcc", "-std=c11", "-O2", "-fno-pie"),
    "gcc at -O0": ("gcc", "-std=gnu11", "-O0", "-fno-pie"),
    "clang": (CLANG, "-std=c11", "-O2", "-fno-pie"),
    "Cortex-M4F": ("arm-none-eabi-gcc", "-std=c11", "-Os", *load_board("qemu_m4").flags),
    "Cortex-M4F, softfp": (
        *("arm-none-eabi-gcc", "-std=gnu11", "-O2", "-mcpu=cortex-m4", "-mthumb"),
        *("-mfloat-abi=softfp", "-mfpu=fpv4-sp-d16"),
    ),
    "Nano 33 BLE under PlatformIO": (
        *("arm-none-eabi-gcc", "-std=gnu11", "-Os", "-mcpu=cortex-m4", "-mthumb"),
        *("-mfloat-abi=soft", "-DARDUINO_ARDUINO_NANO33BLE"),
    ),
    "Cortex-M4 without FPU": ("arm-none-eabi-gcc", "-std=c11", "-Os", "-mcpu=cortex-m4", "-mthumb"),
    "Cortex-M0+": ("arm-none-eabi-gcc", "-std=c11", "-Os", "-mcpu=cortex-m0plus", "-mthumb"),
    "Cortex-M3": ("arm-none-eabi-gcc", "-std=c11", "-Os", "-mcpu=cortex-m3", "-mthumb"),
    "Cortex-M33": (
        *("arm-none-eabi-gcc", "-std=c11", "-Os", "-mcpu=cortex-m33", "-mthumb"),
        "-mfloat-abi=hard",
    ),
    "rv32imc": ("riscv64-unknown-elf-gcc", "-std=c11", "-Os", *load_board("qemu_riscv32").flags),
    "ESP32": (*XTENSA, "-std=c11", "-Os", "-DTINYPROOF_KERNELS_XTENSA"),
    "ESP8266": (*XTENSA, "-std=c11", "-Os", "-DESP8266", "-DESP_PLATFORM"),
}
TAKEN = {
    "Cortex-M4F": "armv7em",
    "Cortex-M4F, softfp": "armv7em",
    "Nano 33 BLE under PlatformIO": "armv7em",
    "Cortex-M33": "armv7em",
    "ESP32": "xtensa",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results with a front end and labels that are no C."""
    return with_rule(make_build(tmp_path_factory.mktemp("library"), "raw", len(LABELS), LABELS))


def with_rule(out_dir: Path) -> Path:
    """The folder with a rule of decisions, as the stages `rule` and `emit` leave it."""
    sha = json.loads((out_dir / "gen/ref/manifest.json").read_text())["model_sha256"]
    write_json(out_dir / "rule.json", {"rule": asdict(RULE), "model_sha256": sha})
    answers = emit_answers(ClassJudge(classes=len(LABELS)), LABELS, "m", RULE)
    for kernels in SETS:
        for name, text in answers.items():
            (out_dir / "gen" / kernels / name).write_text(text)
    return out_dir


@pytest.fixture(scope="module")
def library(results: Path) -> Library:
    return make_library(results)


@pytest.fixture(scope="module")
def folder(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_library(library, tmp_path_factory.mktemp("written"))[0]


def sources(folder: Path) -> list[Path]:
    return sorted(p for p in (folder / "src").rglob("*") if p.suffix in (".c", ".S"))


def compiled(folder: Path, into: Path, compiler: tuple[str, ...]) -> list[Path]:
    """Every source of a library as an object; the compiler's warnings are errors."""
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"{compiler[0]} is not installed")
    into.mkdir(parents=True)
    objects = []
    for number, path in enumerate(sources(folder)):
        objects.append(into / f"{number}-{path.stem}.o")
        warnings = WARNINGS if path.suffix == ".c" else []
        split = ["-ffunction-sections", "-fdata-sections"]
        command = [*compiler, *warnings, *split, "-c", str(path), "-o", str(objects[-1])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return objects


def symbols(objects: list[Path], compiler: tuple[str, ...]) -> list[tuple[str, str]]:
    """(name, kind as nm writes it) of all global symbols."""
    nm = "nm" if compiler[0] in ("gcc", CLANG) else compiler[0].removesuffix("gcc") + "nm"
    command = [nm, "-g", *map(str, objects)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [(line.split()[-1], line.split()[-2]) for line in text.splitlines() if " " in line]


@pytest.mark.parametrize("name", COMPILERS)
def test_every_compiler_takes_it_and_links_no_name_of_others(
    folder: Path, tmp_path: Path, name: str
) -> None:
    compiler = COMPILERS[name]
    found = symbols(compiled(folder, tmp_path / "objects", compiler), compiler)
    defined = {symbol for symbol, kind in found if kind != "U"}
    assert defined and all(symbol.startswith("tp_m_") for symbol in defined)
    assert not {symbol for symbol, kind in found if kind in "DdBbC"}, "a variable that can change"
    wanted = {symbol for symbol, kind in found if kind == "U" and symbol.startswith("tp_")}
    assert wanted <= defined
    inside = {symbol.removeprefix("tp_m_LIB_") for symbol in defined}
    kernels = {symbol for symbol in inside if symbol.startswith("nn_")}
    shared = {symbol.removeprefix("tp_m_LIB_") for symbol, kind in found if kind == "W"}
    own = TAKEN.get(name, "portable")
    text = (folder / "src" / "tp_m" / own / "model.c").read_text()
    assert kernels & set(re.findall(r"nn_\w+", text))
    fast = {path.stem for path in (folder / "src" / "tp_m" / own).glob("nn_*")}
    assert kernels <= fast | {path.stem for path in (folder / "src" / "tp_m/portable").glob("nn_*")}
    called = {s.removeprefix("tp_m_LIB_") for s, k in found if k == "U"}
    assert kernels - shared <= called, "one not called"


@pytest.mark.parametrize("kernels", sweep(SETS, ["armv7em"]))
@pytest.mark.slow
def test_names_in_files_tell_which_kernels_call_others(kernels: str, tmp_path: Path) -> None:
    """For each kernel of the set: what its text names is at least what its object wants."""
    compiler = {"ref": "Cortex-M0+", "armv7em": "Cortex-M4F", "xtensa": "ESP32"}[kernels]
    files = kernel_files(kernels)
    objects = []
    for name, path in files.items():
        objects.append(tmp_path / f"{name}.o")
        flags = [f"-I{path.parents[1]}", "-c", str(path), "-o", str(objects[-1])]
        subprocess.run([*COMPILERS[compiler], *flags], check=True)
    for name, own in zip(files, objects, strict=True):
        found = symbols([own], COMPILERS[compiler])
        called = {symbol for symbol, kind in found if kind == "U" and symbol in files}
        assert called <= {path.stem for path in needed_kernels(kernels, name)}


def test_header_is_cxx_and_c(folder: Path, tmp_path: Path) -> None:
    for standard in ("c11", "gnu17", "c++11", "c++17", "gnu++20"):
        compiler = "g++" if "+" in standard else "gcc"
        path = tmp_path / ("use.cpp" if "+" in standard else "use.c")
        path.write_text(
            "#include <tp_m.h>\nstatic tp_m_t m;\n"
            "int main(void) { return tp_m_init(&m) == TP_M_OK ? tp_m_selftest(&m) : 1; }\n"
        )
        flags = [f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wundef"]
        command = [compiler, *flags, f"-I{folder / 'src'}", "-fsyntax-only", str(path)]
        subprocess.run(command, check=True)


def test_an_avr_and_a_wrong_choice_are_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "use.c"
    path.write_text("#include <tp_m.h>\n")
    for define, told in {
        "__AVR__": "8-bit processor",
        "TINYPROOF_KERNELS_ARMV7EM": "needs a Cortex-M with DSP",
        "TINYPROOF_KERNELS_XTENSA": "needs an ESP32",
    }.items():
        command = ["gcc", f"-D{define}", f"-I{folder / 'src'}", "-fsyntax-only", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode != 0 and told in done.stderr


def program(folder: Path, source: Path, into: Path, *more: str) -> Path:
    """A program of this computer around one library, with the sanitisers."""
    path = into / source.stem
    flags = ["-std=gnu11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    names = ["-DLIB_NAME=tp_m", "-DLIB_CAPITALS=TP_M", "-DLIB_HEADER=<tp_m.h>"]
    parts = [*map(str, sources(folder)), str(source), f"-I{folder / 'src'}"]
    subprocess.run(["gcc", *flags, *names, *parts, *more, "-pthread", "-o", str(path)], check=True)
    return path


def test_misuse_is_refused(folder: Path, tmp_path: Path) -> None:
    path = program(folder, HERE / "misuse.c", tmp_path)
    done = subprocess.run([str(path)], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("portable\n", "", 0)


def test_labels_are_what_the_user_wrote(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "labels.c"
    source.write_text(
        "#include <tp_m.h>\n#include <stdio.h>\n"
        'int main(void) { for (int i = 0; i < 6; i++) printf("%s;", tp_m_label(i)); }\n'
    )
    done = subprocess.run([str(program(folder, source, tmp_path))], capture_output=True, check=True)
    assert done.stdout.decode() == "".join(f"{label};" for label in (*LABELS, ""))


def test_decisions_are_those_of_the_rule(results: Path, folder: Path, tmp_path: Path) -> None:
    """Of a long stream of golden cases, by the library's own rule and by one of the user's."""
    golden = load_golden(results / "golden.npz")
    order = np.random.default_rng(3).integers(0, CASES, 60).repeat(3)
    inputs = golden.inputs[0].reshape(CASES, -1)
    outputs = golden.outputs[0].reshape(CASES, -1)[order]
    rows = ", ".join("{" + ", ".join(map(str, row)) + "}" for row in inputs.tolist())
    source = tmp_path / "decide.c"
    source.write_text(
        f"#include <tp_m.h>\n#include <stdio.h>\nstatic const int8_t inputs[][{inputs.shape[1]}] = "
        f"{{{rows}}};\nstatic const int order[] = {{{', '.join(map(str, order))}}};\n"
        + (HERE / "decide.c").read_text()
    )
    program_path = program(folder, source, tmp_path)
    done = subprocess.run([str(program_path)], capture_output=True, text=True, check=True)
    rules = (RULE, Rule(inputs=1, threshold=0, pause=0))
    for line, rule in zip(done.stdout.splitlines(), rules, strict=True):
        expected = [int(d) for d in decisions(rule, outputs)]
        assert [int(word) for word in line.split()] == expected
        assert len(set(expected)) > 2


def c_array(name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> str:
    numbers = ", ".join(map(str, values.reshape(-1).tolist()))
    return f"static const int16_t {name}[] = {{{numbers}}};\n"


def two_models(root: Path, tmp_path: Path) -> tuple[list[Path], Path]:
    """Sources of two libraries and of a program with two streams of one, interleaved, and one of
    the other between them; it prints every output byte."""
    parts, text = [], "#include <stdio.h>\n"
    for kind in ("raw", "logmel"):
        out_dir = make_build(root / kind, kind)
        renamed = out_dir.with_name(kind)
        out_dir.rename(renamed)
        for path in renamed.glob("gen/*/manifest.json"):
            path.write_text(path.read_text().replace('"name": "m"', f'"name": "{kind}"'))
        found = make_library(renamed)
        parts.append(write_library(found, tmp_path)[0])
        with np.load(renamed / "samples.npz") as stored:
            samples = stored["samples"]
        golden = load_golden(renamed / "golden.npz").outputs[0]
        text += f"#include <{found.name}.h>\n" + c_array(f"{kind}_samples", samples)
        text += c_array(f"{kind}_expected", golden.astype(np.int16))
    source = tmp_path / "two.c"
    source.write_text(text + (HERE / "two_models.c").read_text())
    return parts, source


def test_two_models_and_three_streams_in_one_program(tmp_path: Path) -> None:
    folders, source = two_models(tmp_path / "results", tmp_path)
    parts = [*map(str, [*sources(folders[0]), *sources(folders[1])]), str(source)]
    include = [f"-I{folder / 'src'}" for folder in folders]
    path = tmp_path / "two"
    command = ["gcc", "-std=c11", "-O2", "-flto", *include, *parts, "-o", str(path)]
    subprocess.run(command, check=True)
    done = subprocess.run([str(path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (f"{3 * CASES} equal\n", 0)


@pytest.mark.parametrize(
    "board_id",
    sweep(["native", "qemu_m4", "qemu_xtensa", "qemu_riscv32"], ["native", "qemu_m4"]),
)
def test_parity_via_the_library(results: Path, board_id: str) -> None:
    board = load_board(board_id)
    report, found = run_via_library(results, board, choose_target(board, None, None), None)
    assert (report.cases, report.equal, report.failures) == (CASES, CASES, [])
    assert (report.engine, report.kernels) == ("library", library_set(board.kernels))
    assert (found.windows, found.windows_equal) == (CASES, CASES)
    assert (found.instructions is None) == (board_id in ("native", "qemu_riscv32"))
    assert 0 < found.object_bytes < found.ram_bytes < 1 << 20
    stored = json.loads((results / f"{board_id}-library" / "library.json").read_text())
    assert stored["flash_bytes"] == found.flash_bytes


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tap"], "TAP=1: VIA=library runs in an emulator"),
        (["--port", "/dev/ttyACM0"], "PORT=/dev/ttyACM0: VIA=library runs in an emulator"),
        (["--engine", "tflm"], "ENGINE=tflm has no library of ours"),
        (["--board", "qemu_m4-kws01"], "has a program of its own, without kws01"),
        (["--board", "qemu_m4-selftest"], "has a program of its own, without selftest"),
    ],
)
def test_what_has_no_parity_via_the_library_is_refused(words: list[str], told: str) -> None:
    done = CliRunner().invoke(parity_command, ["motion", "--via", "library", *words])
    assert told in str(done.exception) + done.output


def test_the_archive_is_the_folder(library: Library, folder: Path) -> None:
    with zipfile.ZipFile(folder.with_suffix(".zip")) as archive:
        names = archive.namelist()
        assert all(archive.read(n) == (folder.parent / n).read_bytes() for n in names)
    written = {p.relative_to(folder.parent).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert set(names) == written
    assert zipped(library) == folder.with_suffix(".zip").read_bytes()


def test_a_folder_that_is_no_library_stays(library: Library, tmp_path: Path) -> None:
    kept = tmp_path / library.name / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("years of work")
    with pytest.raises(UsageError, match="is no library with a tinyproof.json; move it away"):
        write_library(library, tmp_path)
    assert kept.read_text() == "years of work"
    assert sorted(tmp_path.iterdir()) == [kept.parent]


def test_manifests_of_another_version_say_what_to_type(results: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(results, other)
    for path in other.glob("gen/*/manifest.json"):
        manifest = json.loads(path.read_text())
        del manifest["settings"]["dataset"]["channels"]
        path.write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match=r"another shape .*'channels'.*again: make emit"):
        make_library(other)


def test_sizes_of_each_form_are_told(results: Path) -> None:
    run_via_library(
        results, load_board("native"), choose_target(load_board("native"), None, None), 2
    )
    rows = size_rows(collect(results))
    assert [(row["board"], row["form"]) for row in rows[:2]] == [
        ("native", "app"),
        ("native", "library"),
    ]
    assert rows[1]["cases"] == "2 of 2" and rows[1]["flash"] > rows[1]["ram"] > 0
    table = size_table("m", rows).splitlines()
    assert table[4].startswith("| native | application | not run | - | - | - |")
    assert table[5].startswith(f"| native | library | 2 of 2 | {rows[1]['flash']:,} |")


@pytest.mark.parametrize("kernels", ["xtensa", "xtensa_mac16", 1])
def test_a_library_has_the_kernels_of_its_compiler(
    results: Path, kernels: str | int, tmp_path: Path
) -> None:
    """On the ESP32 others than the application."""
    results = shutil.copytree(results, tmp_path / "m", ignore=shutil.ignore_patterns("*-library"))
    folder = results / "qemu_xtensa-library"
    folder.mkdir()
    run_id = json.loads((results / "gen/xtensa/manifest.json").read_text())["run_id"]
    record = dict.fromkeys(KEYS, 1) | {"run_id": run_id, "kernels": kernels}
    write_json(folder / "library.json", record)
    found = [one["board"] for one in libraries(results)]
    assert ("qemu_xtensa" in found) == (kernels == "xtensa")


def test_a_library_stands_beside_the_application_of_its_kernels_and_run(results: Path) -> None:
    folder = results / "native-armv7em-library"
    folder.mkdir()
    run_id = json.loads((results / "gen/armv7em/manifest.json").read_text())["run_id"]
    record = dict.fromkeys(KEYS, 1) | {"kernels": "armv7em"}
    try:
        write_json(folder / "library.json", record | {"run_id": run_id})
        found = [one for one in libraries(results) if one["board"] == "native-armv7em"]
        sizes = {"native": 5, "native-armv7em": 7}
        boards = {
            name: {"size": {"flash_bytes": size}, **dict.fromkeys(("bench", "parity"))}
            for name, size in sizes.items()
        }
        (row,) = library_rows({"libraries": found, "boards": boards})
        assert row["app_flash"] == 7
        write_json(folder / "library.json", record | {"run_id": "0" * 12})
        assert "native-armv7em" not in [one["board"] for one in libraries(results)]
    finally:
        shutil.rmtree(folder)


def test_names_are_c() -> None:
    assert library_name("Motion 2.0/é") == "tp_motion_2_0"
    assert library_name("///") == "tp_model"
    assert len(library_name("x" * 99)) == 40
