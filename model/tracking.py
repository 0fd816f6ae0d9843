"""What the stages of an experiment call to have it recorded.

An experiment begins with a training, or with a model made elsewhere; what is quantised, compared
and counted in the same folder later belongs to it (model.results). build/<name>/experiment.json
keeps its settings. The record itself is MLflow's (model.store), written by a process of its own
that no build waits for: whatever happens to it, the stage and its files are done.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from model import __version__
from model.errors import ModelSideError
from model.files import write_json
from model.paths import ROOT
from model.results import EXPERIMENT

SWITCH = "TINYPROOF_TRACKING"  # environment variable; a word of NO: nothing is recorded
NO = {"off", "0", "no", "false"}
LOG = "tracking.log"  # what the recordings of a folder have said
WAIT_S = 5.0  # for a recording; then it goes on without us
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


def record(out_dir: Path) -> None:
    """Have what is new in `out_dir` recorded; on failure say what to do, and return.

    Waits WAIT_S at most. A recording that takes longer goes on in the background.
    """
    if os.environ.get(SWITCH, "").strip().lower() in NO or _nothing_new(out_dir):
        return
    log = out_dir / LOG
    try:
        with log.open("ab") as file:
            said_before = file.tell()
            process = _start_store(out_dir, file.fileno())
        failed = process.wait(WAIT_S) != 0
    except subprocess.TimeoutExpired:
        print(f"still being recorded in the background, see {log}", file=sys.stderr)
        return
    except OSError as error:
        failed, said = True, str(error)
    else:
        said = log.read_bytes()[said_before:].decode("utf-8", "replace")
    if not failed:
        print(said.strip())
        return
    print(
        f"warning: {out_dir}: the experiment is not recorded: {_last_line(said)}\n"
        f"All files are in {out_dir}; `make report` records them when the store works again. "
        f"{SWITCH}=off records nothing.",
        file=sys.stderr,
    )


def _nothing_new(out_dir: Path) -> bool:
    from model import store  # which needs this module

    try:
        return not store.pending(out_dir)
    except (OSError, ModelSideError):
        return False  # the recording says what is wrong


def _start_store(out_dir: Path, output: int) -> subprocess.Popen[bytes]:
    """The process that records, which neither Ctrl+C nor the end of this one ends."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-m", "model.store", str(out_dir)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


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
    versions = {"python": platform.python_version(), "cpu": _cpu()}
    for tool in (*_TOOLS, *others):
        try:
            versions[tool] = version(tool)
        except PackageNotFoundError:
            versions[tool] = "absent"
    return versions


def _cpu() -> str:
    """What of the processor may decide a float's last bit (model.threads): 'x86_64, L1 cache 32K'.

    TensorFlow cuts long sums into parts that fit the first-level cache.
    """
    try:
        size = Path("/sys/devices/system/cpu/cpu0/cache/index0/size").read_text("ascii").strip()
    except OSError:
        size = "unknown"
    return f"{platform.machine()}, L1 cache {size}"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines() or ["no reason given"]
    return lines[-1].removeprefix("error: ")


def load(out_dir: Path) -> dict[str, Any]:
    """experiment.json of `out_dir`; of a folder without one, an experiment that begins now."""
    settings: dict[str, object] = {}
    try:
        content = json.loads((out_dir / EXPERIMENT).read_text("utf-8"))
        if isinstance(content, dict) and set(content) == KEYS:
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
