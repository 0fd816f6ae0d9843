"""The console command and make in front of it, on models of a user's own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from host_tools import cli
from host_tools.cli import main
from host_tools.wording import as_typed
from model import recording
from model.recipe_file import load_recipe
from quantize.golden import load_golden
from tests.factory import GENERATORS, ModelBuilder
from tests.sweeps import sweep

ROOT = Path(__file__).parents[1]
NAMES = (
    "f`{touch,PWN}`.tflite", "b';{touch,PWN};'.tflite", "e$(shell {touch,PWN}).tflite",
    "a b.tflite", "-x.tflite", 'q"&;:%().tflite', "模型一.tflite", "模型二.tflite",
    "e\u0301.tflite", "\u00e9.tflite", "🙂.tflite", "n" * 190 + ".tflite",
)  # fmt: skip


def model(seed: int) -> bytes:
    """A small model."""
    return GENERATORS["FULLY_CONNECTED"](np.random.default_rng(seed))


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """make in the repository."""
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=cwd, capture_output=True, text=True,
        check=False, timeout=300, env=os.environ | {"TINYPROOF_TRACKING": "off"},
    )  # fmt: skip


def verdicts(folder: Path) -> dict[str, str]:
    """Folder of results -> the hash that its verdict is about."""
    found = folder.glob("build/models/*/native/parity.json")
    return {p.parts[-3]: json.loads(p.read_text())["model_sha256"] for p in found}


def test_two_models_of_one_name_are_two_proofs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, seed in (("a", 1), ("b", 2)):
        (project / folder).mkdir()
        (project / folder / "model.tflite").write_bytes(model(seed))
    os.utime(project / "b" / "model.tflite", (1, 1))  # as cp -p, unzip and rsync leave it
    told = []
    for folder in ("a", "b", "a"):
        assert main(["parity", f"{folder}/model.tflite", "--board", "native", "--cases", "5"]) == 0
        told.append(capsys.readouterr().out)
    assert len(verdicts(project)) == 2
    for name, digest in verdicts(project).items():
        assert name == f"model-{digest[:8]}"
        assert any(f"model {digest[:16]}" in text for text in told)
    first, second, again = (re.search(r"model (\w{16}), ", text)[1] for text in told)  # type: ignore[index]
    assert first == again != second


def test_a_model_does_not_meet_a_recipe_of_its_name(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "digits.tflite").write_bytes(model(1))
    assert main(["import", "digits.tflite", "--cases", "5"]) == 0
    assert not (project / "build/recipes").exists()
    assert main(["check", "digits"]) == 0
    assert (project / "build/recipes/digits/dataset.json").exists()
    capsys.readouterr()
    (imported,) = (project / "build/models").iterdir()
    assert main(["build", imported.name, "--board", "native", "--dry-run"]) == 0
    assert capsys.readouterr().out == "build-native: would run\n"


@pytest.mark.parametrize("name", sweep(NAMES, [*NAMES[:1], *NAMES[5:7]]))
def test_any_file_name_works(name: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / name).write_bytes(model(3))
    assert main(["parity", "--model", name, "--board", "native", "--cases", "3"]) == 0
    assert "3 of 3 cases equal" in capsys.readouterr().out
    done = make("emit", f"MODEL={project / name}", "CASES=3", f"PROJECT={project}", "WHY=1")
    assert (done.returncode, done.stdout) == (0, "everything is up to date\n"), done.stderr
    assert not (ROOT / "PWN").exists() and not (project / "PWN").exists()


HOSTILE = "1;{touch,PWN};'\"`touch PWN`$(shell touch PWN)"


VARIABLES = (
    "CASES", "RUN", "LABEL", "SHOW", "MODELS_DIR", "BUDGET", "PORT", "EMULATOR", "CHANGE",
    "CONSTANTS_BYTES", "RAM", "KIND", "WHO", "run", "python", "given", "flags", "SHELL", "checked",
)  # fmt: skip


@pytest.mark.parametrize(
    "names", [VARIABLES, *(pytest.param((n,), marks=pytest.mark.slow) for n in VARIABLES[:9])]
)
def test_no_value_reaches_a_shell(names: tuple[str, ...], tmp_path: Path) -> None:
    values = [f"{name}={HOSTILE}" for name in names]
    target = {"RUN": "reproduce", "LABEL": "record", "SHOW": "runs", "BUDGET": "search"}
    target |= {"MODELS_DIR": "bench-all", "CHANGE": "drift"}
    done = make(target.get(names[-1], "parity"), *values, f"PROJECT={tmp_path}", "RECIPE=none")
    assert done.returncode == 2 and not (ROOT / "PWN").exists(), done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["parity", "BORD=esp32"], "BORD=: no such variable (did you mean BOARD?)"),
        (
            ["parity", "LABEL=x"],
            "LABEL=: make parity does not use it; it knows ARENA, ARRAY, BOARD",
        ),
        (["parity", "FLASH=5"], "FLASH=: no such variable"),
        (["check", "train", "CASES=3"], "CASES=: make check train does not use it"),
        (["test", "CASES=3"], "CASES=: make test does not use it; it knows no variables"),
        (["setup", "FOO=1"], "FOO=: make setup knows SKIP_SYSTEM and PYTHON"),
        (["quantise", "MODEL=net.keras"], "got none: int8 gives each layer the range"),
        (["parity", "CASES=x"], "CASES=: Invalid value for '--cases': 'x'"),
        (["drift", "RESET=perhaps"], "RESET=: Invalid value for '--reset': 'perhaps'"),
        (["build", "RECIPE=digits", "CASES=3"], "CASES=3: the cases of a recipe are its test"),
        (["clean", "BORD=x"], "make clean and make help take no variables; got BORD."),
        (["parity", "RECIPE=digts"], "'digts': no such recipe or model (did you mean 'digits'?)"),
    ],
)
def test_a_variable_that_nobody_knows_is_an_error(arguments: list[str], told: str) -> None:
    done = make(*arguments)
    assert done.returncode == 2 and told in done.stderr, done.stderr


def test_a_variable_of_the_environment_is_not_passed_over_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BOARD", "esp32")
    done = make("-n", "parity", "RECIPE=digits")
    assert "note: BOARD='esp32' of the environment is not used" in done.stderr


def test_a_plan_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "a.tflite").write_bytes(model(1))
    for arguments in (["import", "a.tflite", "--dry-run"], ["parity", "a.tflite", "--why"]):
        assert cli.main(arguments) == 0
        assert "emit" in capsys.readouterr().out
    assert sorted(p.name for p in project.iterdir()) == ["a.tflite"]


@pytest.mark.parametrize(("value", "on"), [("0", False), ("no", False), ("", False), ("1", True)])
def test_no_means_no(value: str, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYPROOF_RESET", value)
    command = cli.group.get_command(cli.click.Context(cli.group), "drift")
    assert command is not None
    context = command.make_context("drift", [], resilient_parsing=False)
    assert context.params["reset"] is on


def test_make_n_prints_what_would_run(tmp_path: Path) -> None:
    done = make("-n", "emit", "RECIPE=digits", f"PROJECT={tmp_path}")
    assert "check: would run" in done.stdout and done.returncode == 0
    assert not (tmp_path / "build").exists()
    assert "tinyproof flash: would run" in make("-n", "flash", "PORT=/dev/ttyNONE").stdout


def test_every_command_is_a_target_and_the_makefile_is_small() -> None:
    text = (ROOT / "Makefile").read_text()
    assert len(text.splitlines()) < 125
    listed = re.search(r"^override commands := ((?:.*\\\n)*.*)$", text, re.M)
    assert listed
    known = cli.group.list_commands(cli.click.Context(cli.group))
    assert sorted([*listed[1].replace("\\", "").split(), "bench-all"]) == known
    for name in known:
        assert re.search(rf"^{name}: .*## ", text, re.M), name


def test_what_a_command_is_for_is_told_without_loading_it() -> None:
    context = cli.click.Context(cli.group)
    for name in cli.group.list_commands(context):
        command = cli.group.get_command(context, name)
        assert command is not None
        assert cli.short_help(name) == command.short_help != ""
    script = "import sys; from host_tools.cli import main; main(['--help']); print(*sys.modules)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "\n  parity " in done.stdout
    assert not {"numpy", "rich", "host_tools.commands.parity"} & set(done.stdout.split())


# --- projects ---------------------------------------------------------------------------------


def test_a_new_project_runs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "my-gestures"]) == 0
    folder = project / "my-gestures"
    assert {p.name for p in folder.iterdir()} == {
        "my-gestures.toml", "my-gestures.lock", "data", "README.md", ".gitignore",
    }  # fmt: skip
    assert len((folder / "README.md").read_text().splitlines()) <= 10
    for arguments in (
        ["check", "--project", str(folder)],
        ["check", "my-gestures", "--project", str(folder)],
        ["check", str(folder / "my-gestures.toml")],
    ):
        assert main(arguments) == 0
    assert (folder / "build/recipes/my-gestures/dataset.json").exists()
    assert not (project / "build").exists()
    assert main(["new", "my-gestures"]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../x y", "a/-b", "x" * 80, "ü"])
def test_a_name_that_no_recipe_can_have_is_refused(
    name: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", name]) == 2
    assert "expected up to 64 letters" in capsys.readouterr().err
    assert list(project.iterdir()) == []


def test_an_example_is_a_recipe_of_ones_own(project: Path) -> None:
    assert main(["new", "mine", "--example", "digits"]) == 0
    own = load_recipe(str(project / "mine" / "mine.toml"))
    assert own.name == "mine" and own.network == load_recipe("digits").network


def test_a_folder_of_several_recipes_asks_which(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 2
    assert "`make new NAME=<name>` makes a project" in capsys.readouterr().err
    for name in ("one", "two"):
        shutil.copy(ROOT / "model/recipes/digits.toml", project / f"{name}.toml")
    assert main(["check"]) == 2
    assert "which recipe or model? Give one of: one, two" in capsys.readouterr().err
    assert main(["check", "one", "--dry-run"]) == 0


# --- what an attack found ---------------------------------------------------------------------


def inputs_file(path: Path, values: object) -> str:
    """An .npz for the small model."""
    np.savez(path, x=np.asarray(values))
    return str(path)


@pytest.fixture
def small(project: Path) -> Path:
    """A project with a small model; its input is [1, 4]."""
    b = ModelBuilder()
    x, y = (b.tensor([1, 4], scale=[0.1], zero_point=[0]) for _ in range(2))
    b.operator("RELU", [x], [y])
    (project / "a.tflite").write_bytes(b.pack([x], [y]))
    return project


def test_what_is_refused_is_not_remembered(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = inputs_file(small / "good.npz", np.arange(12, dtype=np.int8).reshape(3, 1, 4))
    wrong = inputs_file(small / "wrong.npz", np.zeros((3, 1, 5), np.int8))
    assert cli.main(["emit", "a.tflite", "--inputs", good]) == 0
    for option, path in (("--inputs", wrong), ("--float", "a.tflite")):
        assert cli.main(["emit", "a.tflite", option, path]) == 2
    assert cli.main(["emit", "a.tflite"]) == 0
    folder = next((small / "build" / "models").iterdir())
    assert len(load_golden(folder / "golden.npz")) == 3
    assert len(list(folder.glob("inputs-*"))) == 1 and not list(folder.glob("float_model-*"))


def test_a_library_is_written_and_proven(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["library", "a.tflite", "--dry-run"]) == 0 and not list(small.glob("lib*"))
    assert main(["library", "a.tflite", "--out-dir", "lib"]) == 0
    told = capsys.readouterr().out
    (archive,) = (small / "lib").glob("tp_a_*.zip")
    name = archive.stem
    assert f"include  {name}.h" in told and f"({archive.stat().st_size:,} bytes)" in told
    assert (small / "lib" / name / "src" / f"{name}.h").is_file()
    assert (
        main(["parity", "a.tflite", "--board", "native", "--cases", "3", "--via", "library"]) == 0
    )
    told = capsys.readouterr().out
    assert "3 of 3" in told
    assert f"a program around {name}.h alone, kernels ref, native on native" in told


@pytest.mark.parametrize("text", ["", "{", '{"cases": -5}'])
def test_a_damaged_import_is_told(
    text: str, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it the user's inputs would be left out in silence."""
    good = inputs_file(small / "good.npz", np.zeros((3, 1, 4), np.int8))
    assert cli.main(["emit", "a.tflite", "--inputs", good]) == 0
    folder = next((small / "build" / "models").iterdir())
    (folder / "import.json").write_text(text)
    assert cli.main(["emit", folder.name]) == 2
    assert "import it again" in capsys.readouterr().err
    assert cli.main(["import", "a.tflite", "--inputs", good]) == 0


