"""Which of tinyproof's own files a stage's result depends on, and which packages."""

from __future__ import annotations

import functools
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from model.paths import PACKAGES, ROOT

OURS = ("model", "quantize", "host_tools")
# Files that are no Python, of the modules that read them; patterns below the place of packages, or
# of firmware and boards.
DATA = {
    "model.features.build": ("model/features/*.[ch]", "firmware/features/*.[ch]"),
    "model.page": ("model/templates/*",),
    "host_tools.boards.board": ("boards/*.json",),
    "quantize.classical": ("firmware/classical/*.*",),
    "quantize.emit_c": ("quantize/templates/*",),
    "host_tools.emulators": (
        "host_tools/emulators/*_worker.py",
        "boards/labwired/*",
        "boards/renode/*",
    ),
    "host_tools.report.page": ("host_tools/report/templates/*",),
    "host_tools.fleet.page": ("host_tools/fleet/templates/*",),
    "host_tools.live.page": (
        "host_tools/live/page.css",
        "host_tools/live/ended.js",
        "host_tools/live/templates/*",
    ),
    "host_tools.library.make": ("host_tools/library/templates/**/*",),
    "host_tools.gate.workflow": ("host_tools/gate/templates/*",),
    "host_tools.bench.counting": ("host_tools/emulators/*.[ch]",),
}
RUNS = {"quantize.float_reference": ("quantize.float_worker",)}  # in a process of its own
# An import statement; a tenth of the time that parsing whole files takes.
IMPORT = re.compile(
    r"^[ \t]*(?:from +([\w.]+) +import +(?:\(([^)]*)\)|(.*))|import +(.*))", re.MULTILINE
)
BACKPORTS = {"tomli"}  # what a newer Python has itself
DISTRIBUTIONS = {  # whose name is not the module's
    "elftools": "pyelftools",
    "serial": "pyserial",
    "sklearn": "scikit-learn",
    "tensorflow_model_optimization": "tensorflow-model-optimization",
    "tflite_micro": "tflite-micro",
}


@functools.cache
def module_file(module: str) -> Path | None:
    """The file of one of our modules or packages; None when there is none of that name."""
    path = PACKAGES.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


@functools.cache
def imports(file: Path) -> frozenset[str]:
    """What a file imports, also inside functions: module names, and `module.name` for each name."""
    found: set[str] = set()
    for module, block, line, plain in IMPORT.findall(file.read_text(encoding="utf-8")):
        names = re.sub("#.*", "", block or line or plain).split(",")
        named = {name.split()[0] for name in names if name.strip()}
        found |= {module, *(f"{module}.{name}" for name in named)} if module else named
    return frozenset(found)


@functools.cache
def closure(module: str) -> frozenset[str]:
    """`module` and all of ours that it reaches by imports, with the packages they lie in."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = None if name in found else module_file(name)
        if file is None:
            continue
        found.add(name)
        parts = name.split(".")
        waiting += [".".join(parts[:i]) for i in range(1, len(parts))]
        waiting += RUNS.get(name, ())
        waiting += [other for other in imports(file) if other.split(".")[0] in OURS]
    return frozenset(found)


def code_files(module: str) -> dict[str, Path]:
    """Every file of ours that `module` runs, reads or compiles, by its name in the project."""
    modules = closure(module)
    files = [file for name in modules if (file := module_file(name))]
    for name in modules & set(DATA):
        for pattern in DATA[name]:
            base = PACKAGES if pattern.split("/")[0] in OURS else ROOT
            files += [path for path in sorted(base.glob(pattern)) if path.is_file()]
    return {_name(file): file for file in files}


def _name(file: Path) -> str:
    base = PACKAGES if file.is_relative_to(PACKAGES) else ROOT
    return file.relative_to(base).as_posix()


def versions(module: str) -> dict[str, str]:
    """Python's version and those of the packages that `module` and all it reaches import."""
    roots = {
        name.split(".")[0]
        for inner in closure(module)
        if (file := module_file(inner))
        for name in imports(file)
    }
    found = {"version of Python": ".".join(map(str, sys.version_info[:3]))}
    for root in sorted(roots - {*OURS, *BACKPORTS} - sys.stdlib_module_names):
        try:
            found[f"version of {root}"] = version(DISTRIBUTIONS.get(root, root))
        except PackageNotFoundError:
            found[f"version of {root}"] = "not installed"
    return found
