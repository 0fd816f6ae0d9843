"""Examples of a library: which suit a model, that they compile, what they print when they run."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.library.examples import inertial
from host_tools.library.make import INSIDE, Library, examples, make_library, render
from host_tools.library.write import write_library
from model.features import Windows
from model.features.design import design, feature_text
from model.features.library import Extractor
from model.files import write_arrays, write_bytes
from model.recipe import Recipe
from model.recipe_file import load_recipe
from quantize.answers import board_text
from quantize.golden import load_golden, make_golden, save_golden
from quantize.inputs import quantised_inputs
from quantize.lowering import KERNEL_SETS
from quantize.manifest import compile_sets
from quantize.tflite.reader import parse_model
from tests.native_app import SANITIZERS
from tests.test_certificate import network, with_features

HERE = Path(__file__).parent
DOUBLES = HERE / "doubles" / "library_examples"
SENSORS = HERE / "doubles" / "arduino_sensors"
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Werror")
LABELS = ('"quoted"', "*/ end", "täglich\n", "??/ %s", "$(shell,id)", "${x}", "<!-- _b_ -->")
CASES = 4
SKETCHES = {  # folder -> header and object of the sensor's library
    "Selftest": (),
    "Nano33BLE_IMU": ("Arduino_LSM9DS1.h", "ImuDouble IMU"),
    "Nano33BLERev2_IMU": ("Arduino_BMI270_BMM150.h", "ImuDouble IMU"),
    "ESP32_MPU6050": ("Wire.h", "TwoWire Wire"),
    "Nano33BLE_Microphone": ("PDM.h", "PDMClass PDM"),
}


def make_results(root: Path, recipe: Recipe, labels: tuple[str, ...], name: str) -> Path:
    """What `emit` leaves of the recipe's front end and a small network of random weights."""
    out_dir = root / name
    fe = design(recipe.features, recipe.dataset.sample_rate_hz, len(recipe.dataset.channels))
    rng = np.random.default_rng(5)
    steps = rng.integers(-3000, 3000, (CASES, fe.window, fe.channels)).astype(np.int16)
    zeros = np.zeros(CASES, np.int64)
    frames = Extractor(fe).batch(steps)
    windows = Windows(features=frames, feature_scale=fe.feature_scale, y=zeros, group=zeros)
    data = with_features(network(fe.rows, fe.columns, len(labels)), feature_text(recipe))
    golden = make_golden(data, [quantised_inputs(parse_model(data), windows)])
    write_bytes(out_dir / "model.tflite", data)
    write_arrays(out_dir / "samples.npz", {"samples": steps})
    save_golden(out_dir / "golden.npz", golden)
    folders = {kernels: out_dir / "gen" / kernels for kernels in KERNEL_SETS}
    settings = recipe.as_dict()
    compile_sets(
        data, golden, folders, name=name, settings=settings, recipe=recipe, labels=list(labels)
    )
    return out_dir


