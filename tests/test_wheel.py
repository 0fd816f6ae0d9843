"""The wheel, installed into a new environment, in a project elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from tests.factory import GENERATORS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with nothing of the checkout; the packages that we need are lent to it."""
    folder = tmp_path_factory.mktemp("wheel")
    # What setup.sh would leave in the checkout has no place in a wheel.
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder)]
    subprocess.run([*build, str(source)], check=True, capture_output=True)
    shutil.rmtree(source)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    pip = [str(folder / "env/bin/python"), "-m", "pip", "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--quiet", str(wheel)], check=True)
    return folder / "env"


def tinyproof(env: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed command. A PYTHONPATH's .pth files are not read, so the checkout is out."""
    own = {
        "PYTHONPATH": sysconfig.get_paths()["purelib"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "TINYPROOF_TRACKING": "off",
        "TINYPROOF_CACHE": str(env.parent / "cache"),
        "HOME": str(env.parent),
    }
    command = [str(env / "bin" / "tinyproof"), *arguments]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | own, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


def files(env: Path) -> dict[str, tuple[int, int]]:
    """Every file of the installation, with size and date."""
    (packages,) = env.glob("lib/python*/site-packages")
    found = (path for path in packages.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


@pytest.mark.slow
def test_a_model_is_proved_from_an_installed_wheel(installed: Path, tmp_path: Path) -> None:
    before = files(installed)
    where = tinyproof(installed, tmp_path, "new", "mine")
    assert where.returncode == 0, where.stderr
    project = tmp_path / "mine"
    (project / "hello.tflite").write_bytes(GENERATORS["CONV_2D"](np.random.default_rng(1)))
    done = tinyproof(installed, project, "import", "hello.tflite", "--cases", "8")
    assert done.returncode == 0, done.stderr
    for board in ("native", "qemu_m4"):
        done = tinyproof(installed, project, "parity", "hello.tflite", "--board", board)
        assert done.returncode == 0 and "8 of 8 cases equal" in done.stdout, done.stderr
        (path,) = project.glob(f"build/models/hello-*/{board}/parity.json")
        assert json.loads(path.read_text())["equal"] == 8
    done = tinyproof(installed, project, "check", "mine")
    assert done.returncode == 0, done.stderr
    assert files(installed) == before


@pytest.mark.slow
def test_a_search_runs_from_an_installed_wheel(installed: Path, tmp_path: Path) -> None:
    before = files(installed)
    assert tinyproof(installed, tmp_path, "new", "mine").returncode == 0
    recipe = tmp_path / "mine" / "mine.toml"
    with recipe.open("a") as file:  # QAT's bound on a network of few steps is another matter
        file.write("\n[quantisation]\nqat_steps = 0\n")
    arguments = ["--budget", "instructions=200%", "--trials", "2", "--steps", "150"]
    done = tinyproof(installed, tmp_path / "mine", "search", *arguments)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "mine").glob("build/recipes/mine/search/*")
    stored = json.loads((folder / "search.json").read_text())
    assert stored["best"]["folds"] > 0.3 and (folder / "best.toml").is_file()
    assert "best so far: trial 0" in done.stdout
    assert files(installed) == before


def test_what_belongs_to_a_checkout_says_so(installed: Path, tmp_path: Path) -> None:
    for arguments in (["readme", "--lists"], ["bench-all", "--record", "--models-dir", "."]):
        done = tinyproof(installed, tmp_path, *arguments)
        assert done.returncode == 2 and "in a checkout of tinyproof" in done.stderr


def test_the_doctor_of_an_installation(installed: Path, tmp_path: Path) -> None:
    done = tinyproof(installed, tmp_path, "doctor")
    assert "gcc-arm-none-eabi" in done.stdout and ".venv" not in done.stdout
