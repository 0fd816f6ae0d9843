"""Golden cases: inputs and what the TFLite Micro interpreter answers to them."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.files import write_arrays
from model.npz import read_arrays
from model.processes import begin_child
from quantize.errors import ModelError
from quantize.ops.base import Array
from quantize.ops.float32 import is_float
from quantize.ops.picks import index_limits
from quantize.ops.quantize import EdgeParams, FloatParams, is_defined
from quantize.ops.softmax import ABORT_DEPTH
from quantize.pairing import paired, plain_name
from quantize.reference import Reference
from quantize.scheme import nearest_codes
from quantize.tflite.graph import Graph, Tensor
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro

Case = Sequence[Array]  # a value of each input
MAX_ABORTS = 8  # cases after which no more are tried
NAMED = 10  # cases that a message names
_interpreter: TfliteMicro | None = None  # of a process that may die


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """`inputs` and `outputs` hold one array a tensor, [cases, *shape], in the model's order."""

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    model_sha256: str
    sequence: int = 1  # so many cases run in a row, from the state that a reset leaves

    def __len__(self) -> int:
        return len(self.inputs[0])

    def before(self, case: int) -> range:
        """The cases that run before this one, after a reset."""
        return range(case - case % self.sequence, case)

    @property
    def firsts(self) -> list[int]:
        """The cases that run right after a reset."""
        return list(range(0, len(self), self.sequence))

    def case_inputs(self, case: int) -> list[Array]:
        """The input tensors of one case."""
        return [values[case] for values in self.inputs]

    def case_outputs(self, case: int) -> list[Array]:
        """The expected output tensors of one case."""
        return [values[case] for values in self.outputs]

    def rows(self, cases: Sequence[int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """(inputs, outputs) of some cases as bytes, all tensors of a case in one row."""
        sides = []
        for side in (self.inputs, self.outputs):
            flat = [v[list(cases)].reshape(len(cases), -1).view(np.uint8) for v in side]
            sides.append(np.concatenate(flat, axis=1))
        return sides[0], sides[1]


def random_inputs(graph: Graph, cases: int, seed: int) -> tuple[Array, ...]:
    """Edge cases (zero point, lowest, highest, one hot), then seeded random ones.

    The range of an input is what its calibration has seen, so the random ones are of that range:
    by turns equally distributed, near the zero point, smooth along the last axes, and sparse.
    """
    rng, limits = np.random.default_rng(seed), index_limits(graph)
    return tuple(
        _random_indices(graph.tensors[i], cases, rng, limits[i])
        if i in limits
        else _random_tensor(graph.tensors[i], cases, rng)
        for i in graph.inputs
    )


def _random_indices(tensor: Tensor, cases: int, rng: np.random.Generator, limit: Array) -> Array:
    """The first places, the last ones, then random ones, of as many as `limit` says."""
    limit = limit if len(limit) > 1 else limit[0]
    if np.dtype(tensor.dtype).kind == "i":
        limit = np.minimum(limit, np.iinfo(tensor.dtype).max)
    drawn = rng.integers(0, limit, (cases, *tensor.shape))
    for case, edge in enumerate((np.zeros_like(limit), limit - 1)[:cases]):
        drawn[case] = edge
    return drawn.astype(tensor.dtype)


def _random_tensor(tensor: Tensor, cases: int, rng: np.random.Generator) -> Array:
    dtype = np.dtype(tensor.dtype)
    zero = tensor.quant.zero_point[0] if tensor.quant else 0
    if dtype.kind == "f":
        low, high = -4.0, 4.0
        drawn = rng.normal(0, 1, (cases, *tensor.shape)).astype(dtype)
    elif dtype.kind == "b":
        low, high = 0, 1
        drawn = rng.integers(0, 2, (cases, *tensor.shape)).astype(dtype)
    elif dtype == np.int64:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        drawn = rng.integers(-8, 9, (cases, *tensor.shape), dtype)
    else:
        limits = np.iinfo(dtype)
        low, high = limits.min, limits.max
        drawn = rng.integers(low, high, (cases, *tensor.shape), dtype, endpoint=True)
        for case in range(cases):
            if (values := _shaped(case % 4, tensor.shape, rng)) is not None:
                codes = np.round(zero + values * (high - low))
                drawn[case] = np.clip(codes, low, high).astype(dtype)
    one_hot = np.full(tensor.shape, zero, dtype)
    one_hot.reshape(-1)[rng.integers(tensor.elements)] = high
    edges = [np.full(tensor.shape, value, dtype) for value in (zero, low, high)] + [one_hot]
    for case, edge in enumerate(edges[:cases]):
        drawn[case] = edge
    return drawn


def _shaped(
    kind: int, shape: tuple[int, ...], rng: np.random.Generator
) -> npt.NDArray[np.float64] | None:
    """Values around 0 as shares of the range; None for equally distributed ones."""
    if kind == 1:
        return rng.normal(0, 0.1, shape)
    if kind == 2:
        phase = rng.uniform(0, 2 * np.pi) + sum(
            rng.uniform(0.1, 1.0) * axis for axis in np.indices(shape)
        )
        return np.asarray(rng.uniform(0.1, 0.6) * np.sin(phase))
    if kind == 3:
        return np.where(rng.random(shape) < 0.1, rng.uniform(-1, 1, shape), 0.0)
    return None


def make_golden(model: bytes, inputs: Sequence[Array], sequence: int = 1) -> Golden:
    """Run the TFLite Micro interpreter on every case, with a reset before each `sequence`."""
    graph = parse_model(model)
    if len(inputs) != len(graph.inputs):
        raise ModelError(
            f"got {len(inputs)} input arrays, the model has {len(graph.inputs)} inputs; give one "
            "array [cases, *shape] for each"
        )
    for index, values in zip(graph.inputs, inputs, strict=True):
        expected = graph.tensors[index].shape
        dtype = graph.tensors[index].dtype
        if values.dtype != dtype or values.shape[1:] != expected or len(values) == 0:
            raise ModelError(
                f"input {index}: expected {dtype} [cases, {', '.join(map(str, expected))}] with a "
                f"case or more, got {values.dtype} {list(values.shape)}; write the array so, or as "
                "float32 of the same shape"
            )
    cases = [[v[case] for v in inputs] for case in range(len(inputs[0]))]
    if undefined := _undefined(graph, cases, sequence):
        raise Undefined(undefined)
    answer = _answers_apart if may_abort(graph) and sequence == 1 else _answers
    rows = answer(model, cases, sequence)
    return Golden(
        inputs=tuple(inputs),
        outputs=tuple(np.stack(column) for column in zip(*rows, strict=True)),
        model_sha256=hashlib.sha256(model).hexdigest(),
        sequence=sequence,
    )


def _answers(model: bytes, cases: Sequence[Case], sequence: int) -> list[list[Array]]:
    interpreter = TfliteMicro(model)
    rows: list[list[Array]] = []
    for number, case in enumerate(cases):
        if number % sequence == 0:
            interpreter.reset()
        try:
            rows.append(list(interpreter.run(case)))
        except RuntimeError as error:
            what = (
                "an index may lie outside of its tensor; "
                if index_limits(parse_model(model))
                else ""
            )
            raise ModelError(
                f"TFLite Micro stops at case {number} ({error}): {what}give inputs that the model "
                "is made for (INPUTS=)"
            ) from error
    return rows


def may_abort(graph: Graph) -> bool:
    """Whether TFLite Micro's own check may end the process, which some inputs of a SOFTMAX do."""
    return any(
        op.name == "SOFTMAX"
        and graph.output(op).dtype == "int8"
        and graph.output(op).shape[-1:] >= (ABORT_DEPTH,)
        for op in graph.operators
    )


class Unanswered(ModelError):
    """TFLite Micro has no answer to the inputs of `cases`."""

    def __init__(self, cases: Sequence[int], why: str, advice: str) -> None:
        super().__init__(f"{why}; {advice}")
        self.cases, self.why = tuple(cases), why


class Aborted(Unanswered):
    """It ends its process there."""

    WHY = f"its SOFTMAX has {ABORT_DEPTH} or more about equal values"
    ADVICE = (
        "take a network that has been trained, and real samples (INPUTS=), or end it at its "
        "logits, without the SOFTMAX"
    )

    def __init__(self, cases: Sequence[int]) -> None:
        super().__init__(
            cases,
            f"TFLite Micro aborts on {len(cases)} of the cases, first on case {cases[0]}: "
            f"{self.WHY}",
            self.ADVICE,
        )


class Undefined(Unanswered):
    """Its answer is undefined in C, and another one on another processor."""

    def __init__(self, cases: Sequence[int]) -> None:
        named = ", ".join(map(str, cases[:NAMED])) + (", ..." if len(cases) > NAMED else "")
        super().__init__(
            cases,
            f"TFLite Micro's answer is undefined in {len(cases)} of the cases ({named}): a "
            "QUANTIZE of float32 gets an infinite value, NaN, or one of over 2^31 scales, as a "
            "division by 0 gives",
            "leave these cases out",
        )


def _undefined(graph: Graph, cases: Sequence[Case], sequence: int) -> list[int]:
    """The cases in which a QUANTIZE of float32 gets what TFLite Micro's cast is undefined for."""
    if not any(op.name == "QUANTIZE" and is_float(graph, op) for op in graph.operators):
        return []
    try:
        reference = Reference(graph)
    except ModelError:
        return []  # what does not compile is not compared
    places = [
        (step.op.inputs[0], step.params)
        for step in reference.steps
        if isinstance(step.params, FloatParams | EdgeParams) and step.op.name == "QUANTIZE"
    ]
    ends = dict(zip(graph.inputs, zip(*cases, strict=True), strict=True))
    if all(index in ends for index, _ in places):  # nothing has to be computed
        return [
            case
            for case in range(len(cases))
            if not all(is_defined(p, ends[index][case]) for index, p in places)
        ]
    found = []
    for number, case in enumerate(cases):
        if number % sequence == 0:
            reference.reset()
        values = reference.run_all(case)
        if not all(is_defined(p, values[index]) for index, p in places):
            found.append(number)
    return found


def _answers_apart(model: bytes, cases: Sequence[Case], _: int) -> list[list[Array]]:
    """The same in a process of its own, which may die: then Aborted names the cases."""
    rows: list[list[Array]] = []
    died: list[int] = []
    context = multiprocessing.get_context("spawn")
    while len(rows) < len(cases) and len(died) < MAX_ABORTS:
        with ProcessPoolExecutor(
            1, mp_context=context, initializer=_begin, initargs=(model, os.getpid())
        ) as pool:
            try:
                while len(rows) < len(cases):
                    rows.append(pool.submit(_answer, cases[len(rows)]).result())
            except BrokenProcessPool:
                died.append(len(rows))
                rows.append([])
    if died:
        raise Aborted(died)
    return rows


def _begin(model: bytes, parent: int) -> None:
    global _interpreter
    begin_child(parent)
    _interpreter = TfliteMicro(model)


def _answer(case: Case) -> list[Array]:
    assert _interpreter is not None
    _interpreter.reset()
    return list(_interpreter.run(case))


def own_inputs(arrays: Mapping[str, Array], graph: Graph, told: str) -> tuple[Array, ...]:
    """A user's own inputs as the model takes them, [cases, *shape] each, of its types.

    The arrays have the inputs' names or numbers (quantize.pairing). They may leave out a first
    dimension of 1, and may be float values for quantised inputs, which become
    round(value / scale) + zero point, clipped. Raises ModelError for arrays that do not fit, which
    are those of `told`.
    """
    tensors = [graph.tensors[i] for i in graph.inputs]
    order = paired(arrays, [plain_name(t.name) for t in tensors], told)
    return tuple(_fitted(arrays[name], t) for name, t in zip(order, tensors, strict=True))


def _fitted(values: Array, tensor: Tensor) -> Array:
    if tensor.shape[:1] == (1,) and values.shape[1:] == tensor.shape[1:]:
        values = values.reshape(len(values), *tensor.shape)
    if values.dtype.kind != "f" or tensor.quant is None or tensor.dtype == "float32":
        return values
    if values.shape[1:] != tensor.shape:  # make_golden tells so, and of which type it is
        return values
    if not np.isfinite(values).all():
        wrong = int((~np.isfinite(values)).sum())
        raise ModelError(
            f"input {tensor.index}: {wrong} values are NaN or infinite; leave them out"
        )
    return nearest_codes(values, tensor.quant, tensor.dtype)


def load_inputs(path: Path) -> dict[str, Array]:
    """The arrays of an .npz.

    Raises ModelError for a file that is missing or something else.
    """
    try:
        return read_arrays(path, kinds="biuf")
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: not an .npz of plain arrays: {error}; write it with numpy.savez, one array "
            "[cases, *shape] for each model input"
        ) from error


def save_golden(path: Path, golden: Golden) -> None:
    """Write golden.npz."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "model_sha256": np.frombuffer(golden.model_sha256.encode(), np.uint8),
        "sequence": np.array(golden.sequence, np.int32),
    }
    for side, tensors in (("input", golden.inputs), ("output", golden.outputs)):
        for i, values in enumerate(tensors):
            arrays[f"{side}_{i}"] = values
    write_arrays(path, arrays)


def load_golden(path: Path) -> Golden:
    """Read golden.npz; ModelError when it is missing or not ours."""
    try:
        arrays = read_arrays(path, kinds="biuf")
        sides = [
            tuple(arrays[f"{side}_{i}"] for i in range(sum(k.startswith(side) for k in arrays)))
            for side in ("input", "output")
        ]
        digest = arrays["model_sha256"].tobytes().decode()
        sequence = max(1, int(arrays["sequence"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a golden file: {error}; run the quantise step") from error
    return Golden(inputs=sides[0], outputs=sides[1], model_sha256=digest, sequence=sequence)
