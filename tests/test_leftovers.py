"""What a killed process and a full or read-only disk leave: nothing, and a message that helps."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from host_tools.cli import main
from host_tools.emulators import process
from host_tools.stages.engine import run_isolated
from model import files
from model.command import run_and_exit_code
from model.files import write_arrays, write_bytes
from model.paths import SCRATCH
from model.processes import LOCK, NEW, NEW_S, scratch_folder
from quantize import float_reference
from tests.factory import ModelBuilder

PATIENCE_S = 20.0
KILLED = """
import os, pathlib, sys
from model.processes import scratch_folder
from quantize import float_reference
code = "import os, time, pathlib; pathlib.Path(os.environ['TMPDIR'], 'pid').write_text(" \
    "str(os.getpid())); time.sleep(600)"
float_reference.our_process = lambda *_: [sys.executable, "-c", code]
with scratch_folder("quantise") as folder:
    float_reference.ask("float", "worker", (), folder)
"""
EMULATOR = """
import sys, time
from host_tools.emulators.process import start_on_pipes
code = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); " \
    "time.sleep(600)"
line = start_on_pipes("stuck", None, [sys.executable, "-c", code, sys.argv[1]])
time.sleep(600)
"""
# Says what an interrupt has found: of a terminal it is for each process of the group.
INTERRUPTED = """
import contextlib, sys
from host_tools.emulators.process import start_on_pipes
from model.command import run_and_exit_code
code = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); " \
    "sys.stdin.read()"
def command():
    started = start_on_pipes("x", None, [sys.executable, "-c", code, sys.argv[1]])
    with contextlib.closing(started) as line:
        while True:
            line.read(1.0)
sys.exit(run_and_exit_code(command))
"""
ISOLATED = """
import sys
from host_tools.stages.engine import run_isolated
if __name__ == "__main__":
    run_isolated("tests.test_leftovers:stay", {"path": sys.argv[1]})
"""
# A parent that ends at once, and what its child does afterwards; argv[1]: the parent's id.
ORPHANS = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, sys.argv[1], str(os.getpid())], stdin=subprocess.PIPE,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
os._exit(0)
"""
WAIT = """
import os, sys, time
from model import jobs
from model.processes import begin_child
parent = int(sys.argv[1])
while os.getppid() == parent:
    time.sleep(0.01)
jobs._receive = lambda _: time.sleep(600)
open("began", "w")
"""
LATE = {
    "pool": f"{WAIT}begin_child(parent)\nopen('went_on', 'w')\ntime.sleep(600)\n",
    "job": f"{WAIT}jobs._serve(parent)\n",
}


def stay(path: str) -> None:
    """A stage that takes long."""
    write_bytes(Path(path), str(os.getpid()).encode())
    time.sleep(600)