def test_values_that_are_no_numbers_are_refused(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in (np.nan, np.inf):
        path = inputs_file(small / "bad.npz", np.full((2, 1, 4), value, np.float32))
        assert cli.main(["emit", "a.tflite", "--inputs", path]) == 2
        assert "8 values are NaN or infinite" in capsys.readouterr().err


def test_cases_count_once_unless_importing(small: Path) -> None:
    assert cli.main(["emit", "a.tflite", "--cases", "5"]) == 0
    folder = next((small / "build" / "models").iterdir())
    assert len(load_golden(folder / "golden.npz")) == 5
    assert cli.main(["emit", "a.tflite"]) == 0
    assert len(load_golden(folder / "golden.npz")) == 100


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["parity", "a.tflite", "--port", ""], "expected a value, got an empty text"),
        (
            ["parity", "a.tflite", "--board", "qemu-m4"],
            "no board 'qemu-m4' (did you mean 'qemu_m4'?)",
        ),
        (["parity", "b"], "'b': no such recipe or model"),
        (["parity", "a.txt"], "it is a file; a model's ends in .tflite"),
        (["parity", "pipe.tflite"], "a pipe or a device, expected a file"),
        (["inspect", "pipe.tflite"], "a pipe or a device, expected a file"),
    ],
)
def test_values_that_mean_nothing(
    arguments: list[str], told: str, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(small / "pipe.tflite")
    (small / "a.txt").write_text("x")
    assert cli.main(arguments) == 2
    assert told in capsys.readouterr().err
    assert not (small / "build").exists()


def test_the_holder_of_a_lock_is_written_through_no_link(small: Path) -> None:
    assert cli.main(["emit", "a.tflite"]) == 0
    folder = next((small / "build" / "models").iterdir())
    (small / "precious").write_text("precious")
    (folder / ".lock.holder").unlink()
    (folder / ".lock.holder").symlink_to(small / "precious")
    assert cli.main(["emit", "a.tflite"]) == 0
    assert (small / "precious").read_text() == "precious"


def test_a_result_of_other_cases_does_not_count(small: Path) -> None:
    good = inputs_file(small / "good.npz", np.zeros((3, 1, 4), np.int8))
    assert cli.main(["parity", "a.tflite", "--board", "native", "--cases", "5"]) == 0
    assert cli.main(["emit", "a.tflite", "--inputs", good]) == 0
    assert cli.main(["report", next((small / "build" / "models").iterdir()).name]) == 0
    text = next(small.glob("build/models/*/report.json")).read_text()
    assert json.loads(text)["boards"]["native"]["state"] == "stale"


def test_advice_is_what_the_user_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "run `make parity MODEL=<file> BOARD=esp32 TAP=1`, or make setup"
    assert as_typed(said) == said
    monkeypatch.delenv("TINYPROOF_GOALS")
    assert as_typed(said) == ("run `tinyproof parity <file> --board esp32 --tap`, or make setup")


@pytest.mark.parametrize(
    ("said", "by_make", "by_command"),
    [
        ("give INPUTS=x.npz", "give INPUTS=x.npz", "give --inputs x.npz"),
        ("real samples (INPUTS=)", "real samples (INPUTS=)", "real samples (--inputs)"),
        ("INPUTS=: no", "INPUTS=: no", "--inputs: no"),
        ("FLOAT=../a b.h5: no", "FLOAT=../a b.h5: no", "--float ../a b.h5: no"),
        ("--data /a b (DATA=): no", "DATA=/a b: no", "--data /a b: no"),
        ("RAM=1 or RANDOM=1", "RAM=1 or RANDOM=1", "--ram 1 or --random"),
        ("make quantise MODEL='a b' INPUTS=X", "make quantise MODEL='a b' INPUTS=X",
         "tinyproof quantise 'a b' --inputs X"),
        ("TMPDIR=/tmp and /CASES=3/", "TMPDIR=/tmp and /CASES=3/", "TMPDIR=/tmp and /CASES=3/"),
    ],
)  # fmt: skip
def test_a_variable_is_an_option_to_who_gives_options(
    said: str, by_make: str, by_command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_module("host_tools.commands.quantise")
    assert as_typed(said) == by_make
    monkeypatch.delenv("TINYPROOF_GOALS")
    assert as_typed(said) == by_command


def test_no_option_is_named_to_who_gives_variables(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same refusal in both wordings."""
    (small / "a.keras").write_bytes(b"")
    for goals, told, other in (("quantise", "INPUTS=X.npz", "--inputs"), ("", "--inputs X", "INP")):
        monkeypatch.setenv("TINYPROOF_GOALS", goals)
        assert cli.main(["quantise", "a.keras"]) == 2
        said = capsys.readouterr().err
        assert told in said and other not in said, said


def test_tracking_is_an_option(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TINYPROOF_TRACKING", "on")
    assert cli.main(["runs", "--tracking", "off"]) == 0
    assert "recording is off" in capsys.readouterr().out
    assert recording.is_off()
