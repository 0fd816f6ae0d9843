"""List every prerequisite, what is installed of it, and how to get what is missing.

Runs with nothing but the standard library, so that it can also tell that a package is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from host_tools.doctor_boards import board_rows
from host_tools.errors import ToolMissing
from model.paths import CHECKOUT, ROOT, core_dir

SETUP = "make setup" if CHECKOUT else "pipx reinstall tinyproof"
QUERY_S = 10.0  # for dpkg-query
PACKAGES: dict[str, str] = {  # in the lock, and what they are for
    "tensorflow": "training and conversion",
    "tf-keras": "training",
    "tensorflow-model-optimization": "quantisation-aware training",
    "tflite-micro": "the reference of record",
    "numpy": "arrays",
    "scikit-learn": "baselines",
    "seglearn": "the data of recipe motion",
    "jinja2": "generated C, report",
    "matplotlib": "report",
    "rich": "tables",
    "platformio": "builds",
    "scons": "builds",
    "pyelftools": "sizes",
    "labwired": "emulators of nRF52840 and ESP32",
    "pyserial": "real boards",
    "esptool": "flashing an ESP32",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One prerequisite; `fix` is what to type, empty when all is well; `note` is information."""

    name: str
    purpose: str
    found: str  # version or place; empty when missing
    expected: str  # empty: any version
    fix: str
    note: str = ""

    @property
    def level(self) -> str:
        """'ok', 'note', or 'missing' or 'wrong' for what has to be done."""
        if self.fix:
            return "wrong" if self.found else "missing"
        return "note" if self.note else "ok"

    @property
    def ok(self) -> bool:
        """Whether nothing has to be done."""
        return not self.fix


def run_doctor(*, as_json: bool = False, root: Path = ROOT) -> int:
    """Print the table (or JSON) on standard output; 0 when all is there, else 1."""
    findings = [*examine(root), *_from_registry(), *_boards(root)]
    if as_json:
        rows = [asdict(f) | {"ok": f.ok, "level": f.level} for f in findings]
        print(json.dumps(rows, indent=2, sort_keys=True))
    else:
        _print_table(findings)
    return 0 if all(finding.ok for finding in findings) else 1


def install(root: Path = ROOT) -> None:
    """Get the missing system packages with apt-get; ToolMissing says what to type without it.

    Those that only tests need are passed over where this system has none: Ubuntu has no chromium.
    """
    listing = root / "system-packages.txt"
    missing = [f.name for f in _system(listing) if not f.ok]
    if not missing:
        return
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if shutil.which("apt-get") is None or (sudo and shutil.which("sudo") is None):
        raise ToolMissing(f"install these by hand, as root: {' '.join(missing)}")
    _run([*sudo, "apt-get", "update", "-qq"])
    of_tests = {row[0] for row in _packages(listing) if row[2:] == ["tests"]}
    left = [name for name in missing if name in of_tests and not _exists(name)]
    for name in left:
        told = f"no package {name} on this system; the tests that need it are skipped"
        print(told, file=sys.stderr)
    if wanted := [name for name in missing if name not in left]:
        _run([*sudo, "apt-get", "install", "-y", "--no-install-recommends", *wanted])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise ToolMissing(f"`{' '.join(command)}` ended with code {done.returncode}")


def _exists(package: str) -> bool:
    """Whether this system has the package at all."""
    quiet = subprocess.DEVNULL
    found = subprocess.run(
        ["apt-cache", "show", "--", package], stdout=quiet, stderr=quiet, check=False
    )
    return found.returncode == 0


def examine(root: Path) -> Iterator[Finding]:
    """All prerequisites of the project in folder `root`."""
    yield _python()
    if CHECKOUT:
        yield _environment(root)
    locked = locked_versions(root / "requirements.lock")
    for name, purpose in PACKAGES.items():
        yield _package(name, purpose, locked.get(name, set()))
    yield _scons(root)
    yield from _system(root / "system-packages.txt")


def _boards(root: Path) -> Iterator[Finding]:
    for row in board_rows(root=root):
        yield Finding(
            name=row.name,
            purpose=row.purpose,
            found=row.found,
            expected="",
            fix=row.fix,
            note=row.note,
        )


def _from_registry() -> Iterator[Finding]:
    """What PlatformIO's registry gives once, where somebody wants it: frameworks, TFLite Micro."""
    try:
        from host_tools.boards.board import BOARDS, read_board
        from host_tools.build.engine import installed_engine
        from host_tools.build.firmware import missing_of
    except ImportError:  # of a package that has its own line
        return
    comes = "comes from PlatformIO's registry the first time, which needs the internet once"
    for board in map(read_board, BOARDS.values()):
        for framework in board.frameworks:
            missing = missing_of(framework)
            yield Finding(
                name=f"{framework.name} for {board.id}",
                purpose=f"tinyproof flash --board {board.id}",
                found="" if missing else framework.platform,
                expected="",
                fix="",
                note=f"{comes}; --framework bare needs nothing" if missing else "",
            )
    library, there = installed_engine()
    yield Finding(
        name=library.rpartition("/")[2],
        purpose="tinyproof compare, --engine tflm",
        found="installed" if there else "",
        expected="",
        fix="",
        note="" if there else f"{comes}; or name a folder with TFLite Micro: --tflm",
    )


