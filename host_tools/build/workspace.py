"""A private folder in which PlatformIO builds.

PlatformIO and SCons hand paths on unquoted (platformio-core issue 387). So no build sees the paths
of the project, of the model and of the results: links to them stand in a temporary folder whose
own path is harmless. Nothing that is built depends on where that is.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host_tools.boards.board import TFLM, Board
from host_tools.build.engine import NAMED, named_folder
from host_tools.build.libraries import sensor_setting
from host_tools.build.provision import CORE_DIR, provision
from host_tools.errors import UsageError
from model.files import write_text
from model.paths import PACKAGES, ROOT
from model.processes import scratch_folder

HARMLESS = re.compile(r"[A-Za-z0-9_./+-]+")
LINKED = ("platformio.ini", "firmware")
VIA = "via"  # the folder of a workspace with a library and what a program around it needs
# A library is found and compiled as in a user's project.
VIA_PROJECT = """\
[platformio]
src_dir = firmware
[env:{env}]
platform = symlink://boards/platform
board = {env}
lib_deps = symlink://{library}
lib_ldf_mode = chain
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """`folder` is private; `shown` are links in it and what they stand for."""

    folder: Path
    env: str  # of platformio.ini
    variables: dict[str, str]
    shown: tuple[tuple[Path, Path], ...]

    def command(self, *options: str) -> list[str]:
        """PlatformIO's command line; run it with `variables`."""
        run = [sys.executable, "-m", "platformio", "run", "--project-dir"]
        return [*run, str(self.folder / "project"), "--environment", self.env, *options]

    def environment(self) -> dict[str, str]:
        """Ours and the user's, without what would change a build unseen."""
        hidden = ("PLATFORMIO_", "TINYPROOF_")
        users = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        return users | self.variables

    def built(self, name: str) -> Path:
        """Where the build leaves the file `name`."""
        return self.folder / "workspace" / "build" / self.env / name

    def translate(self, text: str) -> str:
        """`text` with the paths that the user knows in place of private ones."""
        for link, target in self.shown:
            text = text.replace(str(link), str(target))
        return text


@contextmanager
def open_workspace(
    board: Board, env: str, gen_dir: Path, library: Path | None = None
) -> Iterator[Workspace]:
    """Link the model in `gen_dir` and the project into a folder that is gone afterwards.

    `env` is an environment of platformio.ini. With `library`, a folder that make_library has
    written and beside which via_library.h lies, the program around it is built. Raises UsageError
    where the system's temporary folder has a path that PlatformIO cannot take.
    """
    if not HARMLESS.fullmatch(tempfile.gettempdir()):
        raise UsageError(
            f"temporary folder {tempfile.gettempdir()}: builds need one whose path has only "
            "letters, digits and _ . + -; set TMPDIR=/tmp"
        )
    provision()
    with scratch_folder("build") as folder:
        project = folder / "project"
        # PlatformIO resolves links on its way to its platform, so this one is a copy.
        shutil.copytree(ROOT / "boards", project / "boards")
        shown = [(project / name, ROOT / name) for name in LINKED]
        shown.append((folder / "gen", gen_dir.absolute()))
        if board.selftest:
            shown.append((folder / "reference", reference_dir(gen_dir).absolute()))
        engine = named_folder() if board.engine == TFLM else None
        if engine:
            shown.append((folder / "tflm", engine))
        variables = _variables(board, folder, bare=env == board.env)
        variables |= {NAMED: str(folder / "tflm")} if engine else {}
        if library is not None:
            # PlatformIO compares paths of libraries as they are and resolved: no links here.
            shutil.copytree(library.parent, folder / VIA)
            text = VIA_PROJECT.format(env=env, library=folder / VIA / library.name)
            shown = shown[1:]
            write_text(project / "platformio.ini", text)
            variables |= {"TINYPROOF_VIA": str(folder / VIA)}
        for link, target in shown:
            link.symlink_to(target)
        yield Workspace(
            folder=folder,
            env=env,
            variables=variables,
            shown=(*shown, (project, ROOT)),
        )


def reference_dir(gen_dir: Path) -> Path:
    """The folder of the same model for the reference kernels."""
    return gen_dir.parent / "ref"


def _variables(board: Board, folder: Path, *, bare: bool) -> dict[str, str]:
    """What PlatformIO and boards/platform/builder read from the environment."""
    variables = {
        "PLATFORMIO_CORE_DIR": str(CORE_DIR),
        "PLATFORMIO_WORKSPACE_DIR": str(folder / "workspace"),
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
        "PLATFORMIO_NO_ANSI": "true",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PACKAGES), os.environ.get("PYTHONPATH")])),
        "TINYPROOF_GEN": str(folder / "gen"),
        "TINYPROOF_KERNELS": board.kernels,
        "TINYPROOF_WITHOUT": ",".join(board.without),
    } | sensor_setting()
    if bare:  # our own platform; a framework's was installed into the core folder
        variables["PLATFORMIO_PLATFORMS_DIR"] = str(folder / "platforms")
    if board.mlperf:
        variables["TINYPROOF_MLPERF"] = board.mlperf
    if board.selftest:
        variables["TINYPROOF_REFERENCE"] = str(folder / "reference")
    return variables
