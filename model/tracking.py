"""What the stages of an experiment call to have it recorded.

An experiment begins with a training, or with a model made elsewhere; what is quantised, compared
and counted in the same folder later belongs to it. build/<name>/experiment.json keeps its settings
and which files are recorded already. The record itself is MLflow's (model.store), written by a
process of its own with a bounded time: whatever happens to it, the stage and its files are done.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

from model import __version__
from model.files import write_json
from model.paths import ROOT

FILE = "experiment.json"
RESULTS = ("*.json", "*/*.json", "gen/*/manifest.json")
NO_RESULTS = {FILE, "report.json"}
KEPT = ("model.tflite", "report.html", "plots/*.svg")  # artifacts besides the results
# What a stage makes and a repetition makes again, byte for byte.
FINGERPRINTED = {
    "check": ("features.npz",),
    "train": ("float.weights.h5",),
    "quantise": ("model.tflite", "golden.npz"),
    "profile": ("profile.json",),
    "emit": ("gen/*/*.c", "gen/*/*.h", "gen/*/*.cc"),
}
SWITCH = "TRACKING"  # environment variable; 'off': nothing is recorded
LIMIT_S = 120.0  # for one recording
INPUTS = ("dataset.json", "features.npz", "cross_validation.json")  # older than the training
CLOCK_MS = 100  # a file's time may lie that much before the clock's
_TOOLS = ("tensorflow", "tf_keras", "tensorflow-model-optimization", "tflite-micro", "numpy")


def begin(name: str, settings: Mapping[str, object]) -> dict[str, Any]:
    """What identifies an experiment that begins now; nothing is written yet."""
    return {
        "name": name,
        "settings": dict(settings),
        "started_ms": round(time.time() * 1000),
        "version": __version__,
        "code": code_version(),
        "tools": tool_versions(),
        "stale": {},
        "logged": {},
        "store": None,
        "run": None,
    }


def start(out_dir: Path, begun: dict[str, Any]) -> None:
    """Make `begun` the experiment of `out_dir`.

    Its files are those that were written since it began, and what the data check wrote before.
    """
    since_ns = (begun["started_ms"] - CLOCK_MS) * 1_000_000
    files = modified(out_dir).items()
    stale = {name: t for name, t in files if t < since_ns and name not in INPUTS}
    write_json(out_dir / FILE, begun | {"stale": stale})


def record(out_dir: Path) -> None:
    """Record what is new in `out_dir`; on failure say on standard error what to do, and return."""
    if os.environ.get(SWITCH) == "off":
        return
    command = [sys.executable, "-m", "model.store", str(out_dir)]
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        failed, told = done.returncode != 0, (done.stdout if done.returncode == 0 else done.stderr)
    except subprocess.TimeoutExpired:
        failed, told = True, f"the store did not answer in {LIMIT_S:.0f} s"
    except OSError as error:
        failed, told = True, str(error)
    if not failed:
        print(told.strip())
        return
    print(
        f"warning: {out_dir}: the experiment is not recorded: {_last_line(told)}\n"
        f"All files are in {out_dir}; `make report` records them when the store works again. "
        f"{SWITCH}=off records nothing.",
        file=sys.stderr,
    )


def modified(out_dir: Path) -> dict[str, int]:
    """Each file of an experiment in `out_dir` with its time of modification in nanoseconds."""
    patterns = [*RESULTS, *KEPT, *(p for own in FINGERPRINTED.values() for p in own)]
    found = sorted({path for pattern in patterns for path in out_dir.glob(pattern)})
    names = ((path.relative_to(out_dir).as_posix(), path) for path in found)
    return {name: path.stat().st_mtime_ns for name, path in names if name != FILE}


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path in an experiment's folder is one that a pattern names."""
    path = PurePosixPath(name)
    return any(len(path.parts) == p.count("/") + 1 and path.match(p) for p in patterns)


def fingerprints(out_dir: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of those of the files `names` that a repetition makes again."""
    return {
        name: hashlib.sha256((out_dir / name).read_bytes()).hexdigest()
        for name in names
        if any(matches(name, patterns) for patterns in FINGERPRINTED.values())
    }


def code_version() -> dict[str, Any]:
    """The commit, and whether a file of the repository differs from it; None without git."""
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != ROOT:
        return {"commit": None, "changed": None}
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "-uno")
    return {"commit": commit, "changed": bool(changes)}


def describe_code(code: Mapping[str, Any], release: str) -> str:
    """'1d8fd7324a1b', '1d8fd7324a1b + changes', or the release where there is no git."""
    if code["commit"] is None:
        return release
    return str(code["commit"][:12]) + (" + changes" if code["changed"] else "")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def tool_versions(*others: str) -> dict[str, str]:
    """Versions of what made a model, with `others`; 'absent' for what is not installed."""
    versions = {"python": platform.python_version()}
    for tool in (*_TOOLS, *others):
        try:
            versions[tool] = version(tool)
        except PackageNotFoundError:
            versions[tool] = "absent"
    return versions


def _last_line(text: str) -> str:
    lines = text.strip().splitlines() or ["no reason given"]
    return lines[-1].removeprefix("error: ")


def load(out_dir: Path) -> dict[str, Any]:
    """experiment.json of `out_dir`; of a folder without one, an experiment that begins now."""
    settings: dict[str, object] = {}
    try:
        content = json.loads((out_dir / FILE).read_text("utf-8"))
        if isinstance(content, dict) and set(content) == set(begin("", {})):
            return content
    except (OSError, ValueError):
        pass
    try:
        manifest = json.loads((out_dir / "gen/ref/manifest.json").read_text("utf-8"))
        settings = manifest.get("settings", {})
    except (OSError, ValueError, AttributeError):
        pass
    return begin(out_dir.name, settings)


if __name__ == "__main__":
    record(Path(sys.argv[1]))
