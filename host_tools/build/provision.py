"""Give PlatformIO what it would fetch from its registry: the SCons that pip installed.

PlatformIO keeps its packages in a core folder; the project uses one of its own (.platformio, named
in platformio.ini), so a user's PlatformIO stays as it is. Run `-m host_tools.build.provision`
once; running it again changes nothing.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from host_tools.errors import HostToolsError, ToolMissing, UsageError
from model.paths import core_dir

log = logging.getLogger(__name__)

CORE_DIR = core_dir()
PACKAGE = "tool-scons"
LAUNCHER = "import SCons.Script\n\nSCons.Script.main()\n"


def provision(folder: Path = CORE_DIR) -> Path:
    """Put SCons into `folder` as PlatformIO's tool-scons package and return the package's folder.

    Raises ToolMissing when platformio or scons is not installed, UsageError when the installed
    scons is not the release that the installed platformio wants.
    """
    version = _package_version()
    package_dir = folder / "packages" / PACKAGE
    if _is_complete(package_dir, version):
        log.debug("%s %s is in place", PACKAGE, version)
        return package_dir
    package_dir.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"), tempfile.TemporaryDirectory(dir=folder) as new:
        if _is_complete(package_dir, version):  # made by another build meanwhile
            return package_dir
        staged = Path(new) / PACKAGE
        _write_package(staged, version)
        if package_dir.exists():
            shutil.rmtree(package_dir)
        staged.replace(package_dir)
    log.info("%s %s written to %s", PACKAGE, version, package_dir)
    return package_dir


def _distribution(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise ToolMissing(
            f"the Python package {name} is not installed; install it with: pip install {name}"
        ) from None


def _package_version() -> str:
    """Return tool-scons' version number for the installed scons: 4.11.1 -> 4.41101.0."""
    _distribution("platformio")
    from platformio.dependencies import get_core_dependencies  # lazy: optional at import time

    scons = _distribution("scons").version
    major, minor, patch = (int(part) for part in scons.split(".")[:3])
    version = f"4.{major}{minor:02d}{patch:02d}.0"
    wanted = str(get_core_dependencies()[PACKAGE]).lstrip("~")
    if version.split(".")[:2] != wanted.split(".")[:2]:
        digits = wanted.split(".")[1]
        release = f"{int(digits[:-4])}.{int(digits[-4:-2])}.{int(digits[-2:])}"
        raise UsageError(
            f"platformio {metadata.version('platformio')} wants scons {release}, found {scons}; "
            f"install it with: pip install scons=={release}"
        )
    return version


def _is_complete(package_dir: Path, version: str) -> bool:
    try:
        manifest = json.loads((package_dir / "package.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(manifest.get("version") == version)


def _write_package(staged: Path, version: str) -> None:
    source = Path(str(_distribution("scons").locate_file("SCons")))
    shutil.copytree(source, staged / "SCons", ignore=shutil.ignore_patterns("__pycache__"))
    (staged / "scons.py").write_text(LAUNCHER, encoding="utf-8")
    manifest = {"name": PACKAGE, "version": version, "description": "SCons as installed by pip"}
    spec = {"owner": "platformio", "id": None, "name": PACKAGE, "requirements": None, "uri": None}
    meta = {"type": "tool", "name": PACKAGE, "version": version, "spec": spec}
    (staged / ".piopm").write_text(json.dumps(meta, sort_keys=True), encoding="utf-8")
    (staged / "package.json").write_text(json.dumps(manifest, sort_keys=True), encoding="utf-8")


def main() -> int:
    """Provision the project's core folder; exit code 0, or 2 with the reason on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        provision()
    except HostToolsError as error:
        log.error("error: %s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
