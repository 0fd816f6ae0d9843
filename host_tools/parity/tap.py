"""Find the first layer whose tensor differs from TFLite Micro's, and say what is likely wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from host_tools.errors import UsageError
from host_tools.link.device import Device
from quantize.errors import QuantizeError
from quantize.fuse import Simplified, left_of, simplify
from quantize.golden import Golden
from quantize.ops.base import Array
from quantize.reference import Step, compile_graph
from quantize.tflite.graph import Graph, Tensor
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The first operator whose output differs, and the first element of it."""

    operator: int
    op: str
    step: int | None  # of the firmware; None for an operator that costs nothing
    output: int  # which of the operator's outputs
    inputs: list[str]
    shape: list[int]
    dtype: str
    scale: float | None
    zero_point: int | None
    index: list[int]
    expected: int | float
    got: int | float
    wrong: int  # elements
    elements: int
    causes: list[str]  # most likely first


@dataclass(frozen=True, slots=True, kw_only=True)
class TapReport:
    """How far the device agrees with TFLite Micro on some golden cases."""

    case: int  # the first that differs, or the last
    cases: int  # that were compared
    operators: int
    equal: int  # operators before the first difference
    first: Divergence | None


def tap_cases(
    out_dir: Path, manifest: dict[str, Any], golden: Golden, cases: Sequence[int], device: Device
) -> TapReport:
    """Compare `cases` in their order, until one differs; those of a sequence with its state."""
    for number, case in enumerate(cases):
        report = Tap(out_dir, manifest, golden, case).first_divergence(device)
        report = replace(report, cases=number + 1)
        if report.first is not None:
            break
    return report


class Tap:
    """The tensors of one golden case: TFLite Micro's, and those of a device.

    Shapes and indices are those of the firmware: generated code lacks the channels that folding
    removed, an interpreter runs the file as it is.
    """

    def __init__(self, out_dir: Path, manifest: dict[str, Any], golden: Golden, case: int) -> None:
        model = (out_dir / "model.tflite").read_bytes()
        self._original = parse_model(model)
        self._planned = "engine" not in manifest  # else the device plans its arena
        if self._planned:
            self._simplified: Simplified | None = simplify(self._original)
            self.graph, self.steps = self._simplified.graph, self._simplified.steps
        else:
            self.graph, self._simplified = self._original, None
            self.steps = compile_graph(self.graph)
        self.case = case
        self.inputs = golden.case_inputs(case)
        self._before = [golden.case_inputs(earlier) for earlier in golden.before(case)]
        self._operators = [o for o in manifest["operators"] if o.get("operator", 0) is not None]
        self._offsets = {t: a["offset"] for a in manifest["arena"] for t in a["tensors"]}
        if len(self._operators) != len(self.steps):
            raise UsageError(
                f"{out_dir}: model.tflite has {len(self.steps)} operators, the manifest "
                f"{len(self._operators)}; run `make emit` again"
            )
        interpreter = TfliteMicro(model, preserve_tensors=True)
        for inputs in (*self._before, self.inputs):
            interpreter.run(inputs)
        self._expected = interpreter.tensor

    def expected(self, index: int) -> Array:
        """TFLite Micro's value of a tensor, in the part that the firmware computes."""
        tensor = self._original.tensors[index]
        values: Array = self._expected(index).view(tensor.dtype).reshape(tensor.shape)
        return left_of(self._simplified, index, values) if self._simplified else values

    def operands(self, step: Step) -> list[Array]:
        """What an operator reads, as TFLite Micro has it."""
        return [_operand(self, i) for i in step.op.inputs]

    def first_divergence(self, device: Device) -> TapReport:
        """Compare operator by operator, in order, every output of each."""
        device.write_inputs(self.inputs, self._before)
        last: int | None = None
        for number, (step, known) in enumerate(zip(self.steps, self._operators, strict=True)):
            last = last if known["step"] is None else known["step"]
            if last is None or known.get("runs_with") is not None:
                continue  # the model's inputs under another shape; rows that are gone
            for position, index in enumerate(step.op.outputs):
                if (found := self._compare(device, step, position, index, last)) is not None:
                    causes = [*found.causes, *self._together(step)]
                    found = replace(found, step=known["step"], causes=causes)
                    return self._report(number, found)
        return self._report(len(self.steps), None)

    def _together(self, step: Step) -> Iterator[str]:
        """Operators whose outputs were never whole, and may be the cause."""
        for known in self._operators:
            if known.get("runs_with") == step.op.index:
                named = f"operator {known['index']} {known['op']}"
                yield f"{named}, which runs with it, some rows at a time"

    def _report(self, equal: int, first: Divergence | None) -> TapReport:
        return TapReport(
            case=self.case, cases=1, operators=len(self.steps), equal=equal, first=first
        )

    def _compare(
        self, device: Device, step: Step, position: int, index: int, last: int
    ) -> Divergence | None:
        if self._planned and index not in self._offsets:
            return None
        tensor = self.graph.tensors[index]
        expected = self.expected(index)
        if self._planned:
            data = device.tap(last, self._offsets[index], tensor.bytes)
        else:
            data = device.tap_output(last, position, tensor.bytes)
        got = np.frombuffer(data, tensor.dtype).reshape(tensor.shape)
        bits = f"u{expected.dtype.itemsize}"
        wrong = np.flatnonzero(got.reshape(-1).view(bits) != expected.reshape(-1).view(bits))
        if not len(wrong):
            return None
        place = np.unravel_index(int(wrong[0]), tensor.shape) if tensor.shape else ()
        return Divergence(
            operator=step.op.index,
            op=step.spec.name,
            step=last,
            output=position,
            inputs=[_describe(self.graph, i) for i in step.op.inputs],
            shape=list(tensor.shape),
            dtype=tensor.dtype,
            scale=tensor.quant.scale[0] if tensor.quant else None,
            zero_point=tensor.quant.zero_point[0] if tensor.quant else None,
            index=[int(i) for i in place],
            expected=expected[place].item(),
            got=got[place].item(),
            wrong=len(wrong),
            elements=tensor.elements,
            causes=[
                *recomputed_causes(step, self.operands(step), position, got),
                *pattern_causes(expected, got, tensor),
            ],
        )


