"""Classical models: the C equals scikit-learn, on this computer and in emulated firmware."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from host_tools.boards.board import load_board
from host_tools.build.firmware import build_firmware
from host_tools.errors import HostToolsError, UsageError
from host_tools.link.target import choose_target
from host_tools.parity.outputs import run_parity
from host_tools.report.classical import compare, sentences, table
from host_tools.report.write import write_report
from model.classical import EXPORTERS, KINDS, Linear, trees_of
from model.errors import ConfigError
from model.features.design import feature_text
from model.files import write_bytes, write_json
from model.recipe import ClassicalConfig
from model.recipe_file import load_recipe
from model.stages.check import check
from model.stages.splits import load_splits
from quantize import classical
from quantize.classical_c import (
    GXX,
    FeatureShape,
    HostC,
    check_trees,
    export_emlearn,
    export_linear,
    export_tables,
    plan_header,
)
from quantize.errors import ModelError, QuantizeError
from quantize.everywhereml_cpp import MAX_CLASSES, c_text, export_everywhereml
from quantize.golden import load_golden, make_golden, save_golden
from quantize.inputs import quantised_inputs
from quantize.tflite.reader import FEATURES_ENTRY, parse_model
from tests.factory import ModelBuilder
from tests.firmware_builds import compiled_with
from tests.hostile import pack, unpack
from tests.result_files import SHA, write_run
from tests.steps import main as host_tools

Windows = npt.NDArray[np.int8]
DIGITS = load_recipe("digits")
SAMPLES, CHANNELS, CLASSES = 20, 3, 4
PAIRS = [(kind, exporter) for kind in KINDS for exporter in EXPORTERS[kind]]
HOSTILE = (
    '"); abort(); //',
    "a\\",
    "*/ #error\n",
    "{{ 7 * 7 }}{% for %}",
    "\n#include </etc/passwd>\n",
    "??/",
    "h\u00f6hle \u2028 \u65e5",
    "%s\0x41",
)


def windows(count: int, seed: int) -> tuple[Windows, npt.NDArray[np.int64]]:
    """Noise whose level and size depend on the class, with values at both ends of int8."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % CLASSES
    noise = rng.normal(0, 1, (count, SAMPLES, CHANNELS)) * (20 + 15 * y[:, None, None])
    x = np.clip(noise + 25 * y[:, None, None] - 40, -128, 127).astype(np.int8)
    return x, y.astype(np.int64)


def exported(
    kind: str, exporter: str, config: ClassicalConfig, classes: int = CLASSES
) -> classical.Exported:
    x, y = windows(240, 1)
    shape = FeatureShape(kind=config.features, samples=SAMPLES, channels=CHANNELS)
    labels = HOSTILE[:classes]
    return classical.export("test", (kind, exporter), config, shape, (x, y % classes), 1, labels)


def everywhere(count: int) -> Windows:
    """Windows that training has not seen: all int8 values, constants, the training's kind."""
    rng = np.random.default_rng(7)
    drawn = rng.integers(-128, 128, (count, SAMPLES, CHANNELS)).astype(np.int8)
    drawn[0], drawn[1], drawn[2] = -128, 127, 0
    return np.concatenate([drawn, windows(count, 8)[0]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "config",
    [
        ClassicalConfig(),
        ClassicalConfig(trees=7, max_depth=3),  # mixed leaves
        ClassicalConfig(features="input", trees=5, regularisation=0.01),
    ],
    ids=["statistics", "shallow", "input"],
)
@pytest.mark.parametrize("classes", [2, CLASSES])
def test_every_exporter_decides_as_scikit_learn(
    kind: str, config: ClassicalConfig, classes: int
) -> None:
    x, found = everywhere(500), []
    for exporter in EXPORTERS[kind]:
        answers, equal = classical.answer(exported(kind, exporter, config, classes), x)
        assert equal == len(x) == len(answers), exporter
        assert len(set(answers.argmax(axis=1))) == classes, "every class is decided for"
        found.append(answers)
    assert all(np.array_equal(found[0], other) for other in found), "the same votes and scores"


@pytest.mark.parametrize("kind", ["forest", "tree", "boosting"])
def test_everywhereml_decides_otherwise_from_scikit_learn_s_own_thresholds(kind: str) -> None:
    model = exported(kind, "everywhereml", ClassicalConfig(features="input", trees=5))
    x = everywhere(500)
    assert len(x) // 2 < (classical.unchanged_equal(model, x) or 0) < len(x)
    assert classical.unchanged_equal(exported(kind, "ours", ClassicalConfig()), x) is None


def test_an_exporter_that_does_not_know_a_kind_names_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"EXPORTER=emlearn does not export a linear SVM.*ours"):
        classical.compile_classical(DIGITS, "svm", "emlearn", tmp_path, tmp_path / "out")


