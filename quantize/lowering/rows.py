"""Convolutions and poolings that run together, some rows at a time.

Of the tensors between them only the rows exist that the next operator's windows reach. A strip is
some rows of the last output: each operator computes the rows that are missing for it, with the
kernels that it has alone, as a smaller operator of the same weights. Rows that the next strip needs
again are moved to the front. So every output is computed once, by the same proven calls.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from quantize.lowering import KERNEL_SETS, REFERENCE_COST
from quantize.lowering.base import LoweredStep, Place, RowCall, Turns, aligned
from quantize.lowering.conv_cortex_m import POINTS, SINGLE, by_windows, has_room
from quantize.lowering.rows_cortex_m import KERNEL as ROWS
from quantize.ops.base import CCall, CConstant
from quantize.ops.conv_2d import ConvParams, numbered
from quantize.ops.copy import move_words
from quantize.ops.pool_2d import PoolParams
from quantize.ops.rules import Lowering
from quantize.reference import Step
from quantize.tflite.graph import Graph
from quantize.timings import CHIPS, NOTHING, Cost, usual

WORD = 4  # bytes to which kernels take rows
# of operators that run together, measured on the Cortex-M4
CALL = 300  # instructions of a call
AGAIN = 0.7  # of an input row's part of an operator, for one that a second call reads
MOVED = 0.7  # instructions a byte that is moved
TWO_ROWS = Lowering.DEPTHWISE  # whose kernels compute two rows at once
Params = ConvParams | PoolParams
Rows = tuple[int, int]  # from the first on, up to the second


@dataclass(frozen=True, slots=True)
class _Part:
    """What one operator does for a strip: `outputs` from `inputs`, which lie `pad` rows in."""

    outputs: Rows
    inputs: Rows
    pad: int


_Strip = list[_Part | None]  # of each operator; None: it has nothing to do


def runs_by_rows(step: Step) -> bool:
    """Whether an operator may run some rows at a time: one image of whole words in a row."""
    p = step.params
    if not isinstance(p, Params) or getattr(p, "groups", 1) != 1:
        return False
    return p.input_shape[0] == 1 and p.dtype == "int8" and not any(map(_odd, _row_bytes(p)))


def _odd(size: int) -> bool:
    return size % WORD != 0


def _row_bytes(p: Params) -> tuple[int, int]:
    """Of its input and its output."""
    (_, _, w, c), (_, _, out_w, out_c) = p.input_shape, p.output_shape
    return w * c, out_w * out_c


def bare_rows(alone: Sequence[LoweredStep], height: int) -> LoweredStep | None:
    """Operators as one step without calls yet, `height` rows of the last output at a time.

    `runs_by_rows` holds of all, and each but the last is read by its follower only. None where a
    window lies outside its input.
    """
    params: list[Params] = [one.step.params for one in alone]
    strips = _strips(params, height)
    if strips is None:
        return None
    first, last = alone[0].step.op, alone[-1].step
    ahead = aligned(_ahead(params, strips))
    return LoweredStep(
        step=replace(last, op=replace(last.op, inputs=(first.inputs[0],))),
        calls=(),
        in_place=(0,) if ahead == 0 else (),
        ahead_bytes=ahead,
        before=tuple(one.step for one in alone[:-1]),
        height=height,
        rows_bytes=_places(params, strips)[-1],
    )


def lower_rows(
    graph: Graph, alone: Sequence[LoweredStep], kernels: str, height: int
) -> LoweredStep | None:
    """The same with its calls, made of what each operator is alone.

    None where rows would be moved onto themselves, or constants would be held twice or be larger
    because kernels differ.
    """
    bare = bare_rows(alone, height)
    params: list[Params] = [one.step.params for one in alone]
    strips = _strips(params, height)
    if bare is None or strips is None:
        return None
    made = _Made(graph=graph, alone=alone, kernels=kernels)
    laid = _Laid(params=params, places=_places(params, strips))
    runs = []
    for strip in strips:
        run = laid.run(made, strip)
        if run is None:
            return None
        runs.append(run)
    if sum(c.bytes for call in made.calls for c in call.constants) > sum(
        one.constant_bytes - one.operand_bytes for one in alone
    ):
        return None  # a flash budget chose smaller ones
    return replace(
        bare,
        calls=tuple(made.calls),
        requantisation=" and ".join(sorted(made.forms)),
        cost=made.cost,
        turns=tuple(_turns(runs)),
    )


def describe_rows(lowered: LoweredStep) -> str:
    """Which operators run together, and how often in an inference."""
    steps = (*lowered.before, lowered.step)
    names = ", ".join(f"{s.op.name} #{s.op.index}" for s in steps)
    rows = steps[-1].params.output_shape[1]
    return f"{names} run together, {lowered.height} of {rows} rows at a time"


def instructions(alone: LoweredStep) -> int:
    """What an operator takes alone, about: one without a model of its own is the reference's."""
    macs: int = alone.step.spec.macs(alone.step.params)
    return round(alone.cost.instructions) if alone.cost else REFERENCE_COST * macs


