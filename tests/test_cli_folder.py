"""A project's own modules are not taken for Python's, and run only where the user has said so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools.cli import check_folder
from host_tools.errors import UsageError
from model.paths import ROOT

NAMES = ("multiprocessing", "signal", "contextlib", "json", "numpy", "sqlite3", "esptool")


def tinyproof(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The console script, whose folder alone is before the packages in sys.path."""
    store = f"sqlite:///{folder.parent / 'experiments.db'}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": store}
    environment.pop("PYTHONSAFEPATH", None)
    return subprocess.run(
        [sys.executable, str(ROOT / "tests" / "tinyproof.py"), *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.skipif(sys.version_info < (3, 11), reason="is refused there; see below")
@pytest.mark.slow
def test_modules_of_the_project_do_not_run(tmp_path: Path) -> None:
    made = tinyproof(tmp_path, "new", "mine")
    assert made.returncode == 0, made.stderr
    project = tmp_path / "mine"
    for name in NAMES:
        (project / f"{name}.py").write_text(f"open({str(tmp_path / name)!r}, 'w')\n")
    recipe = project / "mine.toml"
    text = recipe.read_text().replace("[train]", "[train]\nsteps = 20\nmin_balanced_accuracy = 0.0")
    recipe.write_text(text + "\n[quantisation]\nqat_steps = 0\nmax_drop = 1.0\n")
    for words in (
        ("check",),
        ("quantise", "--tracking", "on"),
        ("train", "--cv", "2", "--repeats", "1"),
        ("build", "--board", "native"),
    ):
        done = tinyproof(project, *words)
        assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
    assert [name for name in NAMES if (tmp_path / name).exists()] == []


def test_an_older_python_refuses_a_folder_with_such_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "network.py").touch()
    (tmp_path / "data").mkdir()
    check_folder((3, 10))
    for name in ("signal", "numpy"):
        (tmp_path / f"{name}.py").touch()
        with pytest.raises(UsageError, match=rf"{name}\.py: Python 3\.10 would load it"):
            check_folder((3, 10))
        check_folder((3, 11))
        (tmp_path / f"{name}.py").unlink()
