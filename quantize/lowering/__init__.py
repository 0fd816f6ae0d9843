"""Choose the kernels that compute each step: one set of kernels for each kind of core."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from quantize.errors import QuantizeError
from quantize.lowering import (
    conv_cortex_m,
    conv_mac16,
    conv_wide_cortex_m,
    conv_xtensa,
    dense_cortex_m,
    dense_mac16,
    dense_xtensa,
    depthwise_cortex_m,
    depthwise_mac16,
    depthwise_wide_cortex_m,
    depthwise_xtensa,
    elementwise_cortex_m,
    elementwise_wide_cortex_m,
    elementwise_xtensa,
    fours_cortex_m,
    lstm_cortex_m,
    matmul_cortex_m,
    pairs,
    pool_cortex_m,
    scalar_cortex_m,
    svdf_cortex_m,
    transpose_conv_cortex_m,
    winograd_cortex_m,
)
from quantize.lowering.base import (
    Alternative,
    LoweredStep,
    alternative,
    constant_operands,
    first_values_bytes,
)
from quantize.ops.rules import Lowering
from quantize.reference import Step
from quantize.tflite.graph import Graph
from quantize.timings import usual

__all__ = ["KERNEL_SETS", "LARGER", "LoweredStep", "Need", "lower", "with_larger"]

# Makes faster calls of a step; None from it: take the reference kernel. Its last argument are the
# bytes of scratch that do not make the arena much larger.
Lower = Callable[[Graph, Step, int], LoweredStep | None]
# Which of them an operator takes, its OpSpec says.
KERNEL_SETS: dict[str, Mapping[Lowering, Lower]] = {
    "ref": {},
    "armv7em": {
        Lowering.AVERAGE_POOL: pool_cortex_m.lower_average_pool,
        Lowering.BATCH_MATMUL: matmul_cortex_m.lower_matmul,
        Lowering.CONVOLUTION: conv_cortex_m.lower_conv,
        Lowering.DENSE: dense_cortex_m.lower_dense,
        Lowering.DEPTHWISE: depthwise_cortex_m.lower_depthwise,
        Lowering.LSTM: lstm_cortex_m.lower_lstm,
        Lowering.MAX_POOL: pool_cortex_m.lower_max_pool,
        Lowering.MEAN: pool_cortex_m.lower_mean,
        Lowering.PAIR_TABLE: pairs.lower_table,
        Lowering.PRODUCT: elementwise_cortex_m.lower_product,
        Lowering.RESCALE: elementwise_cortex_m.lower_rescale,
        Lowering.SOFTMAX: elementwise_cortex_m.lower_softmax,
        Lowering.SQUARED_DIFFERENCE: scalar_cortex_m.lower_squares,
        Lowering.SVDF: svdf_cortex_m.lower_svdf,
        Lowering.TRANSPOSE_CONV: transpose_conv_cortex_m.lower_transpose_conv,
        Lowering.WEIGHTED_SUM: elementwise_cortex_m.lower_sum,
    },
    "xtensa": {
        Lowering.CONVOLUTION: conv_xtensa.lower_conv,
        Lowering.DENSE: dense_xtensa.lower_dense,
        Lowering.DEPTHWISE: depthwise_xtensa.lower_depthwise,
        Lowering.PAIR_TABLE: pairs.lower_table,
        Lowering.RESCALE: elementwise_xtensa.lower_rescale,
        Lowering.WEIGHTED_SUM: elementwise_xtensa.lower_sum,
    },
}
# what MAC16 does not make faster stays
KERNEL_SETS["xtensa_mac16"] = {
    **KERNEL_SETS["xtensa"],
    Lowering.CONVOLUTION: conv_mac16.lower_conv,
    Lowering.DENSE: dense_mac16.lower_dense,
    Lowering.DEPTHWISE: depthwise_mac16.lower_depthwise,
}

# the same for int16 activations; what is not here takes the reference kernel
INT16: dict[str, Mapping[Lowering, Lower]] = {
    "armv7em": {
        Lowering.CONVOLUTION: conv_wide_cortex_m.lower_conv,
        Lowering.DENSE: conv_wide_cortex_m.lower_dense,
        Lowering.DEPTHWISE: depthwise_wide_cortex_m.lower_depthwise,
        Lowering.PRODUCT: elementwise_wide_cortex_m.lower_product,
        Lowering.RESCALE: elementwise_wide_cortex_m.lower_rescale,
        Lowering.WEIGHTED_SUM: elementwise_wide_cortex_m.lower_sum,
    },
}

# packings that take more flash and fewer cycles: only where the flash has bytes for them
LARGER: dict[str, Mapping[Lowering, Sequence[Lower]]] = {
    "armv7em": {Lowering.CONVOLUTION: (winograd_cortex_m.lower_winograd,)},
    "xtensa_mac16": {Lowering.DENSE: (dense_mac16.lower_dense_halves,)},
}
# packings for small kernels that convolutions have, too: for layers that take few of all cycles
FRUGAL: dict[str, Mapping[Lowering, Lower]] = {
    "armv7em": {Lowering.DENSE: dense_cortex_m.lower_as_pixel}
}
FRUGAL_SHARE = 0.002  # of the model's cycles, which a kilobyte of code is worth,
FRUGAL_CYCLES = 300  # and so many are it in any case
SMALLER = {"xtensa_mac16": "xtensa"}  # whose kernels may take less scratch
REFERENCE_COST, REFERENCE_OUTPUT_COST = 7, 60  # instructions a MAC and an output, about
# Constants of a model without a budget, times those of the file: what the usual packings may take.
# MAC16 wants halfwords, and three channels share two words on the Xtensa.
USUAL_SHARE = {"armv7em": 1.1, "xtensa": 3.0, "xtensa_mac16": 2.4}
LARGER_SHARE = 1.1  # what larger ones may
# of scratch, in an arena of any size; a dense layer of MAC16 widens its inputs in there
FEW_BYTES = {"armv7em": 320, "xtensa": 64, "xtensa_mac16": 640}
SMALL_BYTES = 1024  # beside that: tables, and padding of layers that are small


Need = Callable[[LoweredStep], int]  # the bytes that are in use while a step runs


def lower(
    graph: Graph,
    steps: Sequence[Step],
    kernels: str = "ref",
    flash_bytes: int | None = None,
    ram: tuple[Need, int] | None = None,
) -> tuple[LoweredStep, ...]:
    """The kernel calls of all steps with the kernel set `kernels`, a key of KERNEL_SETS.

    Those that take the fewest estimated cycles of the set's chip, whose constants fit `flash_bytes`
    or, without it, the share of the file's constants that the set may take. Raises QuantizeError
    when none fits a budget. With `ram`, kernels that need at most so many bytes, or what needs
    least where there are none. Packings that take more flash are for a flash budget (with_larger
    takes them without one). Steps of few cycles take kernels with less code.
    """
    plain = tuple(_counted(graph, _reference(step)) for step in steps)
    if kernels == "ref":
        return plain
    budgets = _scratch_budgets_bytes(graph, FEW_BYTES[kernels])
    choices = [
        _choices(graph, step, kernels, budgets[step.op.index], ram, flash_bytes is not None)
        for step in steps
    ]
    picked = tuple(ways[0] for ways in choices)
    limit = _limit(_bytes(plain), USUAL_SHARE[kernels])
    firsts = sum(map(first_values_bytes, graph.variables))
    if flash_bytes is not None:
        picked = _within(choices, flash_bytes, limit, firsts, kernels)
    elif _bytes(picked) > limit:
        choices = [
            _choices(graph, step, kernels, budgets[step.op.index], ram, others=True)
            for step in steps
        ]
        picked = _within(choices, None, limit, firsts, kernels)
    most = limit if flash_bytes is None else flash_bytes - firsts
    picked = _with_one_for_windows(graph, picked, kernels, ram, most)
    return _with_less_code(graph, picked, kernels, ram, most - _bytes(picked))


def _with_one_for_windows(
    graph: Graph,
    picked: tuple[LoweredStep, ...],
    kernels: str,
    ram: tuple[Need, int] | None,
    most_bytes: int,
) -> tuple[LoweredStep, ...]:
    """The steps with one kernel that gathers windows where that costs little: nn_conv_2d_fours_s8
    if it can take all of them, else nn_conv_2d_packed_s8, which is there then, for those that it is
    faster for. `most_bytes` of constants."""
    fours, packed = fours_cortex_m.KERNEL, conv_cortex_m.PACKED
    functions = [way.calls[0].function if way.calls else "" for way in picked]
    if packed not in functions:
        return picked
    budgets = _scratch_budgets_bytes(graph, FEW_BYTES[kernels])
    made: dict[str, dict[int, LoweredStep]] = {fours: {}, packed: {}}
    for number, (way, function) in enumerate(zip(picked, functions, strict=True)):
        if function in made:
            ((make, *_), _) = _makers(graph, way.step, kernels)
            scratch = budgets[way.step.op.index] if function == packed else way.scratch_bytes - 1
            other = make(graph, way.step, scratch)
            if other and other.calls[0].function in made and not (ram and ram[0](other) > ram[1]):
                made[other.calls[0].function][number] = _counted(graph, other)
    wanted = {number for number, function in enumerate(functions) if function == packed}
    if wanted <= {*made[fours]}:
        every = tuple(made[fours].get(number, way) for number, way in enumerate(picked))
        if _bytes(every) <= most_bytes:
            return every
    return tuple(
        less if (less := made[packed].get(number)) and _cycles(less) < _cycles(way) else way
        for number, way in enumerate(picked)
    )


def _with_less_code(
    graph: Graph,
    picked: tuple[LoweredStep, ...],
    kernels: str,
    ram: tuple[Need, int] | None,
    free_bytes: int,
) -> tuple[LoweredStep, ...]:
    """The steps, those of a kind with FRUGAL kernels where all of them together lose fewer cycles
    than the code of their own kernels is worth. No scratch of theirs makes the arena larger, or it
    is FEW_BYTES at most."""
    found, live = picked, _live_bytes(graph)
    room = [max(max(live) - size, FEW_BYTES[kernels]) for size in live] if kernels in FRUGAL else []
    for kind, make in FRUGAL.get(kernels, {}).items():
        own = [
            way
            for way in picked
            if _kind(graph, way.step, kernels) == kind
            and way.calls[0].function not in (conv_cortex_m.POINTS, conv_cortex_m.SINGLE)
        ]
        made = [make(graph, way.step, room[way.step.op.index]) for way in own]
        ways = {way.step.op.index: _counted(graph, way) for way in made if way}
        fit = ram is None or all(ram[0](way) <= ram[1] for way in ways.values())
        lost = sum(map(_cycles, ways.values())) - sum(map(_cycles, own))
        more = _bytes([*ways.values()]) - _bytes(own)
        most = max(FRUGAL_SHARE * sum(map(_cycles, picked)), FRUGAL_CYCLES)
        worth = lost <= most and more <= free_bytes
        if len(ways) == len(own) and fit and worth:
            found = tuple(_instead(way, ways.get(way.step.op.index)) for way in found)
            free_bytes -= more
    return found


def _instead(way: LoweredStep, smaller: LoweredStep | None) -> LoweredStep:
    """A step with less code where it exists, and what it was before among its alternatives."""
    if smaller is None:
        return way
    reason = "code" if _cycles(way) < _cycles(smaller) else "cycles"
    return replace(smaller, alternatives=(*way.alternatives, alternative(way, reason)))


def with_larger(
    graph: Graph, usual: Sequence[LoweredStep], kernels: str
) -> tuple[LoweredStep, ...]:
    """The steps with packings that take more flash and fewer cycles, as far as all constants are at
    most LARGER_SHARE times the file's; their scratch may make the arena larger."""
    budgets = _scratch_budgets_bytes(graph, FEW_BYTES[kernels])
    file_bytes = sum(_counted(graph, _reference(way.step)).constant_bytes for way in usual)
    choices = [
        [way, *_larger(graph, way.step, kernels, budgets[way.step.op.index])] if way.cost else [way]
        for way in usual
    ]
    return _improve([*usual], choices, int(LARGER_SHARE * file_bytes))


