"""The workflow that a user gets: checked by actionlint and zizmor, with no room for a name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from host_tools.cli import main
from host_tools.errors import UsageError
from host_tools.gate.baseline import Baseline, Group, write_baseline
from host_tools.gate.workflow import ACTIONS, WORKFLOW, workflow_text
from tests.factory import GENERATORS

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def workflow(**changes: Any) -> str:
    """The text for a recipe, but for `changes`."""
    values: dict[str, Any] = {
        "source": "my-gestures", "baseline": Path("my-gestures.baseline.json"),
        "boards": ["native", "qemu_m4"], "recipe": True, "drift_board": "qemu_m4",
    }  # fmt: skip
    return workflow_text(**values | changes)


def checked(folder: Path) -> list[str]:
    """What actionlint and zizmor say of the workflows of a folder; nothing is fetched."""
    found = []
    for command in (
        ["actionlint", "-no-color", *map(str, (folder / ".github/workflows").glob("*.yml"))],
        ["zizmor", "--offline", "--no-progress", "--quiet", "--persona", "pedantic",
         str(folder / ".github/workflows")],
    ):  # fmt: skip
        done = subprocess.run(
            [BIN / command[0], *command[1:]], capture_output=True, text=True, check=False,
            timeout=60, cwd=folder, env={"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(folder)},
        )  # fmt: skip
        found += [done.stdout + done.stderr] if done.returncode else []
    return found


def write(folder: Path, text: str) -> None:
    """`text` as the workflow of a folder that is a repository."""
    (folder / WORKFLOW).parent.mkdir(parents=True, exist_ok=True)
    (folder / WORKFLOW).write_text(text)
    (folder / ".git").mkdir(exist_ok=True)


@pytest.mark.parametrize("changes", [
    {},
    {"boards": ["qemu_xtensa"], "drift_board": "qemu_xtensa", "install": "wheels/tinyproof-1.whl"},
    {"drift_board": None, "recipe": False, "source": "models/a net.tflite",
     "inputs": Path("own.npz"), "float_model": Path("f.keras"), "install": "git+https://example.org/t@0123"},
])  # fmt: skip
def test_both_checkers_find_nothing(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, workflow(**changes))
    assert checked(tmp_path) == []


def test_the_checkers_do_find_something(tmp_path: Path) -> None:
    write(tmp_path, workflow().replace("runs-on: ubuntu-24.04", "runs-on: ubuntu-1"))
    assert len(checked(tmp_path)) == 1
    hole = 'run: tinyproof report "${{ github.event.pull_request.title }}"'
    write(tmp_path, workflow().replace('run: tinyproof report "$SOURCE"', hole))
    assert len(checked(tmp_path)) == 2
    write(tmp_path, re.sub(r"checkout@\w+ # \S+", "checkout@v7", workflow()))
    assert len(checked(tmp_path)) == 1


def test_our_own_workflows_are_clean_and_pin_the_same(tmp_path: Path) -> None:
    texts = [path.read_text() for path in sorted((ROOT / ".github/workflows").glob("*.yml"))]
    for text in (*texts, workflow()):
        uses = re.findall(r"uses: (.+)", text)
        assert uses and set(uses) <= set(ACTIONS.values())
    assert all(
        re.fullmatch(r"\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line) for line in ACTIONS.values()
    )
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    (tmp_path / ".git").mkdir()
    for command in (["actionlint"], ["zizmor", "--offline", "-q", ".github/workflows"]):
        done = subprocess.run([BIN / command[0], *command[1:]], cwd=tmp_path, check=False,
                              capture_output=True, text=True, timeout=60)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_no_text_of_a_step_is_a_template() -> None:
    content = yaml.safe_load(workflow())
    assert content["permissions"] == {"contents": "read"}
    (job,) = content["jobs"].values()
    assert all("${{" not in step.get("run", "") for step in job["steps"])
    assert "permissions" not in job and "secrets" not in workflow()
    order = [step.get("name", "") for step in job["steps"]]
    assert order.index("Report") > order.index("Gates: accuracy, sizes, counts, parity, drift")
    assert content["env"]["TINYPROOF"].startswith("tinyproof==")


HOSTILE = ("${{ secrets.X }}.tflite", "a`id`.tflite", "$(id).tflite", 'a".tflite', "a\nb.tflite",
           "-x.tflite", "a'.tflite", "a;b.tflite", "\u202e.tflite", "n" * 300)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_something_reads_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="rename"):
        workflow(recipe=False, source=name)
    for more in ({"baseline": Path(name)}, {"inputs": Path(name)}, {"float_model": Path(name)}):
        with pytest.raises(UsageError):
            workflow(**more)


PLACES = ("x; touch pwned", "$(id)", "${{ github.token }}", "a\n      - run: id", "native (board)",
          "--help", "../native", "")  # fmt: skip


def test_places_of_a_baseline_are_no_text_of_a_step(project: Path) -> None:
    """Whoever writes to it, as in a pull request, does not write into the workflow."""
    (project / "net.tflite").write_bytes(GENERATORS["FULLY_CONNECTED"](np.random.default_rng(1)))
    place = Group(model_sha256="ab", board="native", where="here", figures={"drift_alarms": 0.0})
    groups = dict.fromkeys((*PLACES, "native-tflm"), place)
    write_baseline(Path("net.baseline.json"), Baseline(name="net", groups=groups))
    assert main(["ci", "net.tflite"]) == 0
    steps = yaml.safe_load((project / WORKFLOW).read_text())["jobs"]["gate"]["steps"]
    run = [step["run"] for step in steps if "--board" in step.get("run", "")]
    assert [line.rpartition("--board ")[2] for line in run[:2]] == ["qemu_m4", "native-tflm"]
    (project / ".git").mkdir()
    assert checked(project) == []
    for name in PLACES:
        for given in ({"boards": [name]}, {"drift_board": name} if name else {"boards": [name]}):
            with pytest.raises(UsageError, match="no board"):
                workflow(**given)


@pytest.mark.parametrize("install", ["${{ x }}", "-r x", "a\nb", "", 'a"b', "x" * 400])
def test_what_pip_cannot_install_is_refused(install: str) -> None:
    if install:
        with pytest.raises(UsageError, match="INSTALL"):
            workflow(install=install)


def test_files_of_other_folders_are_refused(project: Path) -> None:
    for path in ("/etc/passwd", "../x.npz"):
        with pytest.raises(UsageError, match="not in the project"):
            workflow(inputs=Path(path))


def test_the_command_writes_once_and_overwrites_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "nets").mkdir()
    (project / "nets/net.tflite").write_bytes(
        GENERATORS["FULLY_CONNECTED"](np.random.default_rng(1))
    )
    assert main(["ci", "nets/net.tflite"]) == 0
    assert "RECORD=1" in capsys.readouterr().out
    content = yaml.safe_load((project / WORKFLOW).read_text())
    assert content["env"]["SOURCE"] == "nets/net.tflite"
    assert content["env"]["BASELINE"] == "net.baseline.json"
    assert not (project / "build").exists()  # nothing is imported for it
    assert main(["ci", "nets/net.tflite"]) == 0  # the same again
    figures = {"flash": 1.0, "drift_alarms": 0.0}
    place = Group(model_sha256="ab", board="native", where="this computer", figures=figures)
    write_baseline(Path("net.baseline.json"), Baseline(name="net", groups={"native": place}))
    before = (project / WORKFLOW).read_text()
    assert main(["ci", "nets/net.tflite"]) == 2  # another text: the baseline has another board
    assert "another file" in capsys.readouterr().err
    assert (project / WORKFLOW).read_text() == before
    (project / WORKFLOW).unlink()
    assert main(["ci", "nets/net.tflite"]) == 0
    assert "--board native" in (project / WORKFLOW).read_text()
    assert "tinyproof drift" in (project / WORKFLOW).read_text()
    assert main(["ci", "no.tflite"]) == 2
    assert main(["import", "nets/net.tflite"]) == 0
    assert main(["ci"]) == 2  # the only model is an imported copy
    assert "nobody commits" in capsys.readouterr().err
