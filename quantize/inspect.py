"""All about a .tflite file before anything is built: layers, costs, problems, fit, warnings."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from model.paths import ROOT
from model.text import printable
from quantize.advice import (
    constant_warnings,
    float_operators,
    saturation_warnings,
    type_warnings,
    weight_warnings,
)
from quantize.budgets import lower_and_plan
from quantize.emit_c import initial_constant, step_constants
from quantize.errors import ModelError, QuantizeError
from quantize.fuse import Simplified, simplify
from quantize.lowering import KERNEL_SETS, LoweredStep, lower
from quantize.lowering.base import alternative
from quantize.lowering.rows import describe_rows
from quantize.ops import weights_of
from quantize.reference import Reference, Step, compile_graph, prepare_step
from quantize.tflite.constants import FREE
from quantize.tflite.files import model_bytes
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro
from quantize.timings import CHIPS

BOARDS_DIR = ROOT / "boards"
SHOWN = ("armv7em", "xtensa_mac16")  # sets whose kernels are listed on a terminal
LISTED = 6  # operators with the same problem
EXACT_OPERATORS = 150  # of a model; choosing kernels for more takes too long here
CODE_BYTES = 24 << 10  # what application, link and kernels need at most
DATA_BYTES = 16 << 10  # stack, link and application


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One operator; `problem` says why it is not supported."""

    index: int
    op: str
    version: int
    inputs: list[str]  # 'int8 1x49x10x1', '#' in front of constants
    outputs: list[str]
    macs: int
    constant_bytes: int
    activation_bytes: int  # of its outputs
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The kernels of one operator, and what they are predicted to take; `instead_of` were looked at
    and take too much of what is named."""

    operator: str
    kernels: str
    instructions: int | None
    cycles: int | None
    instead_of: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Whether the model fits into one board's memories, with what stays free in the tightest."""

    board: str
    title: str
    fits: bool
    memories: list[dict[str, Any]]  # name, bytes, used: constants, arena and a reserve


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What `quantize inspect` prints. `arena_bytes` is a lower bound when not `supported`.

    Layers are the file's; the totals of what is supported are the firmware's, after folding.
    """

    model: str
    model_bytes: int
    model_sha256: str
    supported: bool
    problems: list[str]
    warnings: list[str]
    layers: list[Layer]
    inputs: list[str]
    outputs: list[str]
    folded_channels: int
    folded_macs: int
    folded_bytes: int
    macs: int
    constant_bytes: int
    arena_bytes: int
    arenas: dict[str, int]  # with each set of kernels
    fused: list[str]  # operators that are one with every set
    together: dict[str, list[str]]  # and operators that run together with some sets
    kernels: dict[str, list[Choice]]  # of each set but the reference's
    ram_budget_bytes: int | None
    tflm_arena_bytes: int | None
    fit: list[Fit]


def inspect_model(path: Path, array: str | None = None, ram_bytes: int | None = None) -> Inspection:
    """Read a file and judge it, with a budget of its arena.

    Raises ModelError when it cannot be read at all, as model_bytes does.
    """
    data = model_bytes(path, array)
    graph = parse_model(data, str(path))
    steps, problems = _prepare_all(graph)
    tflm_arena = None
    if not problems:
        tflm_arena, problems = _whole_model(graph, data)
    supported = not problems
    layers = [
        _layer(graph, op, steps.get(op.index), problems.get(op.index)) for op in graph.operators
    ]
    simple = simplify(graph) if supported else None
    folding = simple.folding if simple else None
    folded = (folding.channels, folding.macs, folding.bytes) if folding else (0, 0, 0)
    choices: dict[str, list[Choice]] = {}
    sets, too_large = _sets(simple, ram_bytes, tflm_arena, choices) if simple else ({}, [])
    ref = sets.get("ref")
    arena = ref.arena_bytes if ref else _live_bytes(graph)
    constants = ref.constant_bytes if ref else sum(layer.constant_bytes for layer in layers)
    return Inspection(
        model=str(path),
        model_bytes=len(data),
        model_sha256=hashlib.sha256(data).hexdigest(),
        supported=supported,
        problems=_once(problems.values()),
        warnings=[*too_large, *_warnings(graph, supported)],
        layers=layers,
        inputs=[_text(graph, i) for i in graph.inputs],
        outputs=[_text(graph, i) for i in graph.outputs],
        folded_channels=folded[0],
        folded_macs=folded[1],
        folded_bytes=folded[2],
        macs=sum(layer.macs for layer in layers) - folded[1],
        constant_bytes=constants,
        arena_bytes=arena,
        arenas={kernels: found.arena_bytes for kernels, found in sets.items()},
        fused=[f.text for f in simple.fusions] if simple else [],
        together={kernels: found.together for kernels, found in sets.items() if found.together},
        kernels=choices,
        ram_budget_bytes=ram_bytes,
        tflm_arena_bytes=tflm_arena,
        fit=_fit(constants, arena, sets),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    """What a model needs with a set of kernels."""

    constant_bytes: int
    arena_bytes: int
    together: list[str]  # operators that run together


def _sets(
    simple: Simplified,
    ram_bytes: int | None,
    usual_bytes: int | None,
    choices: dict[str, list[Choice]],
) -> tuple[dict[str, _Set], list[str]]:
    """What is needed with each set of kernels; a sentence for each set that the budget is too
    small for. Of a model with more than EXACT_OPERATORS only the reference kernels. What is chosen
    goes to `choices`."""
    sets, too_large = {}, []
    for kernels in KERNEL_SETS if len(simple.steps) <= EXACT_OPERATORS else ("ref",):
        for budget in (ram_bytes, None):
            try:
                lowered, plan = lower_and_plan(
                    simple.graph,
                    simple.steps,
                    kernels,
                    ram_bytes=budget,
                    usual_bytes=usual_bytes,
                )
            except QuantizeError as error:
                too_large.append(str(error))
            else:
                sets[kernels] = _Set(
                    constant_bytes=_constant_bytes(simple.graph, lowered),
                    arena_bytes=plan.bytes,
                    together=[describe_rows(one) for one in lowered if one.before],
                )
                if kernels in CHIPS:
                    choices[kernels] = [_choice(step) for step in lowered if step.calls]
                break
    return sets, too_large


def _choice(lowered: LoweredStep) -> Choice:
    taken, cost = alternative(lowered, ""), lowered.cost
    return Choice(
        operator=f"{lowered.step.op.index} {lowered.step.op.name}",
        kernels=taken.kernels,
        instructions=None if cost is None else round(cost.instructions),
        cycles=None if cost is None else round(cost.cycles),
        instead_of=[
            f"{other.kernels}: {other.cost.cycles:,.0f} cycles"
            + (f", too much {other.reason}" if other.reason != "cycles" else "")
            for other in lowered.alternatives
            if other.cost
        ],
    )


def _constant_bytes(graph: Graph, lowered: Sequence[LoweredStep]) -> int:
    own = [c.bytes for step in lowered for c in step_constants(graph, step)]
    firsts = [initial_constant(tensor) for tensor in graph.variables]
    return sum(own) + sum(c.bytes for c in firsts if c is not None)


def _prepare_all(graph: Graph) -> tuple[dict[int, Step], dict[int, str]]:
    """Each operator that compiles, and what is wrong with each that does not."""
    steps: dict[int, Step] = {}
    problems: dict[int, str] = {}
    for op in graph.operators:
        try:
            steps[op.index] = prepare_step(graph, op)
        except ModelError as error:
            problems[op.index] = str(error)
    return steps, problems


def _once(problems: Iterable[str]) -> list[str]:
    """Each reason once, with the operators that have it: those whose texts are the same, and all
    of those with free dimensions."""
    found: dict[str, list[tuple[str, str]]] = {}
    for problem in problems:
        match = re.match(r"operator (\d+) ", problem)
        number, rest = (match[1], problem[match.end() :]) if match else ("", problem)
        found.setdefault(FREE if rest.endswith(FREE) else rest, []).append((number, rest))
    told = []
    for places in found.values():
        number, rest = places[0]
        if len(places) > 1:
            listed = ", ".join(n for n, _ in places[:LISTED])
            more = ", ..." if len(places) > LISTED else ""
            told.append(f"{len(places)} operators ({listed}{more}); the first, {rest}")
        else:
            told.append(f"operator {number} {rest}" if number else rest)
    return told


def _whole_model(graph: Graph, data: bytes) -> tuple[int | None, dict[int, str]]:
    """(arena of TFLite Micro, problems) of a model whose operators compile one by one."""
    try:
        compile_graph(graph)
        return TfliteMicro(data).arena().total, {}
    except ModelError as error:
        return None, {-1: str(error)}


def _warnings(graph: Graph, supported: bool) -> Iterator[str]:
    yield from type_warnings(graph)
    yield from weight_warnings(graph)
    if supported:
        reference = Reference(graph)
        yield from _float_boards(graph)
        yield from constant_warnings(graph, reference.steps)
        yield from saturation_warnings(reference)


def _float_boards(graph: Graph) -> Iterator[str]:
    """Where float operators run in a float unit, and where they take many instructions each."""
    if not float_operators(graph):
        return
    boards: dict[bool, list[str]] = {True: [], False: []}
    for path in sorted(BOARDS_DIR.glob("*.json")):
        facts = json.loads(path.read_text("utf-8"))["tinyproof"]
        if facts["toolchain"]:  # another computer than this one
            has_unit = any(flag.startswith("-mfpu=") for flag in facts["flags"])
            boards[has_unit].append(path.stem)
    with_unit, without = (", ".join(names[:-1]) + " and " + names[-1] for names in boards.values())
    yield (
        f"float32 runs in a float unit on {with_unit}; {without} compute it in software, "
        "with the same bits and many instructions for each operation"
    )


def _layer(graph: Graph, op: Operator, step: Step | None, problem: str | None) -> Layer:
    own = [graph.tensors[i] for i in op.inputs if i >= 0 and graph.tensors[i].data is not None]
    fits = sum(t.bytes for t in own) < 1 << 23  # C text of more would take gigabytes
    constants = step_constants(graph, lower(graph, [step])[0]) if step and fits else None
    return Layer(
        index=op.index,
        op=op.name,
        version=op.version,
        inputs=[_text(graph, i) for i in op.inputs],
        outputs=[_text(graph, i) for i in op.outputs],
        macs=step.spec.macs(step.params) if step else _macs(graph, op),
        constant_bytes=sum(c.bytes for c in constants)
        if constants is not None
        else sum(t.bytes for t in own),
        activation_bytes=sum(graph.tensors[i].bytes for i in op.outputs),
        problem=problem,
    )


def _macs(graph: Graph, op: Operator) -> int:
    """MACs of a layer that we do not compile, from its shapes."""
    weights, tensor = weights_of(op), graph.optional_input(op, 1)
    if weights is None or tensor is None or not tensor.shape or not op.outputs:
        return 0
    return graph.output(op).elements * weights.products(tensor.shape)


def _text(graph: Graph, index: int) -> str:
    if index < 0:
        return "-"
    tensor = graph.tensors[index]
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    return f"{'#' if tensor.data is not None else ''}{tensor.dtype} {shape}"


def _live_bytes(graph: Graph) -> int:
    """The largest sum of tensors that are needed at one operator."""
    last = {i: op.index for op in graph.operators for i in op.inputs}
    last |= dict.fromkeys(graph.outputs, len(graph.operators))
    live, maximum = set(graph.inputs), 0
    for op in graph.operators:
        live |= set(op.outputs)
        maximum = max(maximum, sum(graph.tensors[i].bytes for i in live))
        live = {i for i in live if last.get(i, -1) > op.index}
    return maximum


def _fit(constants: int, arena: int, sets: Mapping[str, _Set]) -> list[Fit]:
    """The model in the memories of every board that has limits, with the kernels of its chip.

    `constants` and `arena` count where a set is not among `sets`.
    """
    fits = []
    for path in sorted(BOARDS_DIR.glob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        ours = content["tinyproof"]
        kernels = (ours.get("upload") or ours)["kernels"]
        found = sets.get(kernels)
        own, data = (found.constant_bytes, found.arena_bytes) if found else (constants, arena)
        needs = {"code": CODE_BYTES, "constants": own, "data": data + DATA_BYTES}
        rows = [
            {
                "name": memory["name"],
                "bytes": memory["bytes"],
                "used": sum(needs[kind] for kind in memory["holds"]),
            }
            for memory in content["tinyproof"]["memories"]
            if memory["holds"]
        ]
        good = all(row["used"] <= row["bytes"] for row in rows)
        if rows:
            fits.append(Fit(board=path.stem, title=content["name"], fits=good, memories=rows))
    return fits


def print_inspection(found: Inspection, console: Console) -> None:
    """The tables for a terminal."""
    console.print(f"{escape(printable(found.model))}: {found.model_bytes} bytes, SHA-256 "
                  f"{found.model_sha256[:16]}", highlight=False)  # fmt: skip
    console.print(f"in {', '.join(found.inputs)}; out {', '.join(found.outputs)}", highlight=False)
    table = Table("", "operator", "v", "inputs", "output", "MACs", "constants", "activations", "")
    for layer in found.layers:
        table.add_row(
            str(layer.index),
            escape(layer.op),
            str(layer.version),
            _short(layer.inputs),
            _short(layer.outputs),
            f"{layer.macs:,}",
            f"{layer.constant_bytes:,}",
            f"{layer.activation_bytes:,}",
            "[red]no[/]" if layer.problem else "[green]yes[/]",
        )
    bound = "" if found.supported else "at least "
    table.add_section()
    if found.folded_channels:
        table.add_row("", f"folded: {found.folded_channels} channels", "", "", "",
                      f"-{found.folded_macs:,}", f"-{found.folded_bytes:,}", "", "")  # fmt: skip
    table.add_row("", "all", "", "", "", f"{found.macs:,}", f"{found.constant_bytes:,}",
                  f"arena {bound}{found.arena_bytes:,}", "")  # fmt: skip
    console.print(table)
    if found.supported:
        sets = ", ".join(f"{size:,} with the kernels {name}" for name, size in found.arenas.items())
        budget = f"; the budget is {found.ram_budget_bytes:,}" if found.ram_budget_bytes else ""
        console.print(f"arena: {sets}; TFLite Micro's interpreter takes {found.tflm_arena_bytes:,}"
                      f"{budget}", highlight=False, soft_wrap=True)  # fmt: skip
        for text in found.fused:
            console.print(f"fused: {text}", highlight=False, soft_wrap=True)
        for name, texts in found.together.items():
            for text in texts:
                told = f"fused with the kernels {name}: {text}"
                console.print(told, highlight=False, soft_wrap=True)
        for kernels in SHOWN:
            if kernels in found.kernels:
                console.print(_choices_table(kernels, found.kernels[kernels]))
        console.print(_fit_table(found.fit))
        console.print(
            "used: constants and arena with the board's own kernels, and a reserve of "
            f"{CODE_BYTES >> 10} KB for code and {DATA_BYTES >> 10} KB for stack and link"
        )
    for kind, lines in (("problem", found.problems), ("warning", found.warnings)):
        for line in lines:
            told = printable(f"{kind}: {line}")
            console.print(told, markup=False, highlight=False, soft_wrap=True)
    verdict = "supported" if found.supported else f"not supported: {len(found.problems)} problem(s)"
    console.print(verdict, highlight=False)


def _short(texts: Sequence[str], maximum: int = 3) -> str:
    more = f"\n+{len(texts) - maximum}" if len(texts) > maximum else ""
    return "\n".join(texts[:maximum]) + more


def _choices_table(kernels: str, choices: Sequence[Choice]) -> Table:
    """What was chosen for a set's chip, by the lowerings' own models of its cycles."""
    chip = CHIPS[kernels][0]
    table = Table("operator", f"kernel, set {kernels}", "instructions", f"cycles, {chip}",
                  "instead of", title=f"predicted for the {chip}")  # fmt: skip
    for choice in choices:
        numbers = [f"{n:,}" if n is not None else "" for n in (choice.instructions, choice.cycles)]
        table.add_row(choice.operator, choice.kernels, *numbers, "\n".join(choice.instead_of))
    known = [choice for choice in choices if choice.cycles is not None]
    table.add_section()
    table.add_row("all that are predicted", "", f"{sum(c.instructions or 0 for c in known):,}",
                  f"{sum(c.cycles or 0 for c in known):,}", "")  # fmt: skip
    return table


def _fit_table(fits: Sequence[Fit]) -> Table:
    table = Table("board", "", "memory", "bytes", "used", "free")
    for fit in fits:
        for row in fit.memories:
            free = row["bytes"] - row["used"]
            mark = "[green]fits[/]" if fit.fits else "[red]too large[/]"
            numbers = (f"{row['bytes']:,}", f"{row['used']:,}", f"{free:,}")
            table.add_row(escape(fit.title), mark, row["name"], *numbers)
    return table


def as_json(found: Inspection) -> str:
    """The same for machines."""
    return json.dumps(asdict(found), indent=2, sort_keys=True)