def _operand(tap: Tap, index: int) -> Array:
    if index < 0:
        return np.empty(0, np.int8)
    data = tap.graph.tensors[index].data
    return tap.expected(index) if data is None else data


def _describe(graph: Graph, index: int) -> str:
    if index < 0:
        return "absent"
    tensor = graph.tensors[index]
    kind = "constant " if tensor.data is not None else ""
    return f"{kind}{tensor.dtype} {list(tensor.shape)}"


# --- what is likely wrong -----------------------------------------------------------------------

Candidate = tuple[str, Any]  # a cause, and the operator's parameters as they would be with it


def recomputed_causes(
    step: Step, operands: Sequence[Array], position: int, got: Array
) -> Iterator[str]:
    """Causes with which the integer reference computes exactly what the device did."""
    for cause, params in _candidates(step.params):
        try:
            result = step.spec.reference(params, operands)
        except (QuantizeError, ValueError, IndexError, ArithmeticError):
            continue  # this operator cannot be computed so
        values = result[position] if isinstance(result, tuple) else result
        if np.array_equal(values, got):
            yield f"{cause}: the reference computes exactly these bytes so"


def _candidates(params: Any) -> Iterator[Candidate]:
    """The parameters with one thing wrong, for those that the operator has."""
    names = {f.name for f in fields(params)} if is_dataclass(params) else set()

    def changed(**values: Any) -> Any:
        return replace(params, **values)

    if "bias" in names:
        yield "the bias is not added", changed(bias=np.zeros_like(params.bias))
    for name in ("input_offset", "output_offset"):
        if name in names:
            value = getattr(params, name)
            yield f"{name} is not added", changed(**{name: 0})
            yield f"{name} has the wrong sign", changed(**{name: -value})
            for off in (1, -1):
                yield f"{name} is {value + off}, not {value}", changed(**{name: value + off})
    if {"act_min", "act_max"} <= names:
        yield "the fused activation is missing", changed(act_min=-128, act_max=127)
    if "requants" in names:
        first = (params.requants[0],) * len(params.requants)
        yield "channel 0's requantisation is used for all channels", changed(requants=first)
    if "weights" in names and getattr(params.weights, "ndim", 0) >= 2:
        for axes in {(0, 1), (0, 2), (1, 2), (2, 3)}:
            if max(axes) < params.weights.ndim:
                swapped = np.ascontiguousarray(np.swapaxes(params.weights, *axes))
                shaped = swapped.reshape(params.weights.shape)
                yield "the weights are stored in another order of axes", changed(weights=shaped)
    yield from _padding(params) if "window" in names else ()


