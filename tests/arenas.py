"""Our arenas beside the interpreter's: `python -m tests.arenas [FOLDER of .tflite] [MODELS EACH]`.

Compared is the whole arena, the interpreter's as `tflite_micro` reports it. Its head are tensors
that are computed and scratch; its tail are variable tensors, structs, and pointers of this machine.
`least` counts half of the tail without the variables, which a core of 32 bits needs in any case.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantize.budgets import lower_and_plan
from quantize.errors import ModelError
from quantize.fuse import simplify
from quantize.lowering import KERNEL_SETS
from quantize.planner import ArenaPlan
from quantize.tflite.reader import parse_model
from quantize.tflm import InterpreterArena, TfliteMicro
from tests.generators import GENERATORS


@dataclass(frozen=True, slots=True, kw_only=True)
class Arenas:
    """The interpreter's, and ours with each set of kernels, as they are by default."""

    interpreter: InterpreterArena
    plans: dict[str, ArenaPlan]

    @property
    def above(self) -> list[str]:
        """Kernels with which ours is the larger one."""
        return [k for k, plan in self.plans.items() if plan.bytes > self.interpreter.total]


def arenas_of(model: bytes) -> Arenas:
    """As `compile_sets` plans them."""
    interpreter, folding = TfliteMicro(model).arena(), simplify(parse_model(model))
    plans = {
        kernels: lower_and_plan(
            folding.graph, folding.steps, kernels, usual_bytes=interpreter.total
        )[1]
        for kernels in KERNEL_SETS
    }
    return Arenas(interpreter=interpreter, plans=plans)


def drawn(each: int, names: Iterable[str] = GENERATORS) -> Iterator[tuple[str, bytes]]:
    """So many models of the generators, with their names."""
    for name in names:
        rng = np.random.default_rng(7)
        yield from ((f"{name} {k}", GENERATORS[name](rng)) for k in range(each))


def _row(name: str, model: bytes) -> str:
    try:
        found = arenas_of(model)
    except ModelError as error:
        return f"| {name} | refused: {str(error)[:80]} |"
    own = [
        f"{plan.bytes:,}"
        + ("" if plan.bytes == plan.lower_bound else f" (>= {plan.lower_bound:,})")
        for plan in found.plans.values()
    ]
    i = found.interpreter
    cells = [name, *(f"{v:,}" for v in (i.total, i.least, i.head + i.variables)), *own]
    return "| " + " | ".join([*cells, "ABOVE" if found.above else ""]) + " |"


def main(folder: Path | None, each: int) -> None:
    """Print the table."""
    print("| model | interpreter | least | tensors | " + " | ".join(KERNEL_SETS) + " | |")
    print("|---|" + "--:|" * (3 + len(KERNEL_SETS)) + "---|")
    files = sorted(folder.glob("*.tflite")) if folder else []
    for name, model in [(path.stem, path.read_bytes()) for path in files] + list(drawn(each)):
        print(_row(name, model))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None, int((sys.argv[2:] or ["1"])[0]))