def more_instructions(alone: Sequence[LoweredStep], height: int) -> int:
    """What operators take more when they run together, about: calls, rows that are prepared again
    and rows that are moved. 0 where they cannot."""
    params: list[Params] = [one.step.params for one in alone]
    strips, more = _strips(params, height) or [], 0.0
    for k, one in enumerate(alone):
        parts = [part for strip in strips if (part := strip[k])]
        again = sum(p.inputs[1] - p.inputs[0] for p in parts) - params[k].input_shape[1]
        odd = sum((p.outputs[1] - p.outputs[0]) % 2 for p in parts) - params[k].output_shape[1] % 2
        pairs = odd / params[k].output_shape[1] if one.step.spec.kernels.armv7em is TWO_ROWS else 0
        rows = max(again, 0) / params[k].input_shape[1] * AGAIN + max(pairs, 0)
        more += instructions(one) * rows + len(parts) * CALL
        more += max(again, 0) * _row_bytes(params[k])[0] * MOVED if k else 0
    return round(more)


def _places(params: Sequence[Params], strips: Sequence[_Strip]) -> list[int]:
    """Where the rows behind each operator but the last begin, then where all of them end."""
    places = [0]
    for k, p in enumerate(params[:-1]):
        rows = max(part.inputs[1] - part.inputs[0] for s in strips if (part := s[k + 1]))
        places.append(places[-1] + aligned(rows * _row_bytes(p)[1]))
    return places


def _strips(params: Sequence[Params], height: int) -> list[_Strip] | None:
    """What each operator does, strip by strip; None where a window sees no input."""
    rows, done = params[-1].output_shape[1], [0] * len(params)
    strips: list[_Strip] = []
    for start in range(0, rows, height):
        strip: _Strip = [None] * len(params)
        wanted = (start, min(start + height, rows))
        for k in reversed(range(len(params))):
            wanted = (max(wanted[0], done[k]), wanted[1])
            if wanted[0] >= wanted[1]:
                break
            part = _part(params[k], wanted)
            if part is None:
                return None
            strip[k], done[k], wanted = part, wanted[1], part.inputs
        strips.append(strip)
    return strips


def _part(p: Params, outputs: Rows) -> _Part | None:
    w, size = p.window, p.input_shape[1]
    low = outputs[0] * w.stride[0] - w.pad[0]
    high = (outputs[1] - 1) * w.stride[0] - w.pad[0] + (w.kernel[0] - 1) * w.dilation[0] + 1
    inputs = (max(low, 0), min(high, size))
    if inputs[0] >= inputs[1]:
        return None
    return _Part(outputs=outputs, inputs=inputs, pad=inputs[0] - low)


def _ahead(params: Sequence[Params], strips: Sequence[_Strip]) -> int:
    """How many bytes the output must begin before the input, so that none is overwritten unread."""
    most, unread = 0, params[0].input_shape[1] * _row_bytes(params[0])[0]
    for strip in reversed(strips):
        if (last := strip[-1]) is not None and unread is not None:
            written = last.outputs[1] * _row_bytes(params[-1])[1]
            if strip is not strips[-1]:
                most = max(most, written - unread)
        if (first := strip[0]) is not None:
            unread = first.inputs[0] * _row_bytes(params[0])[0]
    return most


