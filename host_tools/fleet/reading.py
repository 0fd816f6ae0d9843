"""One drift reading of one board: what `tinyproof drift --json` prints, and how one is checked.

docs/FLEET.md describes the fields. Whoever sends a reading is not trusted: what does not fit is
refused with the field and the reason, and lengths are bounded. Fields that are not known are left
alone, so that a newer tinyproof can say more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

MAX_NAME = 128  # characters
MAX_TESTS = 256
MAX_READING_BYTES = 256 * 1024
EARLIEST = datetime(2020, 1, 1, tzinfo=timezone.utc)  # before it a clock was never set
AHEAD = timedelta(days=1)  # that a board's clock may be before ours

Name = Annotated[str, StringConstraints(max_length=MAX_NAME, strip_whitespace=True)]
Finite = Annotated[float, Field(allow_inf_nan=False, ge=0)]


class TestReading(BaseModel):
    """One test of a reading: a channel's mean or roughness, a sensor's energy, the classes."""

    model_config = ConfigDict(frozen=True)
    test: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    psi: Finite
    usual_psi: Finite
    p: Annotated[float, Field(ge=0, le=1)]
    alarm: bool


class Reading(BaseModel):
    """One comparison of a board's counts with the profile of its model."""

    model_config = ConfigDict(frozen=True)
    device: Name = ""  # which of the boards; "" when whoever read it did not say
    at: AwareDatetime  # when it was read
    board: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    model_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    windows: Annotated[int, Field(ge=1, le=65535)]
    alarm: bool
    rows: Annotated[tuple[TestReading, ...], Field(min_length=1, max_length=MAX_TESTS)]

    @model_validator(mode="after")
    def _agrees(self) -> Reading:
        if self.alarm != any(row.alarm for row in self.rows):
            raise ValueError(f"alarm is {str(self.alarm).lower()}, which its rows are not")
        if len({row.test for row in self.rows}) != len(self.rows):
            raise ValueError("two rows of one test")
        return self


def parse_reading(text: bytes, now: datetime) -> Reading:
    """A reading from its JSON; ValueError says which field is wrong and why."""
    if len(text) > MAX_READING_BYTES:
        raise ValueError(f"longer than {MAX_READING_BYTES // 1024} KiB")
    try:
        found = Reading.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg']}" if place else str(first["msg"])) from None
    if found.at < EARLIEST:
        raise ValueError(f"at: {found.at.isoformat()}: the board's clock is not set")
    if found.at > now + AHEAD:
        raise ValueError(f"at: {found.at.isoformat()} lies in the future: the clock is wrong")
    return found


def reading_line(verdict: Mapping[str, Any], device: str, at: datetime) -> str:
    """The reading of a drift.json, one line of JSON; ValueError when it is none."""
    content = {**verdict, "device": device, "at": at.isoformat(timespec="seconds")}
    line = json.dumps(content, sort_keys=True)
    parse_reading(line.encode(), at)
    return line
