"""Examples of a library: which suit a model, that they compile, what they print when they run."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.library.examples import inertial
from host_tools.library.make import Library, examples, make_library
from host_tools.library.write import write_library
from quantize.answers import board_text
from quantize.golden import load_golden
from tests.example_programs import (
    DOUBLES,
    LABELS,
    SENSORS,
    WARNINGS,
    command,
    make_results,
    recipe,
)
from tests.native_app import SANITIZERS

SKETCHES = {  # folder -> header and object of the sensor's library
    "Selftest": (),
    "Nano33BLE_IMU": ("Arduino_LSM9DS1.h", "ImuDouble IMU"),
    "Nano33BLERev2_IMU": ("Arduino_BMI270_BMM150.h", "ImuDouble IMU"),
    "ESP32_MPU6050": ("Wire.h", "TwoWire Wire"),
    "Nano33BLE_Microphone": ("PDM.h", "PDMClass PDM"),
}


@pytest.fixture(scope="module")
def patch() -> Any:
    with pytest.MonkeyPatch.context() as found:
        yield found


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Path:
    return make_results(tmp_path_factory.mktemp("a"), recipe("motion", patch), LABELS, "motion")


@pytest.fixture(scope="module")
def keywords(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Path:
    words = ("yes", "no", "silence")
    return make_results(tmp_path_factory.mktemp("b"), recipe("keywords", patch), words, "words")


@pytest.fixture(scope="module")
def written(
    motion: Path, keywords: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Library, Path]]:
    """Name of a recipe -> its library, and where that is written."""
    folder = tmp_path_factory.mktemp("written")
    found = {"motion": make_library(motion), "keywords": make_library(keywords)}
    return {name: (library, write_library(library, folder)[0]) for name, library in found.items()}


@pytest.fixture(scope="module")
def objects(written: dict[str, tuple[Library, Path]]) -> dict[str, list[Path]]:
    """Name of a recipe -> objects of its library, with the sanitisers."""
    found: dict[str, list[Path]] = {}
    for name, (_, folder) in written.items():
        place = folder.parent / f"{name}-objects"
        place.mkdir()
        sources = sorted((folder / "src").rglob("*.c"))
        found[name] = [place / f"{number}.o" for number in range(len(sources))]
        for source, made in zip(sources, found[name], strict=True):
            command("gcc", "-std=c11", "-O1", "-g", *SANITIZERS, "-c", source, "-o", made)
    return found


def folders_of(library: Library) -> set[str]:
    return {name.split("/")[1] for name in library.files if name.startswith("examples/")}


COMMON = {"Selftest", "esp_idf", "zephyr", "pc"}


def test_examples_suit_the_model(written: dict[str, tuple[Library, Path]]) -> None:
    inertial_ones = {"Nano33BLE_IMU", "Nano33BLERev2_IMU", "ESP32_MPU6050"}
    assert folders_of(written["motion"][0]) == COMMON | inertial_ones
    assert folders_of(written["keywords"][0]) == COMMON | {"Nano33BLE_Microphone"}
    values = dict(written["motion"][0].values)

    def made(**changes: Any) -> set[str]:
        return {name.split("/")[1] for name in examples({**values, **changes})}

    assert made(rate_millihertz=104_000) == COMMON | {"Nano33BLE_IMU"}  # no MPU-6050 within 1 %
    assert made(rate_millihertz=200_000) == COMMON | {"ESP32_MPU6050"}
    assert made(channel_units=["level of 16"] * 8) == COMMON
    assert made(fe=None, channel_units=[], lsb=[], rate_millihertz=0) == COMMON


def test_units_of_inertial_channels() -> None:
    assert inertial(["g"] * 3) == (1.0, 0.0)
    assert inertial(["m/s2"] * 3 + ["rad/s"] * 3) == (9.80665, math.pi / 180)
    assert inertial(["mg"] * 3 + ["dps"] * 3) == (1000.0, 1.0)
    for units in ([], ["g"], ["g"] * 6, ["rad/s"] * 3, ["dps"] * 3 + ["g"] * 3, ["g", "g", "mg"]):
        assert inertial(units) == (0.0, 0.0)


def sketch(folder: Path, name: str, standard: str, into: Path, objects: list[Path]) -> Path:
    """A sketch of a library as a program of this computer, on doubles of its sensor's library."""
    source = folder / "examples" / name
    flags = ["-g", "-O1", *SANITIZERS, f"-I{DOUBLES}", f"-I{SENSORS}"]
    flags += [f"-I{folder / 'src'}", f"-I{source}"]
    if SKETCHES[name]:
        header, made = SKETCHES[name]
        flags += [f'-DDOUBLE="{header}"', f"-DDOUBLE_OBJECT={made}"]
    parts = [into / "sketch.o", into / "main.o"]
    ino = ["-include", "Arduino.h", "-x", "c++", source / f"{name}.ino"]
    command("g++", standard, *WARNINGS, *flags, "-c", *ino, "-o", parts[0])
    command("g++", standard, *flags, "-c", DOUBLES / "sketch.cpp", "-o", parts[1])
    for number, extra in enumerate(sorted(source.glob("*.c"))):
        parts.append(into / f"extra{number}.o")
        command("gcc", "-std=c11", *WARNINGS, *flags[:5], "-c", extra, "-o", parts[-1])
    command("g++", *SANITIZERS, *parts, *objects, "-o", into / "program")
    return into / "program"


