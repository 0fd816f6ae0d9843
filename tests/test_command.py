"""How commands end: closed output, Ctrl-C, bad arguments, files that are not as expected."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from model import command
from model.errors import ConfigError, TinyproofError
from tests.result_files import write_run

ROOT = Path(__file__).parents[1]


def run(*arguments: str, cwd: Path = ROOT, **more: object) -> subprocess.CompletedProcess[str]:
    """One command as a user starts it, with nothing recorded."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env=os.environ | {"TINYPROOF_TRACKING": "off", "PYTHONPATH": str(ROOT)},
        text=True,
        timeout=120,
        check=False,
        **({"capture_output": True} | more),  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_changes_nothing(tmp_path: Path, unbuffered: str) -> None:
    write_run(tmp_path / "build/motion")
    (tmp_path / "build/motion/report.html").unlink(missing_ok=True)
    reader, writer = os.pipe()
    os.close(reader)
    environment = os.environ | {
        "TINYPROOF_TRACKING": "off", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered,
    }  # fmt: skip
    for name, code in (("report", 0), ("summary", 0), ("classical", 2)):
        done = subprocess.run(
            [sys.executable, "-m", "host_tools", name, "motion"], cwd=tmp_path, env=environment,
            stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "BrokenPipe" not in done.stderr and "Traceback" not in done.stderr
    os.close(writer)
    assert (tmp_path / "build/motion/report.html").exists()


def test_what_errors_say_and_end_with(capsys: pytest.CaptureFixture[str]) -> None:
    def failing(error: BaseException) -> int:
        def fail() -> int:
            raise error

        return command.end(fail)

    for error, code, told in (
        (TinyproofError("no"), 1, "error: no"),
        (ConfigError("no"), 2, "error: no"),
        (FileNotFoundError(2, "No such file", "build/x/a"), 2, "error: build/x/a: no such file"),
        (
            PermissionError(13, "Permission denied", "b"),
            2,
            "Permission denied: 'b'; check the folder",
        ),
        (OSError(28, "No space left on device"), 2, "No space left on device; check"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ):
        assert failing(error) == code
        assert told in capsys.readouterr().err
    with pytest.raises(ValueError, match="bug"):  # a bug keeps its traceback
        failing(ValueError("bug"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("host_tools parity motion qemu_m4 --cases -1", "expected an integer from 1, got '-1'"),
        ("host_tools parity motion qemu_m4 --cases 0", "expected an integer from 1, got '0'"),
        ("host_tools features motion qemu_m4 --cases many", "expected an integer from 1"),
        ("host_tools report ../motion", "expected the name of a recipe"),
        ("host_tools build .. native", "expected the name of a recipe"),
        ("host_tools search motion qemu_m4 --budget flash=1 --trials 0", "integer from 1"),
        ("quantize golden x.tflite --name ../x", "NAME=../x"),
        ("quantize emit motion --flash -1", "expected an integer from 1"),
        ("model cross-validate motion --folds 1", "expected an integer from 2"),
    ],
)
def test_arguments_are_refused_before_anything_runs(arguments: str, told: str) -> None:
    done = run(*arguments.split())
    assert done.returncode == 2 and told in done.stderr, done.stderr


def test_a_port_of_this_computer_that_is_in_use_is_told() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        for port in (busy.getsockname()[1], 99_999_999):
            done = run("host_tools", "runs-ui", "--port", str(port))
            assert done.returncode == 2 and f"port {port} of this computer" in done.stderr


def test_a_benchmark_of_nothing_is_refused() -> None:
    done = run("host_tools", "bench-all", "--boards", "native")
    assert done.returncode == 2 and "nothing to measure" in done.stderr
