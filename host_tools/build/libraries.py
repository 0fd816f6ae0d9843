"""The libraries of the sensor that a framework's firmware has.

They are asked for only where the model's front end chooses a sensor that needs one, and lie in
PlatformIO's global storage, `lib` of the core folder, where builds find them without the network.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from host_tools.boards.board import BOARDS_DIR, Board
from host_tools.errors import HostToolsError
from host_tools.processes import run_whole
from model.paths import PACKAGES

WITHOUT = "TINYPROOF_SENSOR"  # `none` in the environment: firmware without a sensor
INSTALL_S = 120.0
REGISTRY = "api.registry.platformio.org"
REGISTRY_S = 3.0


def registry_error() -> OSError | None:
    """Why PlatformIO's registry cannot be reached; None: it can."""
    try:
        socket.create_connection((REGISTRY, 443), REGISTRY_S).close()
    except OSError as error:
        return error
    return None


def sensor_setting() -> dict[str, str]:
    """The user's wish to have no sensor, as builds read it."""
    return {WITHOUT: os.environ[WITHOUT]} if os.environ.get(WITHOUT) else {}


def missing_libraries(board: Board, gen_dir: Path, core_dir: Path) -> list[str]:
    """What the Arduino firmware of the model in `gen_dir` needs and `core_dir` does not hold."""
    header = gen_dir / "model_features.h"
    if sensor_setting() or not header.is_file():
        return []
    rules = builder_script("sensor")
    sensors = [
        {"channels": s.channels, "rates_hz": s.rates_hz, "libraries": s.libraries}
        for s in board.sensors
        if s.arduino
    ]
    sensor = rules.choose(sensors, header.read_text(encoding="utf-8"))
    wanted = sensor["libraries"] if sensor else ()
    return [name for name in wanted if not rules.is_installed(name, core_dir / "lib")]


def install_libraries(names: list[str], core_dir: Path, otherwise: str) -> None:
    """Fetch them from PlatformIO's registry, once; HostToolsError when that does not work, which
    says what to do `otherwise`."""
    core_dir.mkdir(parents=True, exist_ok=True)
    for name in names:
        command = [sys.executable, "-m", "platformio", "pkg", "install", "--global"]
        try:
            done = run_whole(
                [*command, "--library", name],
                INSTALL_S,
                env=_environment(core_dir),
                cwd=core_dir,  # not beside a platformio.ini of the user
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except subprocess.TimeoutExpired:
            raise HostToolsError(
                f"library {name}: not there after {INSTALL_S:.0f} s; repeat, or {otherwise}"
            ) from None
        if done.returncode != 0:
            told = done.stdout.decode(errors="replace").strip()
            raise HostToolsError(
                f"library {name} could not be installed in {core_dir / 'lib'}; repeat, or "
                f"{otherwise}. PlatformIO says:\n{told}"
            )


def _environment(core_dir: Path) -> dict[str, str]:
    """The user's without what would send the library elsewhere."""
    users = {k: v for k, v in os.environ.items() if not k.startswith("PLATFORMIO_")}
    paths = [str(PACKAGES), users.get("PYTHONPATH")]
    return users | {
        "PLATFORMIO_CORE_DIR": str(core_dir),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
        "PLATFORMIO_NO_ANSI": "true",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def without_hint() -> str:
    """What to do without a library."""
    return f"set {WITHOUT}=none in the environment for firmware without a sensor"


def builder_script(name: str) -> ModuleType:
    """A script by which builds choose; such are no modules of a package and import each other."""
    folder = str(BOARDS_DIR / "platform" / "builder")
    spec = importlib.util.spec_from_file_location(f"builder_{name}", f"{folder}/{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module