def hello(library: Library) -> str:
    values = library.values
    return (
        f"model {values['model']}, sha256 {values['sha256']}, kernels portable, "
        f"by tinyproof {values['version']}"
    )


RESULT = re.compile(r"class (\d+) (.*), scores((?: -?\d+)+); mean of ([1-4]): class (\d+) (.*)")
GAP = "samples were lost (1)"


def check_lines(library: Library, lines: list[str], before: int, behind: int) -> None:
    """So many results before a gap, so many behind it, each in the text form."""
    assert lines[0] == hello(library)
    assert all(" " <= character <= "~" for line in lines for character in line)
    labels = [board_text(label) for label in library.values["labels"]]
    found: list[int] = []
    for line in lines[1:]:
        if line == GAP:
            found.append(-1)
            continue
        match = RESULT.fullmatch(line)
        assert match, line
        scores = [int(word) for word in match[3].split()]
        assert len(scores) == len(labels)
        assert int(match[1]) == scores.index(max(scores)) and match[2] == labels[int(match[1])]
        assert match[6] == labels[int(match[5])]
        found.append(int(match[4]))
    numbers = [min(i + 1, 4) for i in range(before)], [min(i + 1, 4) for i in range(behind)]
    assert found == [*numbers[0], -1, *numbers[1]]


@pytest.mark.parametrize("standard", ["-std=gnu++11", "-std=gnu++20"])
@pytest.mark.parametrize("name", ["Nano33BLE_IMU", "Nano33BLERev2_IMU", "ESP32_MPU6050"])
def test_an_imu_is_read_at_the_rate_of_the_model(
    name: str,
    standard: str,
    written: dict[str, tuple[Library, Path]],
    objects: dict[str, list[Path]],
    tmp_path: Path,
) -> None:
    """256 instants at 50 Hz are 5.12 s, each 64 more one result; a pause begins anew."""
    library, folder = written["motion"]
    program = sketch(folder, name, standard, tmp_path, objects["motion"])
    if name == "ESP32_MPU6050":  # feeds a sample a step, which is more than a FIFO's after a pause
        text = f"{256 + 5 * 64} 1\n1 90\n{256 + 64} 1\n"
    else:
        text = f"{20 * (256 + 5 * 64)} 0\n0 500\n{20 * (256 + 64) + 100} 0\n"
    lines = command(program, text=text).splitlines()
    check_lines(library, lines, 6, 2)


def test_instants_that_no_clock_tick_meets_do_not_drift(
    written: dict[str, tuple[Library, Path]], objects: dict[str, list[Path]], tmp_path: Path
) -> None:
    """At 30 Hz, in a loop of one millisecond: instant 6016 is 200.5 s behind the first one."""
    library, folder = written["motion"]
    (tmp_path / "src").symlink_to(folder / "src")
    for place, text in examples(
        {**library.values, "rate_millihertz": 30_000, "rate_hz": "30"}
    ).items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    program = sketch(tmp_path, "Nano33BLE_IMU", "-std=gnu++14", tmp_path, objects["motion"])
    lines = command(program, text=f"{200_500 + 2} 0\n").splitlines()
    assert len(lines) == 1 + 91 and RESULT.fullmatch(lines[-1])
    assert len(command(program, text=f"{200_500 - 1} 0\n").splitlines()) == 1 + 90


