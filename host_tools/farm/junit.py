"""The verdicts of all boards as JUnit XML: a suite for a board, a case for each check."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Sequence
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from host_tools.errors import UsageError
from host_tools.farm.checks import Check, checks_of, retries
from host_tools.farm.job import Row, State
from host_tools.farm.pool import read_log
from host_tools.wording import as_typed
from model.files import require_file, write_bytes
from model.text import printable

PROPERTIES = ("model_sha256", "run_id", "kernels", "framework", "engine", "image_sha256")
SUFFIX = 16  # characters of a temporary file's name more than the file's
RAN = "the board was run"  # the case of what is no check: a link that broke, a tool that is missing


def require_place(path: Path) -> None:
    """UsageError, before any board is run, where the file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        require_file(path)
        with contextlib.suppress(FileNotFoundError):
            path.with_name(f".{path.name}{' ' * SUFFIX}").lstat()  # a name that is too long
    except OSError as error:
        raise UsageError(
            f"JUNIT={path}: {error.strerror}; name a file in a folder that can be written to"
        ) from error


def write_junit(path: Path, command: str, rows: Sequence[Row]) -> None:
    """Write it for CI systems; texts of devices are made printable, as XML 1.0 asks for."""
    document = JUnitXml(f"tinyproof {command}")
    for row in rows:
        document.add_testsuite(_suite(command, row))
    document.update_statistics()  # type: ignore[no-untyped-call]
    text = io.BytesIO()
    document.write(text, pretty=True)
    write_bytes(path, text.getvalue())


def _suite(command: str, row: Row) -> TestSuite:
    suite = TestSuite(_text(row.name))
    for name, value in (("board", row.board), ("runs on", row.where)):
        suite.add_property(name, _text(value))
    for name in PROPERTIES:
        if (row.result or {}).get(name) is not None:
            suite.add_property(name, _text(str((row.result or {})[name])))
    if row.result and (repeats := retries(row.result)) is not None:
        suite.add_property("retries", str(repeats))
    checks = checks_of(command, row.result) if row.result else []
    cases = [_case(command, row, check) for check in checks]
    said_why = any(check.passed is False for check in checks)
    if not (row.state is State.PASSED or (row.state is State.FAILED and said_why)):
        cases.append(_no_verdict(command, row))
    if cases:
        cases[0].time = round(row.seconds or 0.0, 3)
    for case in cases:
        suite.add_testcase(case)
    return suite


def _case(command: str, row: Row, check: Check) -> TestCase:
    case = TestCase(check.name, classname=_class(command, row), time=0.0)
    if check.passed is None:
        case.result = [Skipped(_text(check.message))]
    elif not check.passed:
        found = Failure(_text(check.message), "Check")
        found.text = _text(read_log(row) or check.message)
        case.result = [found]
    else:
        case.system_out = _text(check.message)
    return case


def _no_verdict(command: str, row: Row) -> TestCase:
    """Of a board that has no verdict, or whose failure is of no check."""
    case = TestCase(RAN, classname=_class(command, row), time=0.0)
    message = _text(row.message or row.state.value)
    if row.state is State.SKIPPED:
        case.result = [Skipped(message)]
        return case
    kind = Failure if row.state is State.FAILED else Error
    found = kind(f"{row.state.value}: {message}", row.state.value)
    found.text = _text(read_log(row) or message)
    case.result = [found]
    return case


def _class(command: str, row: Row) -> str:
    """Groups cases: dots separate, so none is of a port's name."""
    return _text(f"tinyproof.{command}.{row.name.replace('.', '_')}")


def _text(text: str) -> str:
    return as_typed(printable(text, keep="\n\t"))
