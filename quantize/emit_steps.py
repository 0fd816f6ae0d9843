"""How model.c runs its steps: each by a statement of its own or, where that is shorter code, the
calls of a kernel by one, which takes parameters and places in the arena from a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Bytes of code, about: of a step by itself, by its set of kernels, as cores differ in the places in
# the arena that an instruction can hold; of a kernel in a table, and of what these begin with.
ALONE = {"armv7em": 23}
ALONE_ELSEWHERE = 30
KIND, BEGIN = 14, 80
POINTER = 4  # to a step's parameters
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
        return f"{self.function}(p.{self.field}, {', '.join(places)});"

    @property
    def field(self) -> str:
        """Of model_params_t."""
        return self.params_type.removeprefix("nn_").removesuffix("_t")

    @property
    def fits(self) -> bool:
        """Whether all that it takes are parameters and places."""
        return len(self.arguments) <= len(PLACES) and all(
            argument.place is not None for argument in self.arguments
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTable:
    """What the template of model.c needs for a table, of all steps in their order."""

    types: Mapping[str, str]  # of parameters -> field of model_params_t
    params: Sequence[tuple[str, str] | None]  # field and variable; None: the step is not in it
    places: Sequence[str]
    place_type: str
    names: str  # of places
    kinds: Mapping[str, Sequence[int]]  # statement -> its steps
    alone: Sequence[int]  # steps that are not in it


def step_table(steps: Sequence[Statement | None], kernels: str) -> StepTable | None:
    """The table of `steps`, None where it is longer code; None among them: more than one call, or
    some rows at a time."""
    rows = [step if step and step.fits else None for step in steps]
    own = [row for row in rows if row]
    if not own:
        return None
    kinds: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        if row:
            kinds[row.shared].append(number)
    width = max(len(row.arguments) for row in own)
    places = [[a.place or 0 for a in row.arguments] if row else [] for row in rows]
    small = max(map(max, filter(None, places))) < 1 << 16
    table = len(rows) * (POINTER + width * (2 if small else 4)) + KIND * len(kinds) + BEGIN
    if ALONE.get(kernels, ALONE_ELSEWHERE) * len(own) <= table:
        return None
    return StepTable(
        types={row.params_type: row.field for row in own},
        params=[(row.field, row.params) if row else None for row in rows],
        places=[", ".join(map(str, [*row, *[0] * (width - len(row))])) for row in places],
        place_type="uint16_t" if small else "uint32_t",
        names=PLACES[:width],
        kinds=kinds,
        alone=[number for number, row in enumerate(rows) if row is None],
    )
