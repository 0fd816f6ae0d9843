"""Things that must exist together do."""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model import __version__
from quantize.lowering import KERNEL_SETS, LARGER
from quantize.ops import OPS
from quantize.ops.base import OpSpec
from quantize.ops.rules import Advice, FoldRule, Kernels, RangeRule, SumRule, Weights, Without
from quantize.tflite.signatures import Signature
from tests.generators import GENERATORS, operator_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
KERNELS_H = (ROOT / "firmware/kernels/nn_kernels.h").read_text()
DECLARED = set(re.findall(r"\bvoid (nn_\w+)\(", KERNELS_H))
KERNELS = ROOT / "firmware/kernels"
# kernels of one kind of core that the reference has not, and what headers declare of them
CORES = [
    path
    for path in sorted(KERNELS.glob("*/*.[cS]"))
    if path.parent.name != "ref" and path.stem not in DECLARED
]
FASTER = {
    name
    for header in KERNELS.glob("*.h")
    for name in re.findall(r"^(?:const )?\w+ \*?(nn_\w+)\(", header.read_text(), re.M)
} - DECLARED


def test_every_operator_has_a_table() -> None:
    assert set(OPS) == {operator_of(key) for key in GENERATORS}


def _leaves(value: Any) -> Iterator[Any]:
    """A value and all that dataclasses in it hold."""
    yield value
    if dataclasses.is_dataclass(value):
        for entry in dataclasses.fields(value):
            yield from _leaves(getattr(value, entry.name))


STATED = (OpSpec, Signature, RangeRule, SumRule, FoldRule, Advice, Weights, Kernels, Without)


@pytest.mark.parametrize("kind", STATED)
def test_nothing_about_an_operator_has_a_default(kind: type[Any]) -> None:
    """One that forgets a fact cannot be imported."""
    fields = {entry.name for entry in dataclasses.fields(kind)}
    for name in fields:
        with pytest.raises(TypeError, match=name):
            kind(**dict.fromkeys(fields - {name}))


@pytest.mark.parametrize("name", OPS)
def test_what_an_operator_has_not_it_explains(name: str) -> None:
    spec, reasons = OPS[name], [v.reason for v in _leaves(OPS[name]) if isinstance(v, Without)]
    assert all(len(reason.split()) > 1 for reason in reasons), reasons
    wanted = {
        "ranges": (RangeRule, SumRule, Without),
        "folding": (FoldRule, Without),
        "advice": (Advice, Without),
    }
    for field, kinds in wanted.items():
        assert isinstance(getattr(spec, field), kinds), field
    if isinstance(spec.advice, Advice) and spec.advice.weights:
        assert isinstance(spec.ranges, SumRule)  # weights_of and find_ranges see the same


def test_every_set_of_kernels_is_asked_of_every_operator() -> None:
    """A set that Kernels does not name, or a lowering that no operator takes, would be for none."""
    named = {"ref", *(entry.name for entry in dataclasses.fields(Kernels))}
    assert named == {name.partition("_")[0] for name in KERNEL_SETS}  # others go on behind one
    for kernels, ways in KERNEL_SETS.items():
        assert {spec.kernels.lowering(kernels) for spec in OPS.values()} - {None} == set(ways)
        assert set(LARGER.get(kernels, {})) <= set(ways)


def _strings(path: Path) -> set[str]:
    """The whole string literals of a module."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


ENGINES = (
    "ranges",
    "fold",
    "fuse",
    "chains",
    "advice",
    "inspect",
    "tflite/reader",
    "tflite/signatures",
)


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_know_no_operator_by_name(engine: str) -> None:
    assert not _strings(ROOT / f"quantize/{engine}.py") & set(OPS)


def test_lowerings_know_no_operator_by_name() -> None:
    """But the sign of a difference."""
    found = {n for p in (ROOT / "quantize/lowering").glob("*.py") for n in _strings(p) & set(OPS)}
    assert found <= {"SUB"}


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_every_kernel_has_a_file_a_comment_and_a_caller(name: str) -> None:
    text = (ROOT / f"firmware/kernels/ref/{name}.c").read_text()
    assert text.startswith("/*"), "a kernel starts with its formula"
    assert "Rounding:" in text
    assert f"void {name}(" in text
    callers = [p for p in (ROOT / "quantize/ops").glob("*.py") if f'"{name}"' in p.read_text()]
    assert callers, "no operator calls it"


def test_every_kernel_file_is_declared() -> None:
    assert {p.stem for p in (ROOT / "firmware/kernels/ref").glob("*.c")} == DECLARED


@pytest.mark.parametrize("path", CORES, ids=lambda path: path.name)
def test_every_kernel_of_a_core_has_a_comment_and_a_caller(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("/*"), "a kernel starts with what it computes"
    assert "Rounding:" in text
    others = [*path.parent.glob("*.[cS]"), *(ROOT / "quantize/lowering").glob("*.py")]
    called = re.compile(rf"\b{path.stem}\b")
    assert any(called.search(p.read_text()) for p in others if p != path), "nothing calls it"


def test_every_kernel_of_a_core_is_declared() -> None:
    assert {path.stem for path in CORES} == FASTER


def test_assembly_has_twins_in_c() -> None:
    """They run in its place in tests, under sanitizers, and on this computer."""
    for folder in {path.parent for path in CORES}:
        assembly = {path.stem for path in folder.glob("*.S")}
        assert {path.stem for path in (folder / "twin").glob("*.c")} == assembly, folder


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["version"]["path"] == "model/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_lock_has_a_hash_for_everything() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=\S)", lock.strip())
    assert len(entries) > 50
    for entry in entries:
        assert "==" in entry.splitlines()[0], entry
        assert "--hash=sha256:" in entry, entry


def test_the_lock_covers_every_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    (ours,) = (r for r in extras["dev"] if r.startswith("tinyproof["))
    named = [name for extra in re.findall(r"\w+", ours)[1:] for name in extras[extra]]
    assert len(named) >= 3  # dask, distributed, psycopg
    declared = [*project["dependencies"], *extras["dev"], *named]
    declared.remove(ours)
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.M))
    for requirement in declared:
        name = re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")
        assert name in {n.lower().replace("_", "-") for n in locked}, name
