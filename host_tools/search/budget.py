"""What a firmware may cost: limits in bytes and instructions, or in percent of another's."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from host_tools.errors import UsageError

_PART = re.compile(r"(?P<name>[a-z]+)=(?P<value>[0-9]+(?:\.[0-9]+)?)(?P<percent>%?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one candidate takes on a board."""

    flash: int  # bytes of the whole firmware
    constants: int  # bytes of the model's constants, which are the part of it that a search changes
    instructions: int  # of one inference (an emulator's count)
    arena: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits; None = no limit."""

    flash: int | None = None
    constants: int | None = None
    instructions: int | None = None
    arena: int | None = None

    def excess(self, cost: Cost) -> float:
        """The largest ratio of a cost to its limit; at most 1 within the budget."""
        spent: dict[str, int] = asdict(cost)
        ratios: list[float] = [spent[name] / limit for name, limit in asdict(self).items() if limit]
        return max(ratios)

    def describe(self) -> str:
        """For tables and messages."""
        return ", ".join(f"{n} {limit:,}" for n, limit in asdict(self).items() if limit)


def parse_budget(text: str, default: Cost) -> Budget:
    """Read 'flash=16000,instructions=50%'; percentages are of `default`.

    Raises UsageError for anything else, and for a limit of 0.
    """
    limits: dict[str, int] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        found = _PART.fullmatch(part)
        names = asdict(default)
        if found is None or found["name"] not in names or found["name"] in limits:
            raise UsageError(
                f"BUDGET={text}: {part!r} is not understood; expected each of "
                f"{', '.join(names)} at most once, as in flash=16000,instructions=50%"
            )
        value = float(found["value"])
        limit = int(names[found["name"]] * value / 100) if found["percent"] else int(value)
        if limit < 1:
            raise UsageError(f"BUDGET={text}: {part!r} leaves nothing; expected a limit above 0")
        limits[found["name"]] = limit
    if not limits:
        raise UsageError("BUDGET is empty; give one, as in BUDGET=flash=50%,instructions=50%")
    return Budget(**limits)