def _padding(params: Any) -> Iterator[Candidate]:
    window = params.window
    rows, columns = ({0, pad - 1, pad, pad + 1} for pad in window.pad)
    for pad in sorted(product(rows, columns)):
        if pad != window.pad and min(pad) >= 0:
            cause = f"the padding before is {pad}, not {window.pad}"
            yield cause, replace(params, window=replace(window, pad=pad))


def pattern_causes(expected: Array, got: Array, tensor: Tensor) -> Iterator[str]:
    """What the places and sizes of the differences suggest, most telling first."""
    wrong = expected != got
    share = f"{int(wrong.sum())} of {wrong.size} elements"
    if wrong.size > 1 and (got == got.reshape(-1)[0]).all():
        yield f"every element is {got.reshape(-1)[0]}: the kernel did not write, or only clamps"
    if (got == 0).all() or (wrong.all() and _is_paint(got)):
        yield "the memory is untouched: the kernel is not called, or writes elsewhere"
    if np.array_equal(np.sort(expected, axis=None), np.sort(got, axis=None)):
        yield "the same values at other places: strides, the order of axes, or a transposition"
    if expected.dtype.kind in "iu":
        yield from _integer_causes(expected, got, wrong, share)
    yield from _place_causes(wrong)
    if wrong.mean() > 0.9:
        yield f"{share} differ: wrong weights, wrong input, or a wrong scale"
    elif wrong.mean() < 0.02:
        yield f"only {share} differ: an overflow, an edge case of the rounding, or memory overlap"
    else:
        yield f"{share} differ: compare the kernel with the formula in its comment"


def _is_paint(got: Array) -> bool:
    return bool((np.ascontiguousarray(got).view(np.uint8) == 0xA5).all())


def _integer_causes(
    expected: Array, got: Array, wrong: npt.NDArray[np.bool_], share: str
) -> Iterator[str]:
    difference = got.astype(np.int64) - expected.astype(np.int64)
    if np.abs(difference).max() <= 1:
        yield f"{share} are off by one: the rounding mode, single instead of double or half-way"
    limits = np.iinfo(expected.dtype)
    free = (got > limits.min) & (got < limits.max) & (expected > limits.min)
    free &= expected < limits.max
    shifts = set(difference[free].tolist())
    if len(shifts) == 1 and shifts != {0}:
        yield f"all are off by {shifts.pop()}: the zero point of the output, or a constant bias"
    low, high = int(expected.min()), int(expected.max())
    if np.array_equal(np.clip(got, low, high), expected):
        yield f"differs only outside {low} to {high}: the clamp of the fused activation"
    low, high = int(got.min()), int(got.max())
    if np.array_equal(np.clip(expected, low, high), got):
        yield f"is cut off at {low} and {high}: a clamp or a saturation that should not be"


def _place_causes(wrong: npt.NDArray[np.bool_]) -> Iterator[str]:
    if wrong.ndim >= 2 and wrong.shape[-1] > 1:
        channels = np.flatnonzero(wrong.reshape(-1, wrong.shape[-1]).any(axis=0))
        if len(channels) < wrong.shape[-1]:
            listed = ", ".join(map(str, channels[:8])) + (", ..." if len(channels) > 8 else "")
            yield (
                f"only channels {listed} of {wrong.shape[-1]} differ: the bias, the weights or the "
                "per-channel requantisation of these"
            )
    if wrong.ndim == 4 and min(wrong.shape[1:3]) > 2 and not wrong[:, 1:-1, 1:-1].any():
        yield "only the border differs: padding, or the value that stands for it"


def describe(report: TapReport) -> list[str]:
    """The report as lines for a terminal."""
    first = report.first
    if first is None:
        return [f"{report.cases} cases: all {report.operators} operators equal, tensor by tensor"]
    shape = "x".join(map(str, first.shape)) or "scalar"
    quantisation = f", scale {first.scale:.8g}, zero point {first.zero_point}"
    return [
        f"case {report.case}: {report.equal} of {report.operators} operators equal, then",
        f"operator {first.operator} {first.op} (step {first.step}), output {first.output}: "
        f"{first.dtype} {shape}{'' if first.scale is None else quantisation}",
        f"  inputs: {'; '.join(first.inputs)}",
        f"  first at {first.index}: expected {first.expected}, got {first.got}; "
        f"{first.wrong} of {first.elements} elements differ",
        *(f"  likely: {cause}" for cause in first.causes),
    ]