def found(condition: Any, what: str) -> Any:
    """What `condition` gives, as soon as it is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        time.sleep(0.02)
    return value


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be read does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of the test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is of Linux")
@pytest.mark.parametrize("code", [KILLED, ISOLATED, EMULATOR], ids=["worker", "stage", "emulator"])
def test_a_worker_ends_with_who_started_it(code: str, place: Path) -> None:
    """And what it had unpacked is removed by the next that starts."""
    script = place / "script.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    parent = subprocess.Popen([sys.executable, str(script), str(place / "pid")], env=environment)

    def told() -> int:
        written = [*place.glob("pid"), *place.glob(f"{SCRATCH}*/pid")]
        return int(written[0].read_text() or 0) if written else 0

    try:
        worker = found(told, "the worker")
        assert is_alive(worker)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    try:
        found(lambda: not is_alive(worker), "the end of the worker")
    finally:
        if is_alive(worker):
            os.kill(worker, signal.SIGKILL)
    assert len([*place.glob(f"{SCRATCH}*")]) == (code is not ISOLATED)
    with scratch_folder("float") as folder:
        assert [*place.glob(f"{SCRATCH}*")] == [folder]
    assert not [*place.glob(f"{SCRATCH}*")]


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is of Linux")
@pytest.mark.parametrize("how", list(LATE))
def test_a_child_that_begins_after_the_end_of_its_parent_ends(how: str, place: Path) -> None:
    """Between the fork and its first line: nothing tells it of an end that was before."""
    (place / "late.py").write_text(LATE[how])
    (place / "parent.py").write_text(ORPHANS)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, str(place / "parent.py"), str(place / "late.py")]
    done = subprocess.run(command, env=environment, cwd=place, check=True, capture_output=True)
    child = int(done.stdout)
    try:
        found(lambda: not is_alive(child), "the end of the child")
        assert (place / "began").exists() and not (place / "went_on").exists()
    finally:
        if is_alive(child):
            os.kill(child, signal.SIGKILL)


def test_ctrl_c_at_a_terminal_ends_an_emulator_by_its_link(place: Path) -> None:
    """The emulator is in no terminal's group, so the command can still ask it and keep results."""
    script, told = place / "script.py", place / "pid"
    script.write_text(INTERRUPTED)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = subprocess.Popen(
        [sys.executable, str(script), str(told)],
        env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        emulator = int(found(lambda: told.exists() and told.read_text(), "the emulator"))
        assert os.getpgid(emulator) != os.getpgid(command.pid)
        os.killpg(command.pid, signal.SIGINT)
        _, said = command.communicate(timeout=PATIENCE_S)
    finally:
        command.kill()
    assert command.returncode == 130
    assert said == "interrupted; what was finished before is kept\n"
    assert not is_alive(emulator) and not [*place.glob(f"{SCRATCH}*")]


def test_an_interrupt_before_an_emulator_s_link_is_open_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def interrupted(child: process._Child) -> int:
        started.append(child.process.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(process._Child, "open_input", interrupted)
    monkeypatch.setattr(process, "END_S", 0.1)
    with pytest.raises(KeyboardInterrupt):
        process.start_on_fifos("stuck", None, ["sleep", "600"])
    assert len(started) == 1 and not is_alive(started[0])
    assert not [*place.glob(f"{SCRATCH}*")]


def test_only_our_own_leftovers_are_removed(place: Path) -> None:
    """Neither one in use, nor a folder without our lock, nor what a link leads to."""
    used, other, real = place / f"{SCRATCH}used", place / f"{SCRATCH}other", place / "real"
    for folder in (used, other, real):
        folder.mkdir()
    for folder in (used, real):
        (folder / LOCK).write_text("kept")
    (place / f"{SCRATCH}link").symlink_to(real)
    with FileLock(used / LOCK), scratch_folder("float"):
        pass
    assert used.is_dir() and other.is_dir() and (real / LOCK).read_text() == "kept"
    with scratch_folder("float"):
        pass
    assert not used.exists() and other.is_dir()


def test_a_folder_that_is_being_made_is_not_taken_for_a_leftover(place: Path) -> None:
    """It is locked before it has its name; one whose process is gone is removed a minute later."""
    made = place / f"{NEW}{SCRATCH}x"
    made.mkdir()
    (made / LOCK).touch()
    with scratch_folder("float") as folder:
        assert made.is_dir() and folder.name.startswith(f"{SCRATCH}float-")
    os.utime(made, (time.time() - 2 * NEW_S,) * 2)
    with scratch_folder("float"):
        assert not made.exists()


# --- the disk -----------------------------------------------------------------------------------


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB, where this user may mount one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user mounts nothing")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def told_of(action: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command that does this ends with."""

    def command() -> int:
        action()
        return 0

    assert run_and_exit_code(command) == 2
    return capsys.readouterr().err


def test_a_full_disk(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, noise = tiny / "a.npz", np.random.default_rng(0).bytes(1 << 20)
    write_bytes(path, b"before")
    array = np.frombuffer(noise, np.uint8)
    for write in (lambda: write_bytes(path, noise), lambda: write_arrays(path, {"x": array})):
        told = told_of(write, capsys)
        assert told.startswith(f"error: {path}: cannot be written, no space left on its disk; free")
        assert "work there (PROJECT=<folder>), and run again; nothing is half written" in told
        assert [p.name for p in tiny.iterdir()] == ["a.npz"] and path.read_bytes() == b"before"


def test_a_read_only_disk(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny)], check=True)
    for path in (tiny / "a.json", tiny / "new" / "a.json"):
        told = told_of(lambda path=path: write_bytes(path, b"x"), capsys)
        assert told.startswith(f"error: {path}: cannot be written, its file system is read-only;")


def test_a_command_on_a_full_disk_leaves_no_halves(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tiny)
    monkeypatch.delenv("TINYPROOF_GOALS")
    b = ModelBuilder()
    x, y = (b.tensor([1, 4], scale=[0.1], zero_point=[0]) for _ in range(2))
    b.operator("RELU", [x], [y])
    (tiny / "a.tflite").write_bytes(b.pack([x], [y]))
    with contextlib.suppress(OSError), (tiny / "filler").open("wb") as filler:
        while True:
            filler.write(bytes(4096))
            filler.flush()
    assert main(["import", "a.tflite"]) == 2
    told = capsys.readouterr().err
    assert "no space left on its disk" in told and "--project <folder>" in told
    assert "[Errno" not in told and "Traceback" not in told
    assert not [p for p in tiny.rglob("*") if p.name.endswith((".tmp", ".tmp.npz"))]
    (tiny / "filler").unlink()
    assert main(["import", "a.tflite"]) == 0


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "cannot be written, no space left on its disk; free some, or copy what"),
        (errno.EDQUOT, "cannot be written, your quota is used up on its disk"),
        (errno.EROFS, "cannot be written, its file system is read-only; make it writable, or"),
        (errno.EACCES, "permission denied; change its owner or permissions"),
        (errno.EIO, "Input/output error; check the folder"),
    ],
)
def test_the_file_that_is_meant_is_named(
    number: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def refuse(self: Path, *_: object) -> int:
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    said = told_of(lambda: files.write_text(tmp_path / "a.json", "x"), capsys)
    assert said.startswith(f"error: {tmp_path / 'a.json'}: {told}"), said


def test_a_full_temporary_folder(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker dies of it in its own way; what is said is the disk, and where another one is."""
    usage = type("Usage", (), {"free": 0})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    monkeypatch.setattr(
        float_reference, "our_process", lambda *_: [sys.executable, "-c", "raise SystemExit(3)"]
    )
    folder = place / f"{SCRATCH}x"
    folder.mkdir()
    said = told_of(lambda: float_reference.ask("float", "worker", (), folder), capsys)
    assert said.startswith(f"error: {folder}: cannot be written, no space left on its disk")
    assert "TMPDIR=<folder> in the environment" in said


def test_a_stage_s_disk_error_keeps_its_file(tmp_path: Path) -> None:
    """Over the border of a process too."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file") as error:
        run_isolated("model.files:write_text", {"path": tmp_path / "file" / "a", "text": "x"})
    assert str(tmp_path / "file") in str(error.value.filename)
