"""Stages: what is done again, what is said of it, and what a killed or damaged run leaves."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

from host_tools.boards.board import load_board
from host_tools.stages import code, digests, engine
from host_tools.stages.engine import NEVER_RUN, Stage, differences, plan, run, update
from host_tools.stages.graph import FIELDS, Source, build_stage, demo_stages, model_name
from host_tools.stages.lock import locked
from model.errors import ConfigError
from model.fields import Undeclared, field_values, restrict
from model.paths import our_process
from model.recipe_file import load_recipe, recipe_names

ROOT = Path(__file__).parents[1]


def double(out_dir: Path, source: str, target: str) -> None:
    """What the stages of these tests do."""
    text = (out_dir / source).read_text()
    (out_dir / target).write_text(text + text)


def stage(folder: Path, name: str, source: str, target: str, **facts: str) -> Stage:
    """A stage that writes `target` from `source`."""
    return Stage(
        name=name,
        folder=folder,
        entry="tests.test_stages:double",
        arguments={"out_dir": folder, "source": source, "target": target},
        reads=(source,),
        facts=facts,
        writes=(target,),
    )


@pytest.fixture
def chain(tmp_path: Path) -> list[Stage]:
    """a -> b -> c."""
    (tmp_path / "a").write_text("x")
    return [stage(tmp_path, "first", "a", "b"), stage(tmp_path, "second", "b", "c", mode="1")]


def ran(stages: list[Stage], force: str = "") -> list[str]:
    """The names of those that an update runs."""
    names: list[str] = []
    update(stages, lambda s, reasons: names.append(s.name), force)
    return names


def test_nothing_is_done_twice_and_dates_do_not_count(chain: list[Stage], tmp_path: Path) -> None:
    assert ran(chain) == ["first", "second"]
    assert (tmp_path / "c").read_text() == "xxxx"
    for name in ("a", "b", "c"):
        os.utime(tmp_path / name, (1, 1))
    assert ran(chain) == []
    (tmp_path / "a").write_text("y")
    os.utime(tmp_path / "a", (0, 0))  # older than all that was made of it
    assert ran(chain) == ["first", "second"]
    assert ran(chain, force="second") == ["second"]


def outside(folder: Path, *files: Path) -> Stage:
    """A stage that writes `b` from `a`, and reads files from elsewhere."""
    one = stage(folder, "first", "a", "b")
    return dataclasses.replace(
        one, outside={"data one": files[0], f"data ({len(files)} files)": tuple(files)}
    )


def test_known_files_are_not_read_again_and_no_change_of_them_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    whole = digests.digest

    def counted(path: Path) -> str:
        read.append(path.name)
        return whole(path)

    monkeypatch.setattr(digests, "digest", counted)
    (tmp_path / "a").write_text("x")
    files = [tmp_path / f"{i}.wav" for i in range(3)]
    for path in files:
        path.write_text("same length")
    one = outside(tmp_path, *files)
    assert ran([one]) == ["first"]
    read.clear()
    assert differences(one) == []
    assert set(read) == {"0.wav", "1.wav", "2.wav"}, "just written: not yet known"
    now = time.time() + 10
    monkeypatch.setattr(time, "time", lambda: now)
    assert differences(one) == []
    read.clear()
    digests.digests_of.cache_clear()  # another process
    assert differences(one) == []
    assert read == []
    kept = files[1].stat()
    files[1].write_text("SAME LENGTH")
    os.utime(files[1], ns=(kept.st_atime_ns, kept.st_mtime_ns))  # as cp -p and tar do
    assert [told.split(":")[0] for told in differences(one)] == ["data (3 files)"]
    files[1].write_text("same length")
    assert differences(one) == []
    files[0].unlink()
    assert [told.split(":")[0] for told in differences(one)] == ["data (3 files)", "data one"]
    for damage in ("{", "[]", '{"x": [1]}', '{"x": [1, 2, 3, 4.5, "y"]}'):
        (tmp_path / engine.STAMPS / engine.DIGESTS).write_text(damage)
        digests.digests_of.cache_clear()
        assert len(differences(one)) == 2


@pytest.mark.parametrize(
    ("damage", "names", "told"),
    [
        (lambda f: (f / "b").unlink(), ["first"], "b: is missing"),
        (lambda f: (f / "b").write_text("xxx"), ["first"], "b: is not as the stage wrote it"),
        (lambda f: (f / "c").write_text(""), ["second"], "c: is not as the stage wrote it"),
        (lambda f: (f / ".stages/first.json").write_text("{"), ["first"], NEVER_RUN),
        (lambda f: (f / ".stages/second.json").write_text("[]"), ["second"], NEVER_RUN),
        (lambda f: (f / ".stages/second.json").unlink(), ["second"], NEVER_RUN),
        (lambda f: (f / "a").write_text("z"), ["first", "second"], "a: was 2d711642b726, is 594e"),
    ],
)
def test_what_is_damaged_is_noticed_and_made_again(
    chain: list[Stage], tmp_path: Path, damage: object, names: list[str], told: str
) -> None:
    ran(chain)
    damage(tmp_path)  # type: ignore[operator]
    reasons = [line for item in plan(chain) for line in item.reasons]
    assert any(told in line for line in reasons), reasons
    assert ran(chain) == names
    assert ran(chain) == []


def test_a_stage_is_done_again_only_for_what_it_has_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    one = stage(tmp_path, "one", "a", "b", steps="5")
    assert differences(one) == [NEVER_RUN]
    run(one)
    assert differences(one) == []
    assert differences(stage(tmp_path, "one", "a", "b", steps="6")) == ["steps: was 5, is 6"]
    assert differences(stage(tmp_path, "one", "a", "b")) == ["steps: was 5, is nothing"]


def test_a_stage_that_fails_has_no_stamp(chain: list[Stage], tmp_path: Path) -> None:
    ran(chain)
    (tmp_path / "a").unlink()
    with pytest.raises(FileNotFoundError):
        ran(chain)
    assert not chain[0].stamp.exists()
    (tmp_path / "a").write_text("x")
    assert ran(chain) == ["first"]  # its file comes out as it was, so the second has nothing to do


def test_a_plan_names_what_may_follow(chain: list[Stage], tmp_path: Path) -> None:
    ran(chain)
    (tmp_path / "a").write_text("y")
    first, second = plan(chain)
    assert (first.stage.name, second.stage.name, second.after) == ("first", "second", ("first",))
    assert second.reasons == ()
    assert (tmp_path / "c").read_text() != "yyyy"


def test_code_is_what_a_module_reaches() -> None:
    reached = set(code.code_files("quantize.stages.quantise"))
    assert {"quantize/compress.py", "quantize/qat.py", "model/train.py"} <= reached
    assert "firmware/features/fe.h" in reached
    for name in ("host_tools/report/plots.py", "quantize/templates/model.c.jinja"):
        assert name not in reached
    assert "host_tools/report/plots.py" in code.code_files("host_tools.report.write")
    assert "host_tools/report/plots.py" not in code.code_files("host_tools.parity.stage")
    assert "version of tensorflow" in code.versions("model.stages.train")


def test_every_file_that_code_reads_belongs_to_a_module() -> None:
    """A template or C file beside the code that no pattern names would be changed unnoticed."""
    patterns = [pattern for group in code.DATA.values() for pattern in group]
    known = {path for pattern in patterns for path in ROOT.glob(pattern)}
    listed = subprocess.run(
        ["git", "ls-files", "-z", "model", "quantize", "host_tools"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    elsewhere = ("model/recipes/", "host_tools/templates/new/")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if not name.endswith((".py", ".sh", ".md")) and not name.startswith(elsewhere):
            assert ROOT / name in known, name


# --- recipes ----------------------------------------------------------------------------------


def test_an_undeclared_field_refuses_any_use() -> None:
    recipe = restrict(load_recipe("motion"), ("dataset", "features.window"))
    assert recipe.name == "motion" and recipe.features.window == 256
    field = recipe.quantisation
    for use in (
        bool,
        int,
        len,
        str,
        lambda v: v == 3,
        lambda v: v + 1,
        lambda v: v[0],
        lambda v: v.qat_steps,
    ):
        with pytest.raises(ConfigError, match=r"recipe.quantisation: .*not declared"):
            use(field)
    assert pickle.loads(pickle.dumps(field))._path == "quantisation"
    with pytest.raises(ConfigError, match=r"recipe\.features\.hop"):
        _ = recipe.features.hop + 1


def test_a_change_of_qat_does_not_train_again() -> None:
    recipe = load_recipe("motion")
    for name, fields in FIELDS.items():
        used = field_values(recipe, fields)
        assert ("recipe.quantisation.qat_steps" in used) == (name == "quantise")
        assert "recipe.dataset.sha256" in used
        assert ("recipe.checks.max_frozen_samples" in used) == (name == "check")
    assert "recipe.train.steps" not in field_values(recipe, FIELDS["check"])


@pytest.mark.parametrize("name", recipe_names())
def test_the_graph_of_every_recipe_is_closed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file that a stage reads is written by an earlier one."""
    monkeypatch.setenv("FSDD", str(tmp_path))
    recipe = load_recipe(name)
    source = Source(folder=tmp_path, name=name, recipe=recipe)
    stages = demo_stages(source, ["qemu_m4", "native"])
    check = next(stage for stage in stages if stage.name == "check")
    assert isinstance(check.arguments["recipe"].train, Undeclared)
    written: list[Stage] = []
    for item in stages:
        for pattern in item.reads:
            feeds = any(engine._overlap(w, pattern) for s in written for w in s.writes)
            assert feeds or item.name in ("report",) or pattern in OPTIONAL, (item.name, pattern)
        written.append(item)


