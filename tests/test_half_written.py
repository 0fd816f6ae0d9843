"""Results of an imported model when a run is killed, fails half-way or meets another one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools.cli import main
from host_tools.stages import session
from quantize.stages import emit as emit_stage
from tests.test_cli import ROOT, model


class _Killed(BaseException):
    pass


def test_killed_between_any_two_writes_of_emit_the_next_run_repairs_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "m.tflite").write_bytes(model(1))
    assert main(["import", "m.tflite", "--cases", "3"]) == 0
    (folder,) = (project / "build/models").iterdir()
    whole = {p: p.read_bytes() for p in folder.rglob("gen/*/*")}
    original, writes = Path.replace, [0]

    def replace(self: Path, target: Path) -> Path:
        if writes[0] == 0:
            raise _Killed
        writes[0] -= 1
        return original(self, target)

    killed = 0
    for count in range(100):
        (folder / "gen/ref/manifest.json").write_text("{}")  # so that it is done again
        monkeypatch.setattr(Path, "replace", replace)
        writes[0] = count
        try:
            assert main(["emit", folder.name]) == 0
        except _Killed:
            killed += 1
        else:
            break
        finally:
            monkeypatch.setattr(Path, "replace", original)
        assert main(["emit", folder.name]) == 0
        assert {p: p.read_bytes() for p in folder.rglob("gen/*/*")} == whole
    assert killed > 20
    assert session.plan(emit_and_before(folder)) == []


def emit_and_before(folder: Path) -> list[object]:
    """The stages of an imported model."""
    from host_tools.project import Import, open_source

    return open_source(folder.name, None, Import()).stages()  # type: ignore[return-value]


def test_a_missing_set_of_kernels_is_made_again(project: Path) -> None:
    (project / "m.tflite").write_bytes(model(1))
    assert main(["import", "m.tflite", "--cases", "3"]) == 0
    (folder,) = (project / "build/models").iterdir()
    whole = (folder / "gen/xtensa/model.c").read_bytes()
    shutil.rmtree(folder / "gen/xtensa")
    assert main(["emit", folder.name]) == 0
    assert (folder / "gen/xtensa/model.c").read_bytes() == whole
    (folder / "gen/stale").mkdir()
    (folder / "gen/stale/model.c").write_text("old")
    (folder / "gen/ref/model.c").write_text("changed")
    assert main(["emit", folder.name]) == 0
    assert not (folder / "gen/stale").exists()


def test_two_at_once_both_succeed(project: Path) -> None:
    (project / "m.tflite").write_bytes(model(1))
    command = [sys.executable, "-m", "tests.tinyproof", "parity", "m.tflite", "--board", "native"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TINYPROOF_TRACKING": "off"}
    both = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert all("100 of 100 cases equal" in out for out, _ in told)
    assert sum("waiting for it" in error for _, error in told) == 1


def test_emit_is_whole_or_as_before(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails in the middle of a set leaves the old sets, which then are noticed as stale."""
    (project / "m.tflite").write_bytes(model(1))
    assert main(["import", "m.tflite", "--cases", "3"]) == 0
    (folder,) = (project / "build/models").iterdir()
    whole = {p: p.read_bytes() for p in folder.rglob("gen/*/*")}

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(emit_stage, "compile_sets", fail)
    assert main(["emit", folder.name, "--constants-bytes", "100000"]) == 2
    assert {p: p.read_bytes() for p in folder.rglob("gen/*/*")} == whole
