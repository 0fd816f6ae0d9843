"""What the stages of an experiment call to have it recorded.

An experiment begins with a training, or with a model made elsewhere; what is quantised, compared
and counted in the same folder later belongs to it (model.results). experiment.json
there keeps its settings. The record itself is MLflow's (model.store), written by a process of its
own that no build waits for: whatever happens to it, the stage and its files are done.
"""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from model import __version__
from model.files import write_json
from model.paths import ROOT
from model.results import EXPERIMENT

KEYS = {"name", "settings", "started_ms", "version", "code", "tools"}  # of an experiment
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
    }


def start(out_dir: Path, begun: dict[str, Any]) -> None:
    """Make `begun` the experiment of `out_dir`."""
    write_json(out_dir / EXPERIMENT, begun)


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
    versions = {"python": platform.python_version(), "cpu": processor()}
    for tool in (*_TOOLS, *others):
        try:
            versions[tool] = version(tool)
        except PackageNotFoundError:
            versions[tool] = "absent"
    return versions


def processor() -> str:
    """What of the processor may decide a float's last bit (model.threads): 'x86_64, L1 cache 32K'.

    TensorFlow cuts long sums into parts that fit the first-level cache.
    """
    try:
        size = Path("/sys/devices/system/cpu/cpu0/cache/index0/size").read_text("ascii").strip()
    except OSError:
        size = "unknown"
    return f"{platform.machine()}, L1 cache {size}"


def load(out_dir: Path) -> dict[str, Any]:
    """experiment.json of `out_dir`; of a folder without one, an experiment that begins now."""
    try:
        content = json.loads((out_dir / EXPERIMENT).read_text("utf-8"))
        if isinstance(content, dict) and set(content) == KEYS:
            return content
    except (OSError, ValueError):
        pass
    return begin(out_dir.name, generated_settings(out_dir))


def generated_settings(out_dir: Path) -> dict[str, Any]:
    """The settings that the generated code in `out_dir` is of; empty without any."""
    try:
        manifest = json.loads((out_dir / "gen/ref/manifest.json").read_text("utf-8"))
        return dict(manifest.get("settings", {}))
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