OPTIONAL = {"anomaly.json", "float.npz", "labels.npz"}


def test_model_names_are_safe_parts_of_a_path() -> None:
    for name, expected in (
        ("a b.tflite", "a_b"), ("-x.tflite", "x"), ("..tflite", "model"), ("模型.tflite", "model"),
        ("f`{touch,X}`.tflite", "f_touch_X"), ("n" * 200 + ".tflite", "n" * 40),
        ("../m.tflite", "m"), ("$(x).tflite", "x"),
    ):  # fmt: skip
        assert model_name(Path(name)) == expected


def test_firmware_depends_on_compiler_board_and_sources(tmp_path: Path) -> None:
    item = build_stage(tmp_path, load_board("qemu_m4"))
    assert "arm-none-eabi-gcc" in item.facts["compiler"]
    assert {"boards/qemu_m4.json", "platformio.ini", "firmware/app/main.c"} <= set(item.outside)
    assert build_stage(tmp_path, load_board("qemu_m4-selftest")).reads == (
        "gen/armv7em/*",
        "gen/ref/*",
    )


# --- two at once, and killed ------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from host_tools.stages.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def test_a_second_user_of_a_folder_waits_and_says_for_whom(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "1.5"], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as other:  # fmt: skip
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        started = time.monotonic()
        with locked(tmp_path):
            assert time.monotonic() - started > 0.5
        told = capfd.readouterr().err
        assert f"in use by process {other.pid}, `-c" in told and "waiting" in told


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "60"], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as other:  # fmt: skip
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        other.kill()
        other.wait()
        with locked(tmp_path):
            pass


def test_a_stamp_says_what_was_read_and_written(chain: list[Stage], tmp_path: Path) -> None:
    ran(chain)
    content = json.loads((tmp_path / ".stages/second.json").read_text())
    assert set(content["files"]) == {"c"}
    assert content["facts"]["mode"] == "1"
    assert content["facts"]["b"] == engine.digest(tmp_path / "b")


def test_a_module_of_the_users_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("raise SystemExit('not ours')")
    done = subprocess.run(
        our_process("model.store", str(tmp_path / "none")), cwd=tmp_path, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert "no such folder" in done.stderr and "not ours" not in done.stderr