def recipe(name: str, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setenv("FSDD", "of-nobody")
    return load_recipe(name)


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


def command(*words: object, text: str | None = None) -> str:
    done = subprocess.run(
        list(map(str, words)), input=text, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


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

    assert made(rate_mhz=104_000) == COMMON | {"Nano33BLE_IMU"}  # no MPU-6050 within 1 %
    assert made(rate_mhz=200_000) == COMMON | {"ESP32_MPU6050"}
    assert made(channel_units=["level of 16"] * 8) == COMMON
    assert made(fe=None, channel_units=[], lsb=[], rate_mhz=0) == COMMON


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
    for place, text in examples({**library.values, "rate_mhz": 30_000, "rate_hz": "30"}).items():
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


def header_of(values: Mapping[str, Any], folder: Path) -> None:
    """The public headers and examples of a library whose values are made up."""
    name = values["name"]
    texts = {f"src/{name}.h": render("public.h", values)}
    texts |= {f"src/{name}/{own}": render(own, values) for own in INSIDE if own == "target.h"}
    texts |= examples(values)
    for place, text in texts.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


ONE = {"bytes": 4, "quant": "", "shape": [1, 4]}
KINDS: dict[str, dict[str, Any]] = {
    "several": {"kind": "several"},
    "numbers": {
        "kind": "numbers",
        "labels": [],
        "decimals": [0, 6],
        "units": ["µm\n", '"%s"'],
        "target_names": ["a */", "b"],
        "scores": 2,
    },
    "anomaly": {
        "kind": "anomaly",
        "labels": [],
        "anomaly": {"threshold": 2**63 - 1},
        "anomaly_step": "1e-3",
    },
    "two inputs": {
        "kind": "plain",
        "fe": None,
        "labels": [],
        "lsb": [],
        "channel_units": [],
        "inputs": [
            ONE | {"dtype": "int8", "c": "int8_t"},
            ONE | {"dtype": "int64", "c": "int64_t", "bytes": 32},
            ONE | {"dtype": "bool", "c": "uint8_t"},
        ],
        "outputs": [ONE | {"dtype": "int64"}],
        "score_type": "int64_t",
        "scores": 4,
    },
    "a rule": {"kind": "class", "rule": {"inputs": 2, "least": 9, "pause": 0, "most": 4}},
    "floats": {
        "kind": "plain",
        "fe": None,
        "labels": [],
        "lsb": [],
        "channel_units": [],
        "inputs": [ONE | {"dtype": "float32", "c": "float", "bytes": 16}],
        "outputs": [ONE | {"dtype": "float32"}],
        "score_type": "float",
        "floats": True,
        "scores": 4,
    },
    "many outputs": {"kind": "plain", "labels": [], "scores": 1000},
}


@pytest.mark.parametrize("kind", KINDS)
def test_examples_of_every_kind_of_model_compile(
    kind: str, written: dict[str, tuple[Library, Path]], tmp_path: Path
) -> None:
    values = {**written["motion"][0].values, **KINDS[kind]}
    header_of(values, tmp_path)
    flags = [*WARNINGS, "-fsyntax-only", f"-I{DOUBLES}", f"-I{SENSORS}", f"-I{tmp_path / 'src'}"]
    for path in sorted((tmp_path / "examples").rglob("*")):
        if path.suffix == ".ino":
            for standard in ("-std=c++11", "-std=c++20"):
                command("g++", standard, *flags, "-include", "Arduino.h", "-x", "c++", path)
        elif path.suffix == ".c":
            command("gcc", "-std=gnu11", "-Wconversion", *flags, path)


LINES = r"""
#include <stdio.h>
#include "result.h"
static score_t scores[4];
const score_t *m_scores(const m_t *m) { return m == NULL ? NULL : scores; }
const char *m_kernels(void) { return "none"; }
int m_selftest(m_t *m) { (void)m; return 3; }
static result_t past;
static char line[RESULT_BYTES];
static void show(m_t *m)
{
    result_line(&past, m, line, sizeof(line));
    puts(line);
}
"""


def test_lines_of_numbers_labels_and_anomalies(
    written: dict[str, tuple[Library, Path]], tmp_path: Path
) -> None:
    """result.h on made-up answers: signs, decimals, means of less than four, and a full line."""
    base = {**written["motion"][0].values, "name": "m", "NAME": "M"}
    shown = {
        "a rule": (
            "int m_best(const m_t *m) { (void)m; return 1; }\n"
            "int m_decide(m_t *m, const m_rule_t *rule)\n"
            "{ (void)m; return rule == NULL && scores[1] > 8 ? 4 : -1; }\n"
            "int main(void) { m_t m; scores[1] = 8; show(&m); scores[1] = 9; show(&m);\n"
            "scores[0] = 40; show(&m); }",
            [
                "class 1 */ end, scores 0 8 0 0 0 0 0; mean of 1: class 1 */ end",
                "class 1 */ end, scores 0 9 0 0 0 0 0; mean of 2: class 1 */ end; "
                "decided: class 4 $(shell,id)",
                'class 1 */ end, scores 40 9 0 0 0 0 0; mean of 2: class 0 "quoted"; '
                "decided: class 4 $(shell,id)",
            ],
        ),
        "numbers": (
            "static int32_t now[2]; int32_t m_fixed(const m_t *m, int i) "
            "{ (void)m; return now[i]; }\n"
            "int main(void) { m_t m; show(NULL); now[0] = -7; now[1] = -5; show(&m);\n"
            "now[0] = 2147483647; now[1] = 1234567; show(&m); now[0] = -4; now[1] = 0; show(&m);\n"
            "result_forget(&past); show(&m); char tiny[8];\n"
            "result_line(&past, &m, tiny, sizeof(tiny)); puts(tiny); }",
            [
                "",
                'a */ -7 um?, b -0.000005 "%s"; mean of 1: a */ -7 um?, b -0.000005 "%s"',
                'a */ 2147483647 um?, b 1.234567 "%s"; mean of 2: '
                'a */ 1073741820 um?, b 0.617281 "%s"',
                'a */ -4 um?, b 0.000000 "%s"; mean of 3: a */ 715827879 um?, b 0.411521 "%s"',
                'a */ -4 um?, b 0.000000 "%s"; mean of 1: a */ -4 um?, b 0.000000 "%s"',
                "a */ -4",
            ],
        ),
        "several": (
            "static int given;\n"
            "bool m_has(const m_t *m, int i) { (void)m; return given >> i & 1; }\n"
            "int main(void) { m_t m; show(&m); given = 5; show(&m); }",
            [
                "labels none, scores 0 0 0 0 0 0 0",
                'labels "quoted"+taglich?, scores 0 0 0 0 0 0 0',
            ],
        ),
        "anomaly": (
            "static uint64_t score; uint64_t m_anomaly(const m_t *m) { (void)m; return score; }\n"
            "bool m_is_anomaly(const m_t *m) { (void)m; return score > M_ANOMALY_THRESHOLD; }\n"
            "int main(void) { m_t m; show(&m); score = ~(uint64_t)0; show(&m); }",
            [
                "normal, score 0 of a threshold of 9223372036854775807",
                "anomaly, score 18446744073709551615 of a threshold of 9223372036854775807",
            ],
        ),
    }
    for kind, (text, expected) in shown.items():
        folder = tmp_path / kind
        header_of({**base, **KINDS[kind]}, folder)
        source = folder / "lines.c"
        source.write_text(
            (LINES + text).replace("score_t", "m_score_t").replace("scores[4]", "scores[64]")
        )
        program = folder / "lines"
        flags = ["-std=c11", *SANITIZERS, f"-I{folder / 'src'}", f"-I{folder / 'examples/pc'}"]
        command("gcc", *flags, source, "-o", program)
        assert command(program).splitlines() == expected


def test_mean_of_scores_is_that_of_the_firmware(
    written: dict[str, tuple[Library, Path]], tmp_path: Path
) -> None:
    """firmware/stream/app_live.c adds half of the count to a sum from -128 on, and rounds down."""
    values = {**written["motion"][0].values, "name": "m", "NAME": "M"}
    values |= {"kind": "class", "scores": 7}
    header_of(values, tmp_path)
    rng = np.random.default_rng(1)
    rows = rng.integers(-128, 128, (60, 7))
    numbers = ", ".join(map(str, rows.reshape(-1).tolist()))
    source = tmp_path / "means.c"
    source.write_text(
        (LINES + f"static const m_score_t all[] = {{{numbers}}};\n")
        .replace("score_t", "m_score_t")
        .replace("m_m_score_t", "m_score_t")
        .replace("scores[4]", "scores[64]")
        + "#include <string.h>\nint m_best(const m_t *m) { (void)m; return 0; }\n"
        "int main(void) { m_t m; for (int i = 0; i < 60; i++) { memcpy(scores, &all[7 * i], 7);\n"
        "result_line(&past, &m, line, sizeof(line)); for (int k = 0; k < 7; k++)\n"
        'printf("%d ", (int)result_mean(&past, k)); puts(""); } }\n'
    )
    flags = ["-std=c11", *SANITIZERS, f"-I{tmp_path / 'src'}", f"-I{tmp_path / 'examples/pc'}"]
    command("gcc", *flags, source, "-o", tmp_path / "means")
    for i, line in enumerate(command(tmp_path / "means").splitlines()):
        last = rows[max(0, i - 3) : i + 1]
        expected = (len(last) // 2 + (last + 128).sum(axis=0)) // len(last) - 128
        assert [int(word) for word in line.split()] == expected.tolist()
