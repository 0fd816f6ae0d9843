"""The rules of the layout: who may import whom, how large a file may be."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from host_tools.stages import code

ROOT = Path(__file__).parents[1]
PYTHON = sorted(p for d in ("model", "quantize", "host_tools") for p in (ROOT / d).rglob("*.py"))
C_FILES = sorted(p for p in (ROOT / "firmware").rglob("*.[ch]"))
TRAINING = {"tensorflow", "tf_keras", "keras", "tensorflow_model_optimization"}
MAY_TRAIN = {"model/train.py", "model/networks.py", "quantize/compress.py", "quantize/ptq.py",
             "quantize/qat.py", "quantize/float_worker.py", "model/keras_file.py",
             "quantize/convert_worker.py", "quantize/ends.py"}  # fmt: skip
MAX_PYTHON, MAX_C, MAX_FUNCTION = 500, 400, 60
LONG_FUNCTIONS = {"quantise_recipe"}  # one straight pipeline that reads better in one piece


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(path: Path) -> set[str]:
    """Every imported module, lazy imports included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_name(path)}: relative import"
            found.add(node.module or "")
    return found


def _roots(path: Path) -> set[str]:
    return {module.split(".")[0] for module in _imports(path)}


def test_stages_know_what_files_import() -> None:
    """They read import statements without parsing the file: the same modules."""
    for path in PYTHON:
        assert {name.split(".")[0] for name in code.imports(path)} == _roots(path), _name(path)
        assert _imports(path) <= code.imports(path), _name(path)


@pytest.mark.parametrize("path", PYTHON, ids=_name)
def test_layers(path: Path) -> None:
    package, roots = _name(path).split("/")[0], _roots(path)
    forbidden = {"model": {"quantize", "host_tools"}, "quantize": {"host_tools"}}
    assert not roots & (forbidden.get(package, set()) | {"tests"})
    if roots & TRAINING:
        assert _name(path) in MAY_TRAIN
    if roots & {"mlflow", "sqlalchemy"}:
        assert _name(path) == "model/store.py"
    if "rich.text" in _imports(path):  # others take `plain`, which a terminal does not follow
        assert _name(path) in (
            "host_tools/terminal.py", "host_tools/doctor.py", "model/stages/check.py"
        )  # fmt: skip
    if "serial" in roots:
        assert _name(path) in ("host_tools/link/transport.py", "host_tools/link/serve.py")


@pytest.mark.parametrize("path", PYTHON, ids=_name)
def test_temporary_folders_go_with_a_process_that_is_killed(path: Path) -> None:
    """Those beside a result (dir=) are found with it; Renode's worker imports nothing of ours."""
    if _name(path) in ("model/processes.py", "host_tools/emulators/renode_worker.py"):
        return
    made = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("tempfile.mkdtemp", "tempfile.TemporaryDirectory")
        and not any(keyword.arg == "dir" for keyword in node.keywords)
    ]
    assert not made, "use scratch_folder"


def _module(path: Path) -> str:
    return _name(path.with_suffix("")).replace("/", ".").removesuffix(".__init__")


MODULES = {_module(path): path for path in PYTHON}


def _edges(path: Path) -> set[str]:
    """Our modules that one imports, lazy imports included; a package where it takes a name of it.

    Loading a module runs its package's __init__ too; that alone is no edge.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module or "" for name in inside}
    return found & set(MODULES)


def _circles(edges: dict[str, set[str]]) -> list[tuple[str, ...]]:
    """The strongly connected components of more than one module, or of one that imports itself."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            waiting += (new := edges[waiting.pop()] - seen)
            seen |= new
        return seen

    after = {module: reached(module) for module in edges}
    return sorted(
        {tuple(sorted(m for m in after[a] if a in after[m])) for a in edges if a in after[a]}
    )


def test_a_circle_is_found() -> None:
    tree = {"a": {"b"}, "b": {"c"}, "c": set[str]()}
    assert _circles(tree) == []
    assert _circles(tree | {"c": {"a"}, "d": {"a"}}) == [("a", "b", "c")]
    assert _circles(tree | {"b": {"b"}}) == [("b",)]


def test_lazy_imports_and_modules_of_packages_are_edges(tmp_path: Path) -> None:
    path = tmp_path / "lazy.py"
    path.write_text(
        "from quantize.ops import add, find_op\n"
        "def later():\n"
        "    import numpy, quantize.golden\n"
        "    from quantize.scheme import Rounding\n"
    )
    own = {"quantize.ops", "quantize.ops.add", "quantize.golden", "quantize.scheme"}
    assert _edges(path) == own


def test_no_module_imports_itself_over_others() -> None:
    assert _circles({module: _edges(path) for module, path in MODULES.items()}) == []


def test_host_tools_do_not_reach_training() -> None:
    trained = {"model.train", "model.networks", "quantize.ptq", "quantize.qat", "quantize.pipeline",
               "quantize.float_worker", "quantize.convert_worker",
               "model.keras_file"}  # fmt: skip
    for path in PYTHON:
        if _name(path).startswith("host_tools/"):
            assert not _imports(path) & trained, _name(path)


def test_the_protocol_is_pure() -> None:
    allowed = {"__future__", "enum", "re", "struct", "zlib", "dataclasses", "cobs"}
    assert _roots(ROOT / "host_tools/link/frames.py") <= allowed
    protocol = ROOT / "host_tools/link/protocol.py"
    assert _roots(protocol) <= {*allowed, "host_tools"}
    assert re.findall(r"from (host_tools\S+)", protocol.read_text()) == ["host_tools.link.frames"]


@pytest.mark.parametrize("path", C_FILES, ids=_name)
def test_c_includes(path: Path) -> None:
    includes = set(re.findall(r'#include "([^"]+)"', path.read_text()))
    part = _name(path).split("/")[1]
    if part == "kernels":
        assert all(Path(i).name.startswith("nn_") for i in includes)
    elif part == "link":
        assert all(i.startswith("link_") for i in includes)


def _function_lengths(path: Path) -> dict[str, int]:
    return {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("path", PYTHON, ids=_name)
def test_python_sizes(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_PYTHON
    long = {n: k for n, k in _function_lengths(path).items() if k > MAX_FUNCTION}
    assert set(long) <= LONG_FUNCTIONS, long


@pytest.mark.parametrize("path", C_FILES, ids=_name)
def test_c_sizes(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_C


def test_generated_text_is_not_in_the_firmware_tree() -> None:
    for path in C_FILES:
        assert "do not edit" not in path.read_text(), _name(path)


def test_cppcheck_sees_the_whole_firmware() -> None:
    command = (ROOT / "host_tools" / "lint.sh").read_text().split("cppcheck --quiet")[1]
    assert " firmware model/features\n" in command


def test_templates_hold_tables_and_calls() -> None:
    """Loops belong into C files; model.c has one over its steps, one over a variable's bytes, and
    one over equal strips of operators that run together."""
    for path in sorted((ROOT / "quantize" / "templates").glob("*.jinja")):
        loops = len(re.findall(r"^\s*(?:for|while|do)\b", path.read_text(), re.MULTILINE))
        assert loops <= (3 if path.name == "model.c.jinja" else 0), path.name
