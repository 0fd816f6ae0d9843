"""ENGINE=tflm on this computer: what is generated for TFLite Micro, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from host_tools.boards.board import BOARDS, board_of_folder, chip_board, load_board
from host_tools.build import engine, libraries
from host_tools.build.engine import engine_facts, provide_engine, require_engine
from host_tools.build.firmware import build_firmware
from host_tools.commands.build import command as build_command
from host_tools.errors import HostToolsError, ToolMissing, UsageError
from host_tools.link.target import choose_target
from host_tools.stages.graph import engine_stages
from model.files import write_bytes
from quantize.emit_tflm import emit_tflm, method_name, resolver_methods
from quantize.errors import ModelError
from quantize.golden import make_golden, random_inputs, save_golden
from quantize.manifest import compile_sets
from quantize.tflite.reader import parse_model, parse_subgraphs
from quantize.tflm import TfliteMicro
from tests.chains import chain
from tests.generators import GENERATORS

ROOT = Path(__file__).resolve().parents[1]
MODELS = Path(os.environ.get("MODELS_DIR", ROOT.parent / "shared" / "models"))
METHODS = json.loads((ROOT / "tests" / "vectors" / "tflm_methods.json").read_text())["methods"]
LIBRARY = "Chirale_TensorFLowLite"


def folder_of(root: Path, model: bytes, cases: int = 6) -> Path:
    """A folder of results with a model and its generated code, as `emit` leaves it."""
    out_dir = root / "results"
    golden = make_golden(model, random_inputs(parse_model(model), cases, 0))
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden)
    folders = {kernels: out_dir / "gen" / kernels for kernels in ("ref", "armv7em")}
    compile_sets(model, golden, folders, name="small", settings={})
    return out_dir


def test_methods_have_the_names_of_the_resolver() -> None:
    assert {name: method_name(name) for name in METHODS} == METHODS


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.tflite")), ids=lambda path: path.stem)
def test_resolvers_of_models_made_elsewhere(path: Path) -> None:
    subgraphs = parse_subgraphs(path.read_bytes())
    methods = resolver_methods(subgraphs)
    assert methods and set(methods) <= set(METHODS.values())
    kinds = {op.name for graph in subgraphs for op in graph.operators}
    assert [METHODS[name] for name in sorted(kinds)] == sorted(methods, key=_operator)


def _operator(method: str) -> str:
    return next(name for name, known in METHODS.items() if known == method)


def test_every_operator_of_the_file_is_a_step(tmp_path: Path) -> None:
    """RESHAPE costs generated code nothing, and folded channels; the interpreter runs them."""
    model = chain(28, 0.5)
    out_dir = folder_of(tmp_path, model)
    ours = json.loads((out_dir / "gen" / "ref" / "manifest.json").read_text())
    found = emit_tflm(out_dir)
    names = [op.name for op in parse_subgraphs(model)[0].operators]
    assert [op["op"] for op in found["operators"]] == names
    assert [op["step"] for op in found["operators"]] == list(range(len(names)))
    assert found["macs"] == ours["macs"] + ours["folded"]["macs"] > ours["macs"] > 0
    assert sum(op["macs"] for op in found["operators"]) == found["macs"]
    assert found["constants"] == [{"name": "g_model", "bytes": len(model)}]
    assert (found["kernels"], found["engine"]) == ("tflm", "tflm")
    assert found["run_id"] != ours["run_id"] and found["model_sha256"] == ours["model_sha256"]
    assert found["arena_bytes"] > TfliteMicro(model).arena().total
    header = (out_dir / "gen-tflm" / "model.h").read_text()
    assert f"#define MODEL_STEP_COUNT {len(names)}\n" in header
    assert not (out_dir / "gen-tflm" / "model.c").exists()


def test_the_arena_is_chosen_within_reason(tmp_path: Path) -> None:
    out_dir = folder_of(tmp_path, GENERATORS["CONV_2D"](np.random.default_rng(3)))
    first = emit_tflm(out_dir)
    chosen = emit_tflm(out_dir, 100_000)
    assert chosen["arena_bytes"] == 100_000 and chosen["run_id"] != first["run_id"]
    with pytest.raises(ModelError, match=r"ARENA=16: the inputs and outputs of small take \d+ "):
        emit_tflm(out_dir, 16)


def test_a_file_that_tflite_micro_refuses_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out_dir = folder_of(tmp_path, GENERATORS["CONV_2D"](np.random.default_rng(3)))
    real = TfliteMicro.__init__

    def changed(self: TfliteMicro, *arguments: Any, **options: Any) -> None:
        real(self, *arguments, **options)
        self.told = "shapes computed"

    monkeypatch.setattr(TfliteMicro, "__init__", changed)
    with pytest.raises(ModelError, match=r"it takes it with shapes computed\); ENGINE=tflm runs"):
        emit_tflm(out_dir)


def test_a_board_with_the_engine_has_a_folder_and_stages_of_its_own(tmp_path: Path) -> None:
    board = load_board("nano33-tflm")
    assert (board.id, board.kernels, board.engine) == ("nano33", "tflm", "tflm")
    assert chip_board(board, "arduino") is board  # the interpreter brings its own kernels
    assert board.gen_dir(tmp_path) == tmp_path / "gen-tflm"
    flashed = board_of_folder("nano33-tflm-arduino")
    assert (flashed.engine, flashed.framework) == ("tflm", "arduino")
    emit, build = engine_stages(tmp_path, load_board("qemu_m4-tflm"))
    assert emit.writes == build.reads == ("gen-tflm/*",)
    assert build.writes == ("qemu_m4-tflm/firmware.*", "qemu_m4-tflm/size.json")
    assert [stage.name for stage in engine_stages(tmp_path, load_board("qemu_m4"))] == [
        "build-qemu_m4"
    ]
    with pytest.raises(UsageError, match="compares our own kernels; ENGINE=tflm has none"):
        load_board("nano33-tflm-selftest")


def test_labwireds_nano_says_why_it_cannot() -> None:
    with pytest.raises(UsageError, match=r"faults on floating-point .* type EMULATOR=renode"):
        choose_target(load_board("nano33-tflm"), None, None)


# --- the library ------------------------------------------------------------------------------


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A core folder without libraries, and no network."""

    def refuse(*_: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(libraries.socket, "create_connection", refuse)
    monkeypatch.setattr(engine, "CORE_DIR", tmp_path / "core")
    monkeypatch.delenv(engine.NAMED, raising=False)
    return tmp_path / "core" / "lib"


def test_without_the_library_it_says_which_and_how(offline: Path) -> None:
    board = load_board("nano33-tflm")
    for framework in ("bare", "arduino"):
        with pytest.raises(ToolMissing) as told:
            require_engine(board, framework)
        for word in (f"spaziochirale/{LIBRARY}@2.0.0", "does not answer", "TFLM=folder", "aot"):
            assert word in str(told.value)
    require_engine(load_board("nano33"), "bare")  # nothing is asked for generated code


def test_an_installed_release_is_taken_another_is_not(offline: Path) -> None:
    library = offline / LIBRARY
    shutil.copytree(ROOT / "tests" / "tflm_double", library)
    require_engine(load_board("nano33-tflm"), "bare")
    properties = library / "library.properties"
    properties.write_text(properties.read_text().replace("2.0.0", "1.9.0"))
    with pytest.raises(ToolMissing):
        require_engine(load_board("nano33-tflm"), "bare")


def test_readme_names_the_release_that_is_pinned() -> None:
    name = engine._rules().LIBRARY.rpartition("/")[2].replace("@", " ")
    assert f"({name})" in (ROOT / "README.md").read_text()


def test_a_named_folder_must_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(engine.NAMED, str(tmp_path))
    with pytest.raises(UsageError, match=r"TFLM=.*: expected a folder with TFLite Micro"):
        require_engine(load_board("qemu_m4-tflm"), "bare")
    assert engine_facts(load_board("qemu_m4-tflm")) == {"library of the engine": str(tmp_path)}
    assert engine_facts(load_board("qemu_m4")) == {}


def test_a_library_without_an_operator_is_told_before_it_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The double's resolver has no methods at all here."""
    folder = tmp_path / "library"
    shutil.copytree(ROOT / "tests" / "tflm_double", folder)
    monkeypatch.setenv(engine.NAMED, str(folder))
    out_dir = folder_of(tmp_path, GENERATORS["CONV_2D"](np.random.default_rng(3)))
    emit_tflm(out_dir)
    board = load_board("native-tflm")
    told = r"has no AddConv2D, which the model needs\. Run the model as generated code: ENGINE=aot"
    with pytest.raises(HostToolsError, match=told):
        provide_engine(board, out_dir / "gen-tflm")
    with pytest.raises(HostToolsError, match=told):
        build_firmware(board, out_dir / "gen-tflm", tmp_path / "firmware")


@pytest.mark.parametrize("board", ["esp32", "qemu_xtensa", "esp32c3", "qemu_riscv32"])
def test_a_compiler_without_a_cpp_library_is_told(board: str, offline: Path) -> None:
    assert board in BOARDS
    with pytest.raises(UsageError) as told:
        require_engine(load_board(f"{board}-tflm"), "bare")
    assert "g++ has no C++ library" in str(told.value)
    assert ("FRAMEWORK=arduino" in str(told.value)) == (board == "esp32")


@pytest.mark.parametrize(
    "manifest",
    ["", "{", "[]", '{"version": ["2.0.0"]}', '{"version": {"2.0.0": 1}}', "[" * 99999, "\xff"],
)
def test_a_library_whose_record_is_damaged_is_none(manifest: str, tmp_path: Path) -> None:
    rules = engine._rules()
    folder = tmp_path / LIBRARY
    folder.mkdir()
    (folder / "library.json").write_text(manifest, "latin-1")
    assert rules.library_folder(None, tmp_path) is None
    (folder / "library.json").write_text('{"version": "2.0.0"}')
    assert rules.library_folder(None, tmp_path) == folder


@pytest.mark.parametrize("kind", ["file", "empty", "loop", "gone"])
def test_what_is_no_folder_with_tflite_micro_is_told(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tf lite ümläut"
    if kind == "file":
        path.write_text("")
    elif kind == "empty":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    monkeypatch.setenv(engine.NAMED, str(path))
    with pytest.raises(UsageError, match="TFLM=.*: expected a folder with TFLite Micro"):
        require_engine(load_board("native-tflm"), "bare")


@pytest.mark.parametrize("arena", ["0", "-1", "text", "1e5", str((1 << 28) + 1), "9" * 40])
def test_an_arena_that_no_board_has_is_refused_before_anything_runs(arena: str) -> None:
    done = CliRunner().invoke(build_command, ["--engine", "tflm", "--arena", arena])
    assert done.exit_code == 2 and "--arena" in done.output and arena in done.output