def _statistics(x: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """The nine numbers a channel, written as in a textbook."""
    n = len(x)
    towards_zero = np.vectorize(lambda a, b: int(a / b), otypes=[np.int64])
    mean = towards_zero(16 * x.sum(axis=0), n)
    spread = np.abs(16 * x - mean).sum(axis=0) // n
    step = 16 * np.abs(np.diff(x, axis=0)).sum(axis=0) // (n - 1)
    crossings = np.diff(16 * x > mean, axis=0).sum(axis=0)
    rows = np.sort(x, axis=0)
    return [mean, spread, step, crossings, *(rows[i * (n - 1) // 4] for i in range(5))]


@pytest.mark.parametrize("samples", [4, 5, 8, 20, 127])
def test_the_features_are_the_statistics(samples: int, tmp_path: Path) -> None:
    shape = FeatureShape(kind="statistics", samples=samples, channels=CHANNELS)
    (tmp_path / "classical_plan.h").write_text(plan_header(shape, 2, "test"))
    rng = np.random.default_rng(samples)
    x = rng.integers(-128, 128, (50, samples, CHANNELS)).astype(np.int8)
    x[0], x[1], x[2, ::2], x[2, 1::2] = -128, 127, -128, 127
    found = HostC(tmp_path).features(x, shape)
    mapped = Path("/proc/self/maps")
    assert not mapped.exists() or str(tmp_path) not in mapped.read_text()
    expected = [np.concatenate(_statistics(window.astype(np.int64))) for window in x]
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(("kind", "exporter"), PAIRS)
def test_the_same_c_twice(kind: str, exporter: str) -> None:
    first, second = (exported(kind, exporter, ClassicalConfig()) for _ in range(2))
    assert first.files == second.files
    assert first.sketch == second.sketch
    assert not re.search(r"UUID|0x[0-9a-f]{6}|\d{12}", "".join(first.files.values()))
    assert first.sha256 == second.sha256


def test_near_ties_are_decided_as_scikit_learn_does() -> None:
    """Weights of 30 bits: one part in 2**28 of a class's largest weight changes the decision."""
    model = exported("svm", "ours", ClassicalConfig())
    weights = np.ones((2, model.shape.features)) * 3.0
    weights[1, -1] += 3.0 / 2**28
    linear = Linear(weights=weights, bias=np.zeros(2))
    text = export_linear(linear, model.shape, "test").files["model_export.h"]
    rows = [re.findall(r"-?\d+", row) for row in re.findall(r"\{\n([-\d, \n]+)\}", text)]
    assert rows[0][:-1] == rows[1][:-1]
    assert int(rows[0][-1]) < int(rows[1][-1]) < 2**31


def _of_the_recipe(model: bytes) -> bytes:
    """With the mark that the network was trained with the recipe's front end."""
    tree = unpack(model)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(feature_text(DIGITS).encode(), np.uint8)
    tree.buffers.append(buffer)
    entry.name, entry.buffer = FEATURES_ENTRY.encode(), len(tree.buffers) - 1
    tree.metadata = [entry]
    return pack(tree)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """build/digits with the data of the recipe and a network that only has its input."""
    out_dir = tmp_path_factory.mktemp("build") / "digits"
    check(DIGITS, out_dir)
    builder = ModelBuilder()
    ends = [builder.tensor((1, 8, 1, 8), scale=[1 / 64], zero_point=[-3]) for _ in range(2)]
    builder.operator("RELU", ends[:1], ends[1:])
    model = _of_the_recipe(builder.pack(ends[:1], ends[1:]))
    inputs = quantised_inputs(parse_model(model), load_splits(out_dir).test)
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", make_golden(model, [inputs]))
    sha256 = load_golden(out_dir / "golden.npz").model_sha256
    write_json(out_dir / "gen" / "ref" / "manifest.json", {"model_sha256": sha256})
    scores = {"val": {"balanced_accuracy": 0.97}, "test": {"balanced_accuracy": 0.96}}
    write_json(out_dir / "quantize.json", {"chosen": "ptq", "candidates": {"ptq": scores}})
    return out_dir


@pytest.fixture(scope="module")
def forest(network: Path) -> Path:
    """build/digits-forest, with class names that are C."""
    path = network / "dataset.json"
    dataset = json.loads(path.read_text())
    write_json(path, dataset | {"labels": [f'"); abort(); //{i}' for i in range(10)]})
    out_dir = network / "classical" / "forest-emlearn"
    classical.compile_classical(DIGITS, "forest", "emlearn", network, out_dir)
    return out_dir


@pytest.fixture(scope="module")
def measured(forest: Path) -> Path:
    """The same, run on qemu_m4."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.steps.BUILD", forest.parent)
        for step in (["build"], ["parity", "--cases", "60"], ["bench"]):
            assert host_tools([step[0], forest.name, "qemu_m4", *step[1:]]) == 0
    return forest


def test_names_of_classes_do_not_reach_c(forest: Path) -> None:
    assert "abort" in (forest / "gen/ref/manifest.json").read_text()
    for path in (forest / "gen").glob("*/*.[ch]"):
        assert "abort" not in path.read_text(), path


def test_a_forest_runs_in_the_firmware_and_stands_beside_the_network(
    measured: Path, network: Path
) -> None:
    found = compare(network)
    assert [row["name"] for row in found["rows"]] == ["network, int8", "random forest, 20 trees"]
    row = found["rows"][1]
    assert row["exporter"] == "emlearn"
    assert row["scikit_learn"]["equal"] == row["scikit_learn"]["cases"] > 300
    board = row["boards"]["qemu_m4"]
    assert board["equal"] == board["cases"] == 60
    assert board["reference"] == classical.REFERENCE
    assert 0 < board["counts"] < 20_000
    decisions = compiled_with(measured / "qemu_m4" / "firmware.elf", "gen/model.c")
    assert "-O2" in decisions  # where a network's only calls kernels
    assert table(found).row_count == 2


@pytest.mark.parametrize(
    ("kind", "exporter"),
    [
        ("tree", "ours"),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in (
                *(("boosting", "everywhereml"), ("boosting", "ours")),
                *(("tree", "everywhereml"), ("forest", "ours"), ("forest", "everywhereml")),
            )
        ),
    ],
)
@pytest.mark.slow
def test_other_exporters_run_in_the_firmware_and_are_measured_beside_the_first(
    kind: str, exporter: str, measured: Path, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out_dir = network / "classical" / f"{kind}-{exporter}"
    classical.compile_classical(DIGITS, kind, exporter, network, out_dir)
    monkeypatch.setattr("tests.steps.BUILD", out_dir.parent)
    for board in ("qemu_m4", "qemu_xtensa"):
        for step in (["build"], ["parity", "--cases", "60"], ["bench"]):
            assert host_tools([step[0], out_dir.name, board, *step[1:]]) == 0
    found = compare(network)
    shutil.rmtree(out_dir)  # the network is shared
    (row,) = [r for r in found["rows"] if (r["kind"], r["exporter"]) == (kind, exporter)]
    assert {name: m["equal"] for name, m in row["boards"].items()} == {
        "qemu_m4": 60,
        "qemu_xtensa": 60,
    }
    assert row["scikit_learn"]["equal"] == row["scikit_learn"]["cases"] > 300
    if kind == "forest":  # whose first exporter has run on one board
        told = [line for line in sentences(found) if exporter in line and "qemu_m4" in line]
        assert len(told) == 1
        assert "every answer is the same" in told[0]


def test_names_of_classes_are_escaped_in_everywhereml_s_header(tmp_path: Path) -> None:
    """Compiled and asked: each label comes back byte for byte, and nothing else has happened."""
    trees = exported("forest", "ours", ClassicalConfig(trees=2)).trees
    header = export_everywhereml(trees, "forest", '*/ #error "', HOSTILE).files["RandomForest.h"]
    assert '"); abort' not in header
    (tmp_path / "RandomForest.h").write_text(header)
    (tmp_path / "labels.cpp").write_text(
        '#include "everywhereml.hpp"\n#include <stdio.h>\n#include "RandomForest.h"\n'
        f"int main(){{ RandomForest model; for (int i = 0; i < {len(HOSTILE)}; i++) "
        '{ printf("%s|", model.getLabelOf(i).c_str()); } }\n'
    )
    flags = [flag for flag in GXX if flag not in ("-Wconversion", "-Werror")]
    firmware = Path("firmware/classical").absolute()
    command = [*flags, f"-I{firmware}", f"-I{tmp_path}", "-o", str(tmp_path / "labels")]
    subprocess.run([*command, str(tmp_path / "labels.cpp")], check=True)
    told = subprocess.run([tmp_path / "labels"], check=True, capture_output=True).stdout
    assert told.decode() == "".join(label.split("\0")[0] + "|" for label in HOSTILE)


@pytest.mark.parametrize("text", ["", "plain word-2", *HOSTILE, "".join(map(chr, range(1, 300)))])
def test_text_for_c_has_only_plain_characters(text: str) -> None:
    found = c_text(text)
    assert re.fullmatch(r"([A-Za-z0-9 _.,:;+=()<>-]|\\[0-7]{3})*", found)
    octal = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), found)
    assert octal.encode("latin-1") == text.encode("utf-8")


def test_the_sketch_to_take_along_compiles_and_has_the_firmware_s_class(tmp_path: Path) -> None:
    """With the parts of Arduino's core that it uses, as Arduino compiles a sketch: one folder."""
    model = exported("forest", "everywhereml", ClassicalConfig(trees=3))
    assert model.sketch["RandomForest.h"] == model.files["RandomForest.h"]
    for name, text in model.sketch.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "Arduino.h").write_text(
        "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <string>\n"
        "typedef std::string String;\nstatic unsigned long micros(){ return 0; }\n"
        "static void delay(int){}\n"
        "struct { void begin(long){} void println(const String &t){ puts(t.c_str()); } } Serial;\n"
    )
    (tmp_path / "main.cpp").write_text(
        '#include "Arduino.h"\n#include "RandomForest.ino"\nint main(){ setup(); loop(); }\n'
    )
    run = partial(subprocess.run, check=True, cwd=tmp_path, capture_output=True)
    run(["gcc", "-std=c11", "-c", "classical_features.c"])
    run(["g++", "-std=c++17", "-o", "sketch", "main.cpp", "classical_features.o"])
    zeros = np.zeros((1, SAMPLES, CHANNELS), np.int8)
    expected = HOSTILE[int(classical.answer(model, zeros)[0][0].argmax())]
    assert run(["./sketch"]).stdout.decode() == expected + "\n"


def test_too_many_classes_for_everywhereml_are_refused() -> None:
    labels = [str(i) for i in range(MAX_CLASSES + 1)]
    with pytest.raises(ModelError, match=r"128 classes, expected at most 127.*EXPORTER=ours"):
        export_everywhereml((), "forest", "test", labels)


def test_tables_hold_what_the_manifest_counts(network: Path, forest: Path) -> None:
    trees = trees_of("forest", noisy_forest(3))
    code = export_tables(trees, "forest", "test")
    rows = re.findall(r"\{\d+, -?\d+, \{-?\d+, -?\d+\}\}", code.files["model_export.h"])
    assert code.constants["model_w_nodes"] == 8 * len(rows) > 8 * 1500


def test_a_classical_model_of_another_network_is_left_out(forest: Path, network: Path) -> None:
    path = forest / "classical.json"
    result = path.read_text()
    try:
        write_json(path, json.loads(result) | {"network_sha256": "0" * 64})
        with pytest.raises(UsageError, match="make classical RECIPE=digits"):
            compare(network)
    finally:
        path.write_text(result)


@pytest.mark.slow
def test_the_report_asks_whether_a_network_is_needed(
    forest: Path, network: Path, tmp_path: Path
) -> None:
    out_dir = write_run(tmp_path / "run")
    assert "Is a network needed?" not in write_report(out_dir).read_text("utf-8")
    content = compare(network) | {"network_sha256": SHA}
    other = content["rows"][1] | {"exporter": "everywhereml", "unchanged": 300}
    content["rows"].append(other)
    board = {"counts": 34191, "unit": "instructions", "flash_bytes": 36120, "ram_bytes": 5208}
    board |= {"cases": 12, "equal": 12, "reference": "<b>"}
    for row in content["rows"]:
        row["boards"] = {"qemu_m4": board}
    one = {"name": "random forest", "board": "qemu_m4", "first": "emlearn", "unit": "instructions"}
    one |= {"other": "everywhereml", "same_answers": True, "counts": 1234, "counts_ratio": 0.05}
    content["exporters"] = [one | {"flash_bytes": -567}]
    write_json(out_dir / "classical.json", content | {"boards": ["qemu_m4"]})
    page = write_report(out_dir).read_text("utf-8")
    assert "Is a network needed?" in page
    assert "random forest, 20 trees" in page
    assert page.count("36,120") == 3
    assert "everywhereml takes +1,234 instructions (+5.0%) and -567 bytes" in page
    assert "decides otherwise in" in page
    write_json(out_dir / "classical.json", content | {"network_sha256": "0" * 64})
    assert "Is a network needed?" not in write_report(out_dir).read_text("utf-8")


def _broken(text: str) -> str:
    """The first tree's first question with another threshold."""
    return re.sub(
        r"(features\[\d+\] < )(-?\d+)", lambda m: m[1] + str(int(m[2]) + 40), text, count=1
    )


def test_a_wrong_threshold_is_caught_before_anything_is_built(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any) -> Any:
        code = export_emlearn(*given)
        files = {name: _broken(text) for name, text in code.files.items()}
        return dataclasses.replace(code, files=files)

    monkeypatch.setattr(classical, "export_emlearn", broken)
    with pytest.raises(QuantizeError, match=r"decides as scikit-learn in \d+ of \d+ test cases"):
        classical.compile_classical(DIGITS, "forest", "emlearn", network, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_wrong_threshold_in_the_firmware_is_caught(forest: Path, tmp_path: Path) -> None:
    out_dir, board = tmp_path / "digits-forest", load_board("native")
    shutil.copytree(forest, out_dir, ignore=shutil.ignore_patterns("qemu_m4"))
    path = board.gen_dir(out_dir) / "model_export.h"
    path.write_text(_broken(path.read_text()))
    build_firmware(board, board.gen_dir(out_dir), out_dir / board.folder)
    report = run_parity(out_dir, board, choose_target(board, None, None), None)
    assert report.equal < report.cases
    assert report.first_difference is not None


def test_the_network_s_inputs_must_be_the_recipe_s(network: Path, tmp_path: Path) -> None:
    out_dir = tmp_path / "digits"
    shutil.copytree(network, out_dir)
    golden = load_golden(out_dir / "golden.npz")
    other = dataclasses.replace(golden, inputs=(np.flip(golden.inputs[0]),))
    save_golden(out_dir / "golden.npz", other)
    with pytest.raises(ModelError, match="make quantise"):
        classical.compile_classical(DIGITS, "svm", "ours", out_dir, tmp_path / "out")


def test_a_class_without_an_example_is_refused(network: Path, tmp_path: Path) -> None:
    out_dir = tmp_path / "digits"
    shutil.copytree(network, out_dir)
    dataset = json.loads((out_dir / "dataset.json").read_text())
    write_json(out_dir / "dataset.json", dataset | {"labels": [*dataset["labels"], "ten"]})
    with pytest.raises(ModelError, match="11 classes, of which the training windows have"):
        classical.compile_classical(DIGITS, "svm", "ours", out_dir, tmp_path / "out")


def test_an_unknown_kind_names_the_known_ones(network: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="known kinds: forest, tree, boosting, logistic, svm"):
        classical.compile_classical(DIGITS, "jungle", "ours", network, tmp_path / "out")


def noisy_forest(trees: int) -> Any:
    """A forest of labels without a reason: more than 500 decisions a tree."""
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(1)
    x, y = rng.integers(-999, 999, (1800, 54)), rng.integers(0, 7, 1800)
    return RandomForestClassifier(trees, random_state=1).fit(x, y)


def test_too_large_a_forest_is_refused() -> None:
    with pytest.raises(ModelError, match=r"decisions in 60 trees.*lower classical.trees or"):
        check_trees(trees_of("forest", noisy_forest(60)))


@pytest.mark.slow
def test_a_forest_that_does_not_fit_the_board_is_refused(forest: Path, tmp_path: Path) -> None:
    board = load_board("esp32")  # code runs from 128 KB of RAM
    gen = tmp_path / "gen"
    shutil.copytree(board.gen_dir(forest), gen)
    code = export_emlearn(trees_of("forest", noisy_forest(20)), 7, 54)
    (gen / "model_export.h").write_text(code.files["model_export.h"])
    with pytest.raises(HostToolsError) as caught:
        build_firmware(board, gen, tmp_path / "esp32")
    found = re.search(
        r"CODE needs ([\d,]+) bytes or more, available are 131,072", str(caught.value)
    )
    assert found is not None
    assert 131_072 < int(found[1].replace(",", "")) < 200_000
    assert "Set fewer classical.trees or a lower classical.max_depth" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("trees = 0", "classical.trees: expected 1 to 1000, got 0"),
        ("trees = 1001", "classical.trees: expected 1 to 1000"),
        ("max_depth = 99", "classical.max_depth: expected 1 to 40"),
        ('features = "mfcc"', "classical.features: unknown kind 'mfcc'"),
        ("regularisation = -1.0", "classical.regularisation: expected 1e-12 to"),
        ("tree = 3", r"unknown key 'tree' \(did you mean 'trees'"),
    ],
)
def test_a_wrong_table_is_refused(line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "changed.toml"
    text = Path("model/recipes/motion.toml").read_text()
    path.write_text(f"{text}\n[classical]\n{line}\n")
    with pytest.raises(ConfigError, match=words):
        load_recipe(str(path))
