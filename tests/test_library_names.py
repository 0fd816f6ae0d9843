"""The names of libraries: several in one program, whatever their models are called."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from host_tools.library.describe import library_name
from host_tools.library.make import Library, make_library
from host_tools.library.write import write_library
from tests.test_certificate import make_build
from tests.test_library import LABELS, compiled, symbols, with_rule

# Each may be told as part of another's names: tp_m_fe_push, tp_m_rule_t, TP_M_TARGET_H ...
NEIGHBOURS = ("m_fe", "m_model", "m_decide", "m_target", "m_names", "m_rule", "m_object", "m_is")
LINKED = ("m_fe", "m_model")


def named(root: Path, name: str) -> Library:
    """A library with a rule of a model of this name."""
    out_dir = with_rule(make_build(root / name, "raw", len(LABELS), LABELS))
    for path in out_dir.glob("gen/*/manifest.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"name": name}))
    return make_library(out_dir)


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Library]:
    root = tmp_path_factory.mktemp("models")
    return {name: named(root, name) for name in ("m", *NEIGHBOURS)}


@pytest.fixture(scope="module")
def folder(libraries: dict[str, Library], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_library(libraries["m"], tmp_path_factory.mktemp("written"))[0]


def _words(library: Library, names: str) -> set[str]:
    """The names of a program with a library, without its own name at their beginning."""
    headers = [library.files[f"src/{library.name}.h"]]
    headers.append(library.files[f"src/{library.name}/target.h"])
    return set(re.findall(rf"\b{names}_(\w+)", "".join(headers)))


def test_no_public_name_is_one_of_another_library(libraries: dict[str, Library]) -> None:
    """Where <other>_<word> of one is <word> of the other, the latter's name must not come to be."""
    library = libraries["m"]
    for names in (library.name, library.name.upper()):
        words = _words(library, names)
        assert len(words) > 10
        for word in words:
            for end in words:
                if word.endswith(f"_{end}"):
                    other = f"m_{word.removesuffix(f'_{end}')}".lower()
                    assert library_name(other) != f"tp_{other}", word


def test_programs_with_neighbours_link(
    libraries: dict[str, Library], folder: Path, tmp_path: Path
) -> None:
    """All names that one library links differ from all of another, and both headers count."""
    own = symbols(compiled(folder, tmp_path / "own", ("gcc", "-std=c11")), ("gcc",))
    defined = {name for name, kind in own if kind != "U"}
    text, include = "#include <tp_m.h>\n", [f"-I{folder / 'src'}"]
    for name in NEIGHBOURS:
        library = libraries[name]
        other, _ = write_library(library, tmp_path)
        if name in LINKED:
            objects = compiled(other, tmp_path / f"objects_{name}", ("gcc", "-std=c11"))
            assert not defined & {n for n, kind in symbols(objects, ("gcc",)) if kind != "U"}
        text += f"#include <{library.name}.h>\nstatic {library.name}_t {name};\n"
        text += f"int use_{name}(void);\nint use_{name}(void) {{\n"
        text += f"    {library.name}_rule_t rule = {library.values['NAME']}_RULE;\n"
        text += (
            f"    return {library.name}_init(&{name}) + {library.name}_decide(&{name}, &rule);\n"
        )
        text += "}\n"
        include.append(f"-I{other / 'src'}")
    path = tmp_path / "all.c"
    path.write_text(text)
    subprocess.run(
        ["gcc", "-std=c11", "-Wall", "-Werror", *include, "-fsyntax-only", path], check=True
    )


def test_long_names_differ() -> None:
    names = [library_name("x" * 60 + end) for end in "abc"]
    assert len(set(names)) == 3 and {len(name) for name in names} == {40}
    assert library_name("模型-505ee4fa") == "tp_505ee4fa"
    assert library_name("rule") == "tp_rule_model" and library_name("molecule") == "tp_molecule"
    for text in ("\ud800", "int", "__init__", "9", "a" * 37, "ſ", "İ"):
        assert re.fullmatch(r"tp_[a-z0-9][a-z0-9_]{0,36}", library_name(text))
