"""The doctor, on folders and search paths made by hand."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools import doctor
from host_tools.doctor import examine, locked_versions, run_doctor

LOCK = """\
numpy==2.2.6 ; python_full_version < '3.11' \\
    --hash=sha256:00
numpy==2.4.6 ; python_full_version >= '3.11' \\
    --hash=sha256:01
tf_keras==2.21.0 \\
    --hash=sha256:02
"""
SYSTEM = "# comment\nlib-only -\nsome-tool sometool\n"
DPKG = "#!/bin/sh\nprintf 'lib-only\\tinstalled\\t1.2-3\\nsome-tool\\tinstalled\\t4.5\\n'\n"


def tool(folder: Path, name: str, text: str = "#!/bin/sh\n") -> None:
    """An executable in `folder`."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which nothing is missing, with its own search path."""
    (tmp_path / "requirements.lock").write_text(LOCK)
    (tmp_path / "system-packages.txt").write_text(SYSTEM)
    (tmp_path / ".venv").mkdir()
    digest = hashlib.sha256(LOCK.encode()).hexdigest()
    (tmp_path / ".venv" / "lock.sha256").write_text(digest + "\n")
    package = tmp_path / ".platformio" / "packages" / "tool-scons"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"version": "4.41101.0"}')
    tool(tmp_path / "bin", "sometool")
    tool(tmp_path / "bin", "dpkg-query", DPKG)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(doctor, "PACKAGES", {"numpy": "arrays", "tf-keras": "training"})
    versions = {"numpy": "2.4.6", "tf-keras": "2.21.0"}
    monkeypatch.setattr(doctor, "version", versions.__getitem__)
    return tmp_path


def fixes(project: Path) -> dict[str, str]:
    """What the doctor wants to have done, by name."""
    return {finding.name: finding.fix for finding in examine(project) if not finding.ok}


def test_all_is_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fixes(project) == {}
    assert run_doctor(root=project) == 0
    printed = capsys.readouterr().out
    packages = ("lib-only", "1.2-3", "some-tool", "4.5", "4.41101.0")
    for expected in ("All that is needed is there.", *packages):
        assert expected in printed


def test_a_lock_may_hold_one_package_twice(project: Path) -> None:
    assert locked_versions(project / "requirements.lock") == {
        "numpy": {"2.2.6", "2.4.6"},
        "tf-keras": {"2.21.0"},
    }


@pytest.mark.parametrize(
    ("remove", "name", "fix"),
    [
        ("bin/sometool", "some-tool", "sudo apt-get install some-tool"),
        (".venv/lock.sha256", ".venv", "make setup"),
        (
            ".platformio/packages/tool-scons/package.json",
            "tool-scons",
            "tinyproof build",
        ),
        ("system-packages.txt", "system-packages.txt", "restore"),
    ],
)
def test_missing(
    project: Path, capsys: pytest.CaptureFixture[str], remove: str, name: str, fix: str
) -> None:
    (project / remove).unlink()
    found = fixes(project)
    assert list(found) == [name]
    assert fix in found[name]
    assert run_doctor(root=project) == 1
    printed = capsys.readouterr().out
    assert "MISSING" in printed
    assert "1 of" in printed


def test_package_that_dpkg_does_not_have(project: Path) -> None:
    tool(project / "bin", "dpkg-query", DPKG.replace("lib-only\\tinstalled", "lib-only\\tremoved"))
    assert fixes(project) == {"lib-only": "sudo apt-get install lib-only"}


def test_without_dpkg_only_commands_are_looked_for(project: Path) -> None:
    (project / "bin" / "dpkg-query").unlink()
    assert fixes(project) == {}
    found = {finding.name: finding.found for finding in examine(project)}
    assert found["lib-only"] == "cannot tell without dpkg-query"
    assert found["some-tool"] == str(project / "bin" / "sometool")


def test_changed_lock_and_wrong_version(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "version", {"numpy": "1.26.0", "tf-keras": "2.21.0"}.__getitem__)
    (project / "requirements.lock").write_text(LOCK + "# changed\n")
    assert fixes(project) == {".venv": "make setup", "numpy": "make setup"}
    assert run_doctor(root=project) == 1
    printed = capsys.readouterr().out
    assert "WRONG" in printed
    assert "2.2.6 or 2.4.6" in printed


def test_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "bin" / "sometool").unlink()
    assert run_doctor(as_json=True, root=project) == 1
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert findings["numpy"]["ok"] is True
    assert findings["some-tool"] == {
        "name": "some-tool",
        "purpose": "command sometool",
        "found": "",
        "expected": "",
        "fix": "sudo apt-get install some-tool",
        "note": "",
        "ok": False,
        "level": "missing",
    }


def test_runs_without_any_package(project: Path) -> None:
    """-S hides site-packages: rich is missing there, and the doctor says so."""
    code = (
        "import sys, pathlib; from host_tools.doctor import run_doctor; "
        "sys.exit(run_doctor(root=pathlib.Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, str(project)],
        cwd=doctor.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "MISSING  rich" in done.stdout


def test_packages_of_tests_are_a_checkout_s_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = project / "system-packages.txt"
    listing.write_text(SYSTEM + "nowhere nothing-of-that-name tests\n")
    assert list(fixes(project)) == ["nowhere"]
    monkeypatch.setattr(doctor, "CHECKOUT", False)
    assert list(fixes(project)) == []


APT = """#!/bin/sh
echo "$(basename "$0") $*" >> "$(dirname "$0")/asked"
case "$(basename "$0") $*" in *rare*) [ "$1" != show ] || exit 100 ;; esac
"""


def test_install_passes_over_what_only_tests_need_and_the_system_has_not(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As make setup does."""
    (project / "system-packages.txt").write_text(
        SYSTEM + "needed n1\nrare n2 tests\nfound n3 tests\n"
    )
    for name in ("apt-get", "apt-cache"):
        tool(project / "bin", name, APT)
    monkeypatch.setenv("PATH", f"{project / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    doctor.install(project)
    *_, installed = (project / "bin" / "asked").read_text().splitlines()
    assert installed == "apt-get install -y --no-install-recommends needed found"
    assert "no package rare" in capsys.readouterr().err
