"""The generated files: same input same bytes, and they compile for the host and for the board."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from host_tools.cli import main
from quantize.errors import ModelError
from quantize.golden import Golden, load_golden, make_golden, random_inputs, save_golden
from quantize.manifest import compile_model
from quantize.tflite.reader import parse_model
from tests.generators import GENERATORS

MODEL = GENERATORS["CONV_2D"](np.random.default_rng(3))


def _golden(model: bytes = MODEL) -> Golden:
    return make_golden(model, random_inputs(parse_model(model), 4, 0))


def test_same_input_same_bytes(tmp_path: Path) -> None:
    texts = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        compile_model(MODEL, _golden(), folder, name="m", settings={"x": 1})
        texts.append({f.name: f.read_bytes() for f in folder.iterdir()})
    assert texts[0] == texts[1]


def test_the_run_id_depends_on_the_settings(tmp_path: Path) -> None:
    ids = [
        compile_model(MODEL, _golden(), tmp_path, name="m", settings={"x": x})["run_id"]
        for x in (1, 2)
    ]
    assert ids[0] != ids[1]


@pytest.mark.parametrize("compiler", ["g++", "arm-none-eabi-g++"])
def test_the_array_in_the_object_file_is_the_model(compiler: str, tmp_path: Path) -> None:
    compile_model(MODEL, _golden(), tmp_path, name="m", settings={})
    target = tmp_path / "model_data.o"
    source = tmp_path / "model_data.cc"
    subprocess.run([compiler, "-c", "-Wall", "-Werror", source, "-o", target], check=True)
    with target.open("rb") as file:
        elf = ELFFile(file)
        symbols = {s.name: s for s in elf.get_section_by_name(".symtab").iter_symbols()}
        section = elf.get_section(symbols["g_model"]["st_shndx"])
        start = symbols["g_model"]["st_value"]
        assert section.data()[start : start + len(MODEL)] == MODEL
        assert section["sh_addralign"] % 16 == 0
        assert start % 16 == 0
        length = elf.get_section(symbols["g_model_len"]["st_shndx"])
        offset = symbols["g_model_len"]["st_value"]
        assert int.from_bytes(length.data()[offset : offset + 4], "little") == len(MODEL)


def test_the_header_states_hash_and_arena(tmp_path: Path) -> None:
    manifest = compile_model(MODEL, _golden(), tmp_path, name="m", settings={})
    header = (tmp_path / "model_data.h").read_text()
    assert hashlib.sha256(MODEL).hexdigest() in header
    assert f"#define G_MODEL_ARENA_BYTES {manifest['tflm_arena_bytes']}" in header
    assert int(str(manifest["tflm_arena_bytes"])) > 0


def test_golden_cases_of_another_model_are_refused(tmp_path: Path) -> None:
    other = GENERATORS["CONV_2D"](np.random.default_rng(4))
    with pytest.raises(ModelError, match="golden cases are of model"):
        compile_model(MODEL, _golden(other), tmp_path / "gen", name="m", settings={})
    assert not (tmp_path / "gen").exists()


def test_golden_file_round_trip(tmp_path: Path) -> None:
    golden = _golden()
    save_golden(tmp_path / "golden.npz", golden)
    loaded = load_golden(tmp_path / "golden.npz")
    assert loaded.model_sha256 == golden.model_sha256
    assert all(np.array_equal(a, b) for a, b in zip(loaded.outputs, golden.outputs, strict=True))
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(ModelError, match="not a golden file"):
        load_golden(tmp_path / "bad.npz")


def test_the_manifest_is_complete_json(tmp_path: Path) -> None:
    compile_model(MODEL, _golden(), tmp_path, name="m", settings={})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["model_sha256"] == hashlib.sha256(MODEL).hexdigest()
    assert {op["rounding"] for op in manifest["operators"]} == {"double"}
    assert manifest["weight_bytes"] == sum(c["bytes"] for c in manifest["constants"])


@pytest.mark.parametrize(
    ("file", "arguments", "words"),
    [
        ("m.tflite", ["--cases", "0"], "0 is not in the range x>=1"),
        ("m.tflite", ["--cases", "1000000000000"], "CASES=1000000000000: expected 1 to"),
        ("m.tflite", ["--inputs", "/dev/null"], "expected a file *.npz"),
        ("absent.tflite", [], "No such file or directory; give the path of an existing file"),
        ("/dev/zero", [], "a pipe or a device, expected a file"),
    ],
)
def test_a_model_that_is_not_taken_over_leaves_nothing(
    file: str,
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tflite").write_bytes(GENERATORS["ADD"](np.random.default_rng(0)))
    assert main(["import", file, *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.glob("build/models/*/golden.npz"))


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tflite").write_bytes(GENERATORS["ADD"](np.random.default_rng(0)))
    (tmp_path / "build").write_text("a file")
    assert main(["import", "m.tflite"]) == 2
    assert "expected a folder there; delete what is in its place" in capsys.readouterr().err
