"""How commands end: closed output, Ctrl-C, bad arguments, files that are not as expected."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools.cli import main
from model import command
from model.errors import ConfigError, TinyproofError
from tests.result_files import write_run
from tests.sweeps import sweep

ROOT = Path(__file__).parents[1]


def run(
    *arguments: str,
    cwd: Path = ROOT,
    environment: dict[str, str] | None = None,
    **more: object,
) -> subprocess.CompletedProcess[str]:
    """One command as a user starts it, with nothing recorded."""
    return subprocess.run(
        [sys.executable, "-m", "tests.tinyproof", *arguments],
        cwd=cwd,
        env=os.environ
        | {"TINYPROOF_TRACKING": "off", "PYTHONPATH": str(ROOT)}
        | (environment or {}),
        text=True,
        timeout=120,
        check=False,
        **({"capture_output": True} | more),  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("unbuffered", sweep(["", "1"], [""]))
def test_a_reader_that_has_gone_changes_nothing(tmp_path: Path, unbuffered: str) -> None:
    write_run(tmp_path / "build/recipes/motion")
    (tmp_path / "build/recipes/motion/report.html").unlink(missing_ok=True)
    reader, writer = os.pipe()
    os.close(reader)
    for arguments, code in ((["report", "motion"], 0), (["runs"], 0), (["inspect", "absent"], 2)):
        done = run(
            *arguments, "--project", str(tmp_path), capture_output=False,
            environment={"PYTHONUNBUFFERED": unbuffered}, stdout=writer, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "BrokenPipe" not in done.stderr and "Traceback" not in done.stderr
    os.close(writer)
    assert (tmp_path / "build/recipes/motion/report.html").exists()


def test_what_errors_say_and_end_with(capsys: pytest.CaptureFixture[str]) -> None:
    def failing(error: BaseException) -> int:
        def fail() -> int:
            raise error

        return command.run_and_exit_code(fail)

    for error, code, told in (
        (TinyproofError("no"), 1, "error: no"),
        (ConfigError("no"), 2, "error: no"),
        (FileNotFoundError(2, "No such file", "build/x/a"), 2, "error: build/x/a: no such file"),
        (
            PermissionError(13, "Permission denied", "b"),
            2,
            "b: permission denied; change its owner or permissions",
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
        ("parity motion --cases -1", "-1 is not in the range x>=1"),
        ("parity motion --cases many", "'many' is not a valid number"),
        ("report ../motion", "'../motion': no such recipe or model"),
        ("build .. --board native", "'..': no such recipe or model"),
        ("search motion --budget flash=1 --trials 0", "0 is not in the range x>=1"),
        ("emit motion --constants-bytes -1", "-1 is not in the range x>=1"),
        ("train motion --cv 1", "1 is not in the range x>=2"),
        ("parity motion --recipe digits", "expected one of SOURCE, --recipe and --model"),
        ("whois motion --recipe digits", "expected one of SOURCE, --recipe and --model"),
        ("monitor motion --recipe digits", "expected one of SOURCE, --recipe and --model"),
        ("parrity motion", "no command 'parrity' (did you mean parity?)"),
        ("parity --bord esp32", "No such option"),
        ("parity motion --project /nowhere", "--project /nowhere: no such folder"),
        ("check hello.tflite", "No such file or directory; give the path of an existing file"),
        ("inspect", "Missing argument 'FILE'"),
    ],
)
def test_arguments_are_refused_before_anything_runs(
    arguments: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 2
    assert told in capsys.readouterr().err


def test_a_port_of_this_computer_that_is_in_use_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        for port in (busy.getsockname()[1], 99_999_999):
            assert main(["runs-ui", "--http-port", str(port), "--project", str(tmp_path)]) == 2
            assert f"port {port} of this computer" in capsys.readouterr().err


def test_a_benchmark_of_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench-all", "--boards", "native", "--project", str(tmp_path)]) == 2
    assert "nothing to measure" in capsys.readouterr().err