@dataclass(slots=True)
class _Made:
    """The calls that were made, each once, and their constants."""

    graph: Graph
    alone: Sequence[LoweredStep]
    kernels: str
    calls: list[CCall] = field(default_factory=list)
    forms: set[str] = field(default_factory=set)
    cost: Cost | None = NOTHING
    _known: dict[tuple[object, ...], tuple[int, Cost | None]] = field(default_factory=dict)
    _constants: dict[str, CConstant] = field(default_factory=dict)

    def operator(self, k: int, part: _Part) -> int | None:
        """The number of the call of operator k; None where there is no single one."""
        rows = part.outputs[1] - part.outputs[0]
        key = (k, rows, part.inputs[1] - part.inputs[0], part.pad)
        if key not in self._known:
            lowered = self._lowered(k, part)
            call = self._shared(lowered, k) if lowered else None
            if lowered is None or call is None:
                return None
            self.forms.add(lowered.requantisation)
            self._known[key] = (self._add(call), lowered.cost)
        return self._counted(key)

    def move(self, size: int) -> int:
        """The number of the call that moves `size` bytes."""
        key = ("move", size)
        if key not in self._known:
            cost = usual(MOVED * size, self.kernels) if self.kernels in CHIPS else None
            self._known[key] = (self._add(move_words(size)), cost)
        return self._counted(key)

    def _counted(self, key: tuple[object, ...]) -> int:
        """The number of a call that is known, whose cost is added."""
        number, cost = self._known[key]
        self.cost = None if self.cost is None or cost is None else self.cost + cost
        return number

    def _add(self, call: CCall) -> int:
        self.calls.append(call)
        return len(self.calls) - 1

    def _lowered(self, k: int, part: _Part) -> LoweredStep | None:
        """Operator k as one with fewer rows; None where a kernel takes several calls."""
        step = self.alone[k].step
        p: Params = step.params
        smaller = replace(
            step,
            params=replace(
                p,
                input_shape=(1, part.inputs[1] - part.inputs[0], *p.input_shape[2:]),
                output_shape=(1, part.outputs[1] - part.outputs[0], *p.output_shape[2:]),
                window=replace(p.window, pad=(part.pad, p.window.pad[1])),
            ),
        )
        way = step.spec.kernels.lowering(self.kernels)
        faster = KERNEL_SETS[self.kernels][way] if way else None
        lowered = faster(self.graph, smaller, self.alone[k].scratch_bytes) if faster else None
        if lowered is not None and k == 0 and _reads_beyond(lowered, p):
            lowered = by_windows(smaller) if way is Lowering.CONVOLUTION else None
        if lowered is None:
            calls = smaller.spec.calls(smaller.params)
            lowered = LoweredStep(step=smaller, calls=calls, in_place=())
        plain = [
            c.inputs == (0,) and c.outputs == (0,) and not c.first_input for c in lowered.calls
        ]
        return lowered if plain == [True] else None

    def _shared(self, lowered: LoweredStep, k: int) -> CCall | None:
        """Its call with the constants that are new; None where one has other values than before."""
        call, new = numbered(lowered.calls[0], k), []
        for constant in call.constants:
            known = self._constants.setdefault(constant.suffix, constant)
            if known is constant:
                new.append(constant)
            elif known.ctype != constant.ctype or tuple(known.values) != tuple(constant.values):
                return None
        return replace(call, constants=tuple(new))


def _reads_beyond(lowered: LoweredStep, whole: Params) -> bool:
    """Whether rows at the end of the tensor of `whole` would be read beyond what lies there."""
    function, size = lowered.calls[0].function, math.prod(whole.input_shape)
    if (
        lowered.step.spec.kernels.armv7em is not Lowering.CONVOLUTION
    ):  # of one channel, as a convolution
        return function in (POINTS, SINGLE, ROWS) and aligned(size) < size + WORD - 1
    words = function in (POINTS, SINGLE) or (function == ROWS and whole.input_shape[3] == 1)
    return words and isinstance(whole, ConvParams) and not has_room(whole)


