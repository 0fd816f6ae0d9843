"""Read the files of results that other steps wrote into a folder of results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import UndefinedError

from host_tools.boards.board import Board
from host_tools.errors import UsageError
from model.text import printable

JsonObject = dict[str, Any]
SHOWN = 300  # characters of what is wrong

# What steps that run firmware ask of its manifest, and of what the build wrote.
MANIFEST_KEYS = (
    "name",
    "model_sha256",
    "run_id",
    "kernels",
    "settings",
    "macs",
    "footprint",
    "operators",
)
SIZE_KEYS = ("code_bytes", "weight_bytes", "flash_bytes", "ram_bytes")


def unanswered(parity: Mapping[str, Any]) -> str:
    """Why a parity result is no proof, in words: cases have no answer. '' where all have one."""
    if not (missing := parity.get("missing")):
        return ""
    why = f": {parity['partial']}" if parity.get("partial") else ""
    return f"{missing:,} of {parity['cases']:,} cases have no answer{why}"


def read_result(path: Path, *keys: str) -> JsonObject:
    """The JSON object of `path`, which has `keys`.

    Raises FileNotFoundError when its step has not been run, and UsageError for a file that is
    damaged or of another shape.
    """
    try:
        content = json.loads(path.read_text("utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path}: not a readable JSON file: {error}; delete it and run the step that writes it"
        ) from error
    if not isinstance(content, dict):
        raise UsageError(
            f"{path}: expected a JSON object, got a {type(content).__name__}; delete it and run "
            "the step that writes it"
        )
    if absent := [key for key in keys if key not in content]:
        raise UsageError(
            f"{path}: has no {', '.join(absent)}; delete it and run the step that writes it"
        )
    return content


@contextmanager
def right_shape(place: Path | str) -> Iterator[None]:
    """UsageError where something in the results of `place` is of another shape."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
            UndefinedError) as error:  # fmt: skip
        told = f"{type(error).__name__}: {printable(str(error))[:SHOWN]}"
        raise UsageError(
            f"{place}: a result file (*/parity.json, bench.json, size.json or another) has another "
            f"shape than this version writes: {told}; delete the result files of the board and run "
            "their commands again"
        ) from error


def read_manifest(board: Board, out_dir: Path) -> JsonObject:
    """manifest.json of the model that was generated for the board's kernels.

    Raises FileNotFoundError or UsageError as read_result does.
    """
    return read_result(board.gen_dir(out_dir) / "manifest.json", *MANIFEST_KEYS)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"the number {text} is not JSON")
