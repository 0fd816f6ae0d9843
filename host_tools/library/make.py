"""Make a library: one folder and one .zip for Arduino, PlatformIO, ESP-IDF, Zephyr and CMake."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2

from host_tools.errors import UsageError
from host_tools.library.describe import float_text, values_of
from host_tools.library.examples import example_files, inertial
from host_tools.library.sources import GENERATED, SETS, Copy, collect, epilogue, prologue, symbols
from model.paths import ROOT
from quantize.emit_c import c_text

RECORD = "tinyproof.json"  # of a library: its model, and its files as they were written
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("host_tools.library", "templates"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)
_TEMPLATES.filters["c_text"] = c_text
_TEMPLATES.filters["c_float"] = lambda value: f"{float_text(value)}f"
# A prompt in quotes, where neither a quote nor a call of Kconfig's preprocessor may stand.
_TEMPLATES.filters["kconfig"] = lambda text: re.sub(r"[$\\]", "", text.replace('"', "'"))
_TEMPLATES.filters["markdown"] = lambda text: re.sub(r"([\\`*_{}\[\]<>()#+!|&~])", r"\\\1", text)

# Template -> place in the library; {name} is the library's.
OUTSIDE = {
    "public.h": "src/{name}.h",
    "library.properties": "library.properties",
    "library.json": "library.json",
    "idf_component.yml": "idf_component.yml",
    "CMakeLists.txt": "CMakeLists.txt",
    "module.yml": "zephyr/module.yml",
    "zephyr.txt": "zephyr/CMakeLists.txt",
    "Kconfig": "zephyr/Kconfig",
    "README.md": "README.md",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library that is not written yet: its name, and place -> text of its files."""

    name: str
    values: Mapping[str, Any]
    files: Mapping[str, str]


def make_library(out_dir: Path) -> Library:
    """The library of the model in `out_dir`, a folder of results with generated code.

    Raises FileNotFoundError where no code was generated, UsageError for a classical model, and
    HostToolsError as values_of and collect do.
    """
    gen_dirs = {kernels: out_dir / "gen" / kernels for kernels in SETS}
    try:
        values = values_of(out_dir, gen_dirs)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{out_dir}/gen: manifests of another shape than this version writes: {error!r}; "
            "generate the code again: make emit"
        ) from error
    copies = collect(gen_dirs)
    values |= {"symbols": symbols(copies)}
    inside = f"src/{values['name']}"
    files = {f"{inside}/{copy.place}": _text(copy) for copy in copies}
    files |= {f"{inside}/{name}": render(name, values) for name in GENERATED}
    values |= {"sources": sorted(f for f in files if PurePosixPath(f).suffix in (".c", ".S"))}
    files |= examples(values)
    values |= {"inertial": inertial(values["channel_units"])[0] > 0}
    values |= {"examples": {PurePosixPath(f).parts[1] for f in files if f.startswith("examples/")}}
    files |= {
        place.format(name=values["name"]): render(name, values) for name, place in OUTSIDE.items()
    }
    files["LICENSE"] = (ROOT / "LICENSE").read_text("utf-8")
    files[RECORD] = _record(values, files)
    return Library(name=values["name"], values=values, files=files)


def examples(values: Mapping[str, Any]) -> dict[str, str]:
    """Place -> text of every example that suits the model."""
    return {
        file.place: file.copied.read_text("utf-8")
        if file.copied
        else render(file.template, {**values, **file.values})
        for file in example_files(values)
    }


def _text(copy: Copy) -> str:
    if copy.place.suffix not in (".c", ".S"):
        return copy.text
    return prologue(copy) + copy.text.rstrip("\n") + "\n" + epilogue(copy)


def _record(values: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """Which model a library is of, and the SHA-256 of each file: later changes can be told."""
    digests = {place: hashlib.sha256(text.encode()).hexdigest() for place, text in files.items()}
    record = {"model": values["model"], "model_sha256": values["sha256"], "files": digests}
    return json.dumps({**record, "version": values["version"]}, indent=2, sort_keys=True) + "\n"


def render(name: str, values: Mapping[str, Any]) -> str:
    """One of the templates, filled in; a value that is missing is an error."""
    return _TEMPLATES.get_template(f"{name}.jinja").render(values)