def with_less_scratch(
    graph: Graph, usual: Sequence[LoweredStep], kernels: str
) -> tuple[LoweredStep, ...]:
    """The steps with the kernels that come next for less scratch; as they are where that is the
    reference's, or takes more constants."""

    def less(way: LoweredStep) -> LoweredStep:
        makers, _ = _makers(graph, way.step, kernels)
        made = makers[0](graph, way.step, way.scratch_bytes - 1) if makers else None
        if made is None or made.scratch_bytes >= way.scratch_bytes:
            return way
        counted = _counted(graph, made)
        return counted if counted.constant_bytes <= way.constant_bytes else way

    return tuple(less(way) if way.scratch_bytes else way for way in usual)


def _larger(graph: Graph, step: Step, kernels: str, scratch_bytes: int) -> list[LoweredStep]:
    """The step in packings that take more flash."""
    _, makers = _makers(graph, step, kernels)
    made = [make(graph, step, scratch_bytes) for make in makers]
    return [_counted(graph, lowered) for lowered in made if lowered is not None]


def _bytes(steps: Sequence[LoweredStep]) -> int:
    return sum(lowered.constant_bytes for lowered in steps)


def _limit(file_bytes: int, share: float) -> int:
    return int(share * file_bytes) + SMALL_BYTES


