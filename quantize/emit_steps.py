"""How model.c runs its steps: each by a statement of its own or, where that is shorter code, the
calls of a kernel by one, which takes parameters and places in the arena from a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Bytes of code, about: of a step by itself, by its set of kernels, as cores differ in the places in
# the arena that an instruction can hold; of a step and of a kernel in a table, and of what these
# begin with.
ALONE, ALONE_ELSEWHERE = {"armv7em": 23}, 30
ROW, KIND, BEGIN = 10, 14, 80
PLACES = "abc"  # a kernel takes at most so many, and its parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An argument of a kernel: `text` has {} where its place in the arena goes, if it has one."""

    text: str
    place: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A call of a kernel."""

    function: str
    params_type: str
    params: str  # the variable
    arguments: tuple[Argument, ...]

    @property
    def alone(self) -> str:
        """As it stands by itself."""
        places = [argument.text.format(f"base + {argument.place}") for argument in self.arguments]
        return f"{self.function}(&{self.params}, {', '.join(places)});"

    @property
    def shared(self) -> str:
        """The same for all with the same kernel, from the table."""
        places = [a.text.format(name) for a, name in zip(self.arguments, PLACES, strict=False)]
        return f"{self.function}(p.{field_of(self.params_type)}, {', '.join(places)});"

    @property
    def fits(self) -> bool:
        """Whether all that it takes are parameters and places."""
        return len(self.arguments) <= len(PLACES) and all(
            argument.place is not None for argument in self.arguments
        )


def field_of(params_type: str) -> str:
    """Of model_params_t."""
    return params_type.removeprefix("nn_").removesuffix("_t")


def step_table(steps: Sequence[Statement | None], kernels: str) -> dict[str, Any] | None:
    """What the template needs for a table of `steps`, None where it is longer code; None among
    them: more than one call, or some rows at a time."""
    rows = [step if step and step.fits else None for step in steps]
    kinds: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        if row:
            kinds[row.shared].append(number)
    own = [row for row in rows if row]
    alone = ALONE.get(kernels, ALONE_ELSEWHERE)
    if alone * len(own) <= ROW * len(rows) + KIND * len(kinds) + BEGIN:
        return None
    width = max(len(row.arguments) for row in own)
    places = [[a.place or 0 for a in row.arguments] if row else [] for row in rows]
    return {
        "types": {row.params_type: field_of(row.params_type) for row in own},
        "params": [(field_of(row.params_type), row.params) if row else None for row in rows],
        "places": [", ".join(map(str, [*row, *[0] * (width - len(row))])) for row in places],
        "place_type": "uint16_t" if max(map(max, filter(None, places))) < 1 << 16 else "uint32_t",
        "names": PLACES[:width],
        "kinds": kinds,
        "alone": [number for number, row in enumerate(rows) if row is None],
    }
