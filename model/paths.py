"""Where the files lie that come with tinyproof, and where it may keep what it can make again."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[1]  # holds model, quantize and host_tools
_INSTALLED = PACKAGES / "tinyproof_data"  # a wheel keeps there what a checkout has at its top
CHECKOUT = not _INSTALLED.is_dir()
ROOT = PACKAGES if CHECKOUT else _INSTALLED  # firmware, boards, monitor, platformio.ini
CACHE_VARIABLE = "TINYPROOF_CACHE"
SCRATCH = "tinyproof-"  # with what the names of our temporary folders begin


def our_process(module: str, *arguments: str) -> list[str]:
    """The command line of a module of ours, whatever the current folder has of the same name."""
    code = (
        f"import runpy, sys; sys.path[:] = [{str(PACKAGES)!r}, *filter(None, sys.path)]; "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-c", code, *arguments]


def cache_dir() -> Path:
    """The folder of compiled helpers and of PlatformIO's packages; each installation has its own.

    A checkout keeps it in its own build/. An installed tinyproof, whose folder may be read-only,
    takes $TINYPROOF_CACHE or the user's cache folder.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).absolute()
    if CHECKOUT:
        return ROOT / "build" / ".cache"
    import platformdirs  # lazy: the doctor runs without any package

    own = hashlib.sha256(str(ROOT).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return Path(platformdirs.user_cache_path("tinyproof")) / own


def core_dir(root: Path = ROOT) -> Path:
    """The folder of PlatformIO's packages, tinyproof's own, so that a user's stays as it is."""
    own = CHECKOUT and CACHE_VARIABLE not in os.environ
    return root / ".platformio" if own else cache_dir() / "platformio"