def _choices(
    graph: Graph,
    step: Step,
    kernels: str,
    scratch_bytes: int,
    ram: tuple[Need, int] | None,
    others: bool,
) -> list[LoweredStep]:
    """The ways to compute a step, the usual one first; with `others` those with more or fewer
    constants too. All have a cost where there are several."""
    makers, _ = _makers(graph, step, kernels)
    reference = _counted(graph, _reference(step))
    if not makers:
        return [reference]
    made = _larger(graph, step, kernels, scratch_bytes) if others else []
    found: list[LoweredStep | None] = [makers[0](graph, step, scratch_bytes) or reference, *made]
    short = ram is not None and found[0] is not None and ram[0](found[0]) > ram[1]
    if short or others:
        spare = max(ram[1] - ram[0](reference), 0) if ram else scratch_bytes
        found += [make(graph, step, scratch) for make in makers for scratch in (spare, 0)]
        found.append(reference)
    ways = [_counted(graph, lowered) for lowered in found if lowered is not None]
    if ways[0].cost is None:  # nothing to compare
        ways = [ways[0], reference] if short else ways[:1]
    inputs = graph.tensors[step.op.inputs[0]].elements
    rough = usual(
        REFERENCE_COST * max(step.spec.macs(step.params), inputs)
        + REFERENCE_OUTPUT_COST * graph.output(step.op).elements,
        kernels,
    )
    known = [w if w.cost else replace(w, cost=rough) for w in ways] if len(ways) > 1 else ways
    return _that_fit(known, ram)


