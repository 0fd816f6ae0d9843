"""Whether a project's code may run: a network of the kind 'python' is a program like any other.

A user says so once for a file's place, and what stands there later is theirs to answer for.
Nothing that a recipe, a record or an example says counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

from host_tools.errors import UsageError
from model.files import write_json
from model.network_config import NetworkConfig
from model.network_files import read_network_file

ALLOW = "TINYPROOF_RUN_CODE"  # the environment's word for it: the path of a project's folder
PLACE = "TINYPROOF_CONFIG"  # where it is kept, in place of the user's folder of settings


def require_trust(config: NetworkConfig) -> None:
    """UsageError unless the user has said that the recipe's code, if it has any, may run."""
    if config.kind != "python":
        return
    path, data = read_network_file(config)
    place = str(path.resolve())
    allowed = os.environ.get(ALLOW)
    if allowed and not Path(allowed).is_absolute():
        raise UsageError(
            f"{ALLOW}: expected the absolute path of the one project whose code may run, got "
            f"{allowed!r}, which is another folder wherever one is; type {ALLOW}=$PWD in the "
            "project's folder"
        )
    if allowed and Path(allowed).resolve() == Path.cwd().resolve():
        return
    if place in (trusted := _trusted()):
        return
    what = f"{place} (SHA-256 {hashlib.sha256(data).hexdigest()[:12]})"
    if sys.stdin.isatty() and sys.stderr.isatty():
        print(
            f"The recipe runs the code of {what}, with all that you may do. Read it first, unless "
            "it is your own.",
            file=sys.stderr,
        )
        if input("Run it, now and later? [y/N] ").strip().lower() in ("y", "yes"):
            write_json(_file(), sorted({*trusted, place}))
            return
    raise UsageError(
        f"network.kind 'python': not run: the code of {what}, which you have not allowed yet; read "
        f"it, then answer the question on a terminal or set {ALLOW} to the project's folder, as in "
        f"{ALLOW}=$PWD"
    )


def _file() -> Path:
    if chosen := os.environ.get(PLACE):
        return Path(chosen) / "trusted.json"
    import platformdirs  # lazy: most commands need no such place

    return Path(platformdirs.user_config_path("tinyproof")) / "trusted.json"


def _trusted() -> list[str]:
    """The places allowed before; none where the file is missing or damaged."""
    try:
        found = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    return [p for p in found if isinstance(p, str)] if isinstance(found, list) else []