@dataclass(slots=True)
class _Laid:
    """Where rows lie; strips run in order."""

    params: Sequence[Params]
    places: Sequence[int]  # in bytes, of the rows behind each operator
    _first: dict[int, int] = field(default_factory=dict)  # the row that is in front
    _done: dict[int, int] = field(default_factory=dict)  # rows that were computed

    def run(self, made: _Made, strip: _Strip) -> tuple[RowCall, ...] | None:
        """The calls of one strip; None where they cannot be made."""
        found: list[RowCall] = []
        for k, part in enumerate(strip):
            follower = strip[k + 1] if k + 1 < len(strip) else None
            if follower is not None and not self._advance(made, k, follower.inputs[0], found):
                return None
            if part is None:
                continue
            number = made.operator(k, part)
            if number is None:
                return None
            ends = self._source(k, part), self._target(k, part, follower)
            found.append(RowCall(call=number, source=ends[0], target=ends[1]))
        return tuple(found)

    def _source(self, k: int, part: _Part) -> Place:
        if k:
            return Place(where="rows", offset=self.places[k - 1])
        return Place(where="input", offset=part.inputs[0] * _row_bytes(self.params[0])[0])

    def _target(self, k: int, part: _Part, follower: _Part | None) -> Place:
        written = _row_bytes(self.params[k])[1]
        if follower is None:
            return Place(where="output", offset=part.outputs[0] * written)
        self._done[k] = part.outputs[1]
        behind = part.outputs[0] - follower.inputs[0]
        return Place(where="rows", offset=self.places[k] + behind * written)

    def _advance(self, made: _Made, k: int, first: int, found: list[RowCall]) -> bool:
        """Move the rows behind operator k that stay to the front; False if onto themselves."""
        shift, kept = first - self._first.get(k, 0), self._done.get(k, 0) - first
        self._first[k] = first
        if shift == 0 or kept <= 0:
            return True
        if kept > shift:
            return False
        size = _row_bytes(self.params[k])[1]
        moved = made.move(kept * size)
        place = self.places[k]
        source = Place(where="rows", offset=place + shift * size)
        target = Place(where="rows", offset=place)
        found.append(RowCall(call=moved, source=source, target=target))
        return True


def _turns(runs: Sequence[tuple[RowCall, ...]]) -> Iterator[Turns]:
    """Equal strips as loops: the same calls, whose places go on by the same bytes."""
    start = 0
    while start < len(runs):
        step = _step(runs[start], runs[start + 1]) if start + 1 < len(runs) else None
        end = start + 1
        while step is not None and end < len(runs) and _step(runs[end - 1], runs[end]) == step:
            end += 1
        calls = runs[start] if step is None else step
        yield Turns(count=end - start, calls=_from(runs[start], calls))
        start = end


def _from(run: tuple[RowCall, ...], step: tuple[RowCall, ...]) -> tuple[RowCall, ...]:
    """The calls of the first strip, with the advance of `step`."""
    return tuple(
        replace(
            call,
            source=replace(call.source, advance=by.source.advance),
            target=replace(call.target, advance=by.target.advance),
        )
        for call, by in zip(run, step, strict=True)
    )


def _step(a: tuple[RowCall, ...], b: tuple[RowCall, ...]) -> tuple[RowCall, ...] | None:
    """What changes from a strip to the next, as calls at offset 0; None where more than places."""
    if len(a) != len(b):
        return None
    found = []
    for x, y in zip(a, b, strict=True):
        ends = [(x.source, y.source), (x.target, y.target)]
        if x.call != y.call or any(p.where != q.where for p, q in ends):
            return None
        moved = [replace(p, offset=0, advance=q.offset - p.offset) for p, q in ends]
        if any(p.where == "rows" and p.advance for p in moved):
            return None
        found.append(RowCall(call=x.call, source=moved[0], target=moved[1]))
    return tuple(found)