def _that_fit(ways: list[LoweredStep], ram: tuple[Need, int] | None) -> list[LoweredStep]:
    """Those within the RAM, cheapest first where the first is not; or what needs least."""
    if ram is None:
        return ways
    need, limit = ram
    fit = [way for way in ways if need(way) <= limit] or [min(ways, key=need)]
    return fit if fit[0] is ways[0] else sorted(fit, key=_cycles)


def _cycles(lowered: LoweredStep) -> float:
    return lowered.cost.cycles if lowered.cost else 0.0


def _within(
    choices: Sequence[Sequence[LoweredStep]],
    budget: int | None,
    limit: int,
    firsts: int,
    kernels: str,
) -> tuple[LoweredStep, ...]:
    """Begin with the smallest of each step; `limit` without a budget, or what is least. `firsts`
    are the bytes of variables' first values, for which a budget has to have room."""
    smallest = [min(ways, key=lambda way: way.constant_bytes) for ways in choices]
    least = _bytes(smallest)
    if budget is not None and budget < least + firsts:
        raise QuantizeError(
            f"a flash budget of {budget} bytes: with the kernels {kernels} the model's constants "
            f"take at least {least + firsts}; allow that much, or make the model smaller (a budget "
            "holds for every set of kernels)"
        )
    return _improve(smallest, choices, max(limit, least) if budget is None else budget - firsts)