def locked_versions(lock: Path) -> dict[str, set[str]]:
    """Package -> the versions that the lock allows (one for each range of Python versions)."""
    found: dict[str, set[str]] = {}
    try:
        text = lock.read_text("utf-8")
    except OSError:
        return found
    for name, number in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE):
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), set()).add(number)
    return found


def _python() -> Finding:
    good = (3, 10) <= sys.version_info[:2] < (3, 14)
    return Finding(
        name="Python",
        purpose="everything",
        found=platform.python_version(),
        expected="3.10 to 3.13",
        fix="" if good else f"rm -r .venv && {SETUP} PYTHON=/path/to/python3.12",
    )


def _environment(root: Path) -> Finding:
    """Whether .venv was made from the lock as it is now."""
    try:
        wanted = hashlib.sha256((root / "requirements.lock").read_bytes()).hexdigest()
    except OSError:
        wanted = ""
    try:
        installed = (root / ".venv" / "lock.sha256").read_text("utf-8").strip()
    except OSError:
        installed = ""
    return Finding(
        name=".venv",
        purpose="Python packages",
        found=f"lock {installed[:12]}" if installed else "",
        expected=f"lock {wanted[:12]}" if wanted else "requirements.lock",
        fix="" if installed and installed == wanted else SETUP,
    )


def _package(name: str, purpose: str, locked: set[str]) -> Finding:
    try:
        found = version(name)
    except PackageNotFoundError:
        found = ""
    return Finding(
        name=name,
        purpose=purpose,
        found=found,
        expected=" or ".join(sorted(locked)),
        fix="" if found and (found in locked or not locked) else SETUP,
    )


def _scons(root: Path) -> Finding:
    """PlatformIO's tool-scons in the project's own core folder."""
    manifest = core_dir(root) / "packages" / "tool-scons" / "package.json"
    try:
        found = str(json.loads(manifest.read_text("utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        found = ""
    return Finding(
        name="tool-scons",
        purpose="PlatformIO builds without its registry",
        found=found,
        expected="",
        fix="" if found else "tinyproof build",
    )


def _system(listing: Path) -> Iterator[Finding]:
    """The system packages: by their command on PATH, those without one by dpkg-query."""
    try:
        rows = _packages(listing)
    except OSError:
        yield Finding(
            name=listing.name,
            purpose="system packages",
            found="",
            expected="the list of system packages",
            fix="restore the file from the repository",
        )
        return
    pairs = [row[:2] for row in rows if CHECKOUT or row[2:] != ["tests"]]
    installed = _dpkg_versions([package for package, _ in pairs])
    for package, command in pairs:
        yield _system_package(package, command, installed)


def _packages(listing: Path) -> list[list[str]]:
    """The words of each line: package, command or -, and maybe `tests`."""
    lines = listing.read_text("utf-8").splitlines()
    return [line.split() for line in lines if line.strip() and not line.startswith("#")]


def _system_package(package: str, command: str, installed: dict[str, str] | None) -> Finding:
    if command == "-" and installed is None:
        found = "cannot tell without dpkg-query"
    elif command == "-":
        found = (installed or {}).get(package, "")
    else:
        path = shutil.which(command)
        found = ((installed or {}).get(package) or path) if path else ""
    return Finding(
        name=package,
        purpose=f"command {command}" if command != "-" else "files",
        found=found or "",
        expected="",
        fix="" if found else f"sudo apt-get install {package}",
    )


def _dpkg_versions(packages: list[str]) -> dict[str, str] | None:
    """Version of each installed package; None on a system without dpkg."""
    if shutil.which("dpkg-query") is None:
        return None
    form = "${Package}\t${db:Status-Status}\t${Version}\n"
    try:
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", form, "--", *packages],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=QUERY_S,
            check=False,  # 1: some package is unknown to it, the others are printed
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return {row[0]: row[2] for row in rows if len(row) == 3 and row[1] == "installed"}


def _print_table(findings: list[Finding]) -> None:
    rows = [
        (
            finding.level if finding.ok else finding.level.upper(),
            finding.name,
            finding.purpose,
            finding.found or "-",
            finding.note if finding.ok else _advice(finding),
        )
        for finding in findings
    ]
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:  # this is one of the things that the doctor looks for
        for row in rows:
            print("  ".join(row))
    else:
        console = Console(highlight=False)
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("", "what", "for", "found", "what to do"):
            table.add_column(column, overflow="fold")
        for row in rows:
            style = {"ok": "green", "note": "yellow"}.get(row[0], "bold red")
            table.add_row(Text(row[0], style=style), *(Text(cell) for cell in row[1:]))
        if not console.is_terminal:
            console.width = 140
        console.print(table)
    bad = sum(not finding.ok for finding in findings)
    told = f"{bad} of {len(findings)} prerequisites need attention; --install gets system packages"
    print(told if bad else "All that is needed is there.")


def _advice(finding: Finding) -> str:
    expected = f" (expected {finding.expected})" if finding.expected else ""
    return finding.fix + expected