def test_a_microphone_at_half_its_rate(
    written: dict[str, tuple[Library, Path]], objects: dict[str, list[Path]], tmp_path: Path
) -> None:
    """7936 samples at 8 kHz, then 1600 more for each result; 256 of 16 kHz arrive at a time, and
    the loop takes up to 64 of 8 kHz."""
    library, folder = written["keywords"]
    name = "Nano33BLE_Microphone"
    program = sketch(folder, name, "-std=gnu++14", tmp_path, objects["keywords"])
    whole, hop = math.ceil(2 * 7936 / 256), math.ceil(2 * 1600 / 256)
    heard = "1 256\n1 0\n"
    text = (whole + 3 * hop) * heard + "1 16384\n" + (whole + 1) * heard
    lines = command(program, text=text).splitlines()
    check_lines(library, lines, 4, 1)


@pytest.mark.parametrize("name", ["motion", "keywords"])
def test_the_selftest_sketch(
    name: str,
    written: dict[str, tuple[Library, Path]],
    objects: dict[str, list[Path]],
    tmp_path: Path,
) -> None:
    library, folder = written[name]
    program = sketch(folder, "Selftest", "-std=gnu++11", tmp_path, objects[name])
    lines = command(program, text="2 0\n").splitlines()
    count = library.values["golden_count"]
    assert lines[:2] == [hello(library), f"self-test PASS: 0 of {count} golden cases differ"]
    assert lines[3] == "microseconds 0" and RESULT.fullmatch(lines[2]) and len(lines) == 6


@pytest.mark.parametrize("name", ["motion", "keywords"])
def test_the_program_for_a_computer_says_what_the_golden_outputs_say(
    name: str,
    written: dict[str, tuple[Library, Path]],
    objects: dict[str, list[Path]],
    motion: Path,
    keywords: Path,
    tmp_path: Path,
) -> None:
    library, folder = written[name]
    results = {"motion": motion, "keywords": keywords}[name]
    program = tmp_path / "csv"
    flags = ["-std=c11", "-pedantic", *WARNINGS, "-Wconversion", *SANITIZERS]
    source = folder / "examples" / "pc" / "main.c"
    command("gcc", *flags, f"-I{folder / 'src'}", source, *objects[name], "-o", program)
    with np.load(results / "samples.npz") as stored:
        samples = stored["samples"]
    lsb = [float(text.rstrip("f")) for text in library.values["lsb"]]
    file = tmp_path / "samples.csv"
    rows = ["; ".join(f"c{i}" for i in range(len(lsb)))]
    for case in samples:
        rows += [", ".join(f"{value:.9g}" for value in row) for row in (case * lsb).tolist()] + [""]
    file.write_text("\n".join(rows))
    lines = command(program, file).splitlines()
    outputs = load_golden(results / "golden.npz").outputs[0].reshape(len(samples), -1)
    labels = [board_text(label) for label in library.values["labels"]]
    expected = [hello(library)]
    for row in outputs.tolist():
        best = row.index(max(row))
        answer = f"class {best} {labels[best]}"
        scores = " ".join(map(str, row))
        expected.append(f"{answer}, scores {scores}; mean of 1: {answer}")
    assert lines == expected
    assert command(program, text=file.read_text()).splitlines() == expected
    if name == "motion":
        for bad in ("1,2,3,4,5,x", "1,2,3", "1,2,3,4,5,6,7", "1,2,3,4,5,nan", "0" * 5000):
            done = subprocess.run(
                [program], input=f"h\n{bad}\n", capture_output=True, text=True, check=False
            )
            assert done.returncode == 2 and "line 2: " in done.stderr, bad


@pytest.mark.parametrize("name", ["motion", "keywords"])
def test_esp_idf_and_zephyr(
    name: str,
    written: dict[str, tuple[Library, Path]],
    objects: dict[str, list[Path]],
    tmp_path: Path,
) -> None:
    library, folder = written[name]
    flags = ["-std=gnu11", *WARNINGS, "-Wconversion", f"-I{DOUBLES}", f"-I{folder / 'src'}"]
    command("gcc", *flags, "-fsyntax-only", folder / "examples/esp_idf/main/main.c")
    pause = 256 + 2 * 64  # the sleep behind it is that of the gap
    last = pause + 2 + 256 + 64
    defines = [f"-DPAUSED={pause}", f"-DLAST={last}"]
    main, program = folder / "examples/zephyr/src/main.c", tmp_path / "zephyr"
    command(
        *("gcc", *flags, *SANITIZERS, *defines, main, DOUBLES / "zephyr.c", *objects[name]),
        *("-o", program),
    )
    lines = command(program).splitlines()
    if name == "motion":
        ticks = int(lines.pop().split()[1])
        assert abs(ticks - 32768 * (1 + (last - 3) / 50)) <= 1  # nothing drifts
        check_lines(library, lines, 2, 2)
    else:
        assert lines[0] == hello(library) and lines[1].startswith("self-test PASS: 0 of")
