"""The committed baseline: what has been measured, of what, and how much of it may change.

The file is JSON of the shape below, which `Baseline.model_json_schema()` tells to other programs.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from host_tools.errors import UsageError
from model import __version__
from model.files import read_bounded, write_text
from model.text import printable

PRESENT = "gate.json"  # beside the results: what is measured now, to be committed in its turn
MAX_BYTES = 1_000_000  # of a file; one board takes about 600
SHOWN = 3  # faults of a file in a message
GROWTH, DROP = 0.02, 0.01  # may change without anybody asking


class Kind(Enum):
    """How a measure is compared, and which way is worse."""

    SIZE = "size"  # a larger one is worse, by a share of what it was
    SCORE = "score"  # a smaller one is worse, by points
    RATE = "rate"  # a larger one is worse, by points
    FAULTS = "faults"  # none more than before


# What is measured, in the order of tables: title, kind.
MEASURES: dict[str, tuple[str, Kind]] = {
    "float_score": ("score of the float network", Kind.SCORE),
    "score": ("score of int8", Kind.SCORE),
    "unequal": ("cases that differ from TFLite Micro", Kind.FAULTS),
    "feature_lsb": ("largest difference of a feature, LSB", Kind.FAULTS),
    "as_float": ("decisions as the float network", Kind.SCORE),
    "instructions": ("instructions an inference", Kind.SIZE),
    "cycles": ("cycles an inference", Kind.SIZE),
    "flash": ("flash, bytes", Kind.SIZE),
    "code": ("code in it, bytes", Kind.SIZE),
    "constants": ("constants in it, bytes", Kind.SIZE),
    "ram": ("RAM without stack, bytes", Kind.SIZE),
    "arena": ("arena in it, bytes", Kind.SIZE),
    "stack": ("stack used, bytes", Kind.SIZE),
    "drift_alarms": ("drift tests with an alarm", Kind.FAULTS),
    "drift_false_alarms": ("false alarms of drift", Kind.RATE),
}
Text = Annotated[str, Field(max_length=500)]
Figure = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class _Strict(BaseModel):
    """No other key, nothing converted, nothing changed later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Limit(_Strict):
    """What one measure may do: `change` against the baseline, or never pass `bound`."""

    change: Share | None = None
    bound: Figure | None = None


class Limits(_Strict):
    """What may change: sizes and counts by a share of themselves, scores by points of 1."""

    max_growth: Share = GROWTH
    max_drop: Share = DROP
    measures: dict[Text, Limit] = Field(default_factory=dict, max_length=len(MEASURES))


class Group(_Strict):
    """The figures of one place, and what they are of."""

    model_sha256: Text
    run_id: Text | None = None
    board: Text | None = None  # None: of the network, without a board
    where: Text | None = None  # the emulator, or the port of a board
    kernels: Text | None = None
    framework: Text | None = None
    engine: Text | None = None
    compiler: Text | None = None
    score: Text | None = None  # what a score is: balanced accuracy, R2 ...
    figures: dict[Text, Figure] = Field(max_length=len(MEASURES))


class Baseline(_Strict):
    """What `tinyproof gate --record` writes."""

    format: Literal[1] = 1
    name: Text
    version: Text = __version__  # of the tinyproof that measured
    limits: Limits = Limits()
    groups: dict[Text, Group] = Field(max_length=100)


def baseline_path(name: str, *, imported: bool) -> Path:
    """Where a recipe's or model's baseline lies: in the project's folder, beside the recipe.

    A model's is named without the digits of its hash, so that its next version meets it.
    """
    return Path(f"{re.sub(r'-[0-9a-f]{8}$', '', name) if imported else name}.baseline.json")


def write_baseline(path: Path, baseline: Baseline) -> None:
    """The file, whole or not at all."""
    content = baseline.model_dump(mode="json", exclude_none=True)
    for group in content["groups"].values():
        group["figures"] = {k: int(v) if v == int(v) else v for k, v in group["figures"].items()}
    write_text(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def load_baseline(path: Path, how_to_record: str) -> Baseline:
    """The file; UsageError where it is missing, damaged or of another shape."""
    again = f"`{how_to_record}` writes one of what is measured now"
    try:
        data = read_bounded(path, MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"{path}: no baseline to compare with; {again}, then commit it") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; {again}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: expected a baseline of at most {MAX_BYTES:,} bytes; {again}")
    try:
        found = Baseline.model_validate_json(data)
        names = {*found.limits.measures, *(m for g in found.groups.values() for m in g.figures)}
        if strange := sorted(names - set(MEASURES)):
            raise ValueError(f"no such measure: {', '.join(strange[:SHOWN])}")
        if not any(group.figures for group in found.groups.values()):
            raise ValueError("it holds no figure, so nothing would be compared")
    except ValidationError as error:
        told = [_fault(fault) for fault in error.errors()[:SHOWN]]
        raise UsageError(_damaged(path, "; ".join(told), again)) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(_damaged(path, str(error), again)) from error
    return found


def _damaged(path: Path, why: str, again: str) -> str:
    return (
        f"{path}: not a baseline of this version of tinyproof: {printable(why)}; restore it from "
        f"the repository, or {again}"
    )


def _fault(fault: object) -> str:
    assert isinstance(fault, dict)
    place = ".".join(str(part)[:40] for part in fault["loc"]) or "the file"
    return f"{place}: {fault['msg']}"