def _improve(
    picked: list[LoweredStep], choices: Sequence[Sequence[LoweredStep]], budget: int
) -> tuple[LoweredStep, ...]:
    """Again and again what saves most cycles for a byte, while the constants fit the budget."""
    picked, free = [*picked], budget - _bytes(picked)
    while True:
        better = [
            ((_cycles(now) - _cycles(way)) / max(more, 1), i, way)
            for i, now in enumerate(picked)
            for way in choices[i]
            for more in [way.constant_bytes - now.constant_bytes]
            if _cycles(way) < _cycles(now) and more <= max(free, 0)
        ]
        if not better:
            break
        _, i, best = max(better, key=lambda item: item[0])
        free -= best.constant_bytes - picked[i].constant_bytes
        picked[i] = best
    return tuple(
        replace(way, alternatives=(*way.alternatives, *_others(way, ways, free)))
        for way, ways in zip(picked, choices, strict=True)
    )


def _others(way: LoweredStep, ways: Sequence[LoweredStep], free: int) -> tuple[Alternative, ...]:
    """The ways that were not taken, and why."""
    found: dict[str, Alternative] = {}
    for other in ways:
        larger = other.constant_bytes - way.constant_bytes > free
        reason = "flash" if larger and _cycles(other) < _cycles(way) else "cycles"
        one = alternative(other, reason)
        if one.kernels != alternative(way, "").kernels:
            found.setdefault(one.kernels, one)
    return tuple(found.values())


def _live_bytes(graph: Graph) -> list[int]:
    """The tensors that exist while each operator runs."""
    last = {i: op.index for op in graph.operators for i in op.inputs}
    last |= dict.fromkeys(graph.outputs, len(graph.operators))
    alive = set(graph.inputs)
    live = []
    for op in graph.operators:
        alive |= set(op.outputs)
        live.append(sum(graph.tensors[i].bytes for i in alive))
        alive = {i for i in alive if last.get(i, -1) > op.index}
    return live


def _scratch_budgets_bytes(graph: Graph, few: int) -> list[int]:
    """For each operator: a third more than the fullest one's tensors, less its own tensors; at
    least `few`."""
    live = _live_bytes(graph)
    return [max(max(live) * 4 // 3 - size, few) for size in live]


def _makers(graph: Graph, step: Step, kernels: str) -> tuple[list[Lower], Sequence[Lower]]:
    """What makes a step faster, then what may take less scratch; and what does so with more flash:
    by its activations' type."""
    if step.alias:
        return [], ()
    way, wide = step.spec.kernels.lowering(kernels), INT16.get(kernels, {})
    if graph.output(step.op).dtype == "int16":
        return [wide[way]] if way and way in wide else [], ()
    way = _kind(graph, step, kernels)
    if way is None:
        return [], ()
    sets = [KERNEL_SETS[kernels], KERNEL_SETS.get(SMALLER.get(kernels, ""), {})]
    return [s[way] for s in sets if way in s], LARGER.get(kernels, {}).get(way, ())


def _kind(graph: Graph, step: Step, kernels: str) -> Lowering | None:
    """How the set lowers a step of int8 activations."""
    return step.spec.kernels.lowering(kernels) if graph.output(step.op).dtype == "int8" else None


def _reference(step: Step) -> LoweredStep:
    return LoweredStep(
        step=step, calls=step.spec.calls(step.params), in_place=step.spec.in_place(step.params)
    )


def _counted(graph: Graph, lowered: LoweredStep) -> LoweredStep:
    """The step with the bytes of its constant operands."""
    size = sum(t.bytes for _, t in constant_operands(graph, lowered))
    return replace(lowered, operand_bytes=size) if size else lowered
