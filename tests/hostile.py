"""Damage a valid .tflite file at the level of schema objects: one wrong thing at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

BIG = 2**31 - 1
# element type -> bytes
TYPES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 5: 4, 6: 1, 7: 2, 9: 1, 13: 4, 17: 0.5}
INTEGERS = (-(2**31), -1, 0, 2, 127, 65536, BIG)
FLOATS = (float("nan"), float("inf"), -1.0, 0.0, 1e-45, 3e38)
QUANTS: tuple[tuple[list[float], list[int], int], ...] = (
    ([], [], 0),
    ([0.0], [0], 0),
    ([float("nan")], [0], 0),
    ([float("inf")], [0], 0),
    ([-0.1], [0], 0),
    ([1e-45], [0], 0),
    ([1e-30], [0], 0),
    ([1e-9], [5], 0),
    ([3e38], [0], 0),
    ([0.1], [-129], 0),
    ([0.1], [2**40], 0),
    ([0.1], [-128], 0),
    ([0.1], [127], 0),
    ([0.1] * 2, [0] * 2, 0),
    ([0.1] * 2, [0], -1),
    ([0.1], [0], 99),
)
Mutant = tuple[str, Callable[[Any], None]]  # what is wrong, and what makes it so in a ModelT


def pack(model: Any) -> bytes:
    """The bytes of a ModelT."""
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def unpack(data: bytes) -> Any:
    """The ModelT of a valid file."""
    return schema.ModelT.InitFromPackedBuf(data, 0)


def external(data: bytes, change: Callable[[list[Any]], None] = lambda buffers: None) -> bytes:
    """The file with the data of all buffers behind the FlatBuffer, as litert-quantizer writes it.

    `change` gets the buffers that have some, with their offset and size, before they are packed.
    """
    model = unpack(data)
    held = [b for b in model.buffers if b.data is not None and len(b.data)]
    parts = [bytes(np.array(b.data, np.uint8)) for b in held]
    for buffer in held:
        buffer.data, buffer.offset, buffer.size = None, 2, 2
    start = _rounded(len(pack(model)))
    places = [start]
    for buffer, part in zip(held, parts, strict=True):
        buffer.offset, buffer.size = places[-1], len(part)
        places.append(_rounded(places[-1] + len(part)))
    change(held)
    out = bytearray(places[-1])
    file = pack(model)
    out[: len(file)] = file
    for place, part in zip(places, parts, strict=False):
        out[place : place + len(part)] = part
    return bytes(out)


def _rounded(size: int) -> int:
    return -(-size // 16) * 16


def mutants(data: bytes, codes: list[int]) -> Iterator[Mutant]:
    """Every mutation that makes sense for this file; `codes` are operators to rename others to."""
    model = unpack(data)
    graph = model.subgraphs[0]
    for number, op in enumerate(graph.operators):
        yield from _lists(number, op, len(graph.tensors))
        yield from _options(number, op)
        yield from _codes(number, codes)
    for index, tensor in enumerate(graph.tensors):
        yield from _shapes(index, tensor)
        yield from _types(index)
        yield from _quantisation(index, tensor)
        yield from _values(index, _data_bytes(model, tensor))
    yield from _subgraphs(model)
    for side in ("inputs", "outputs"):
        for what, values in (("none", []), ("twice", [0, 0]), ("all", range(len(graph.tensors)))):
            yield f"model {side} {what}", _set_graph(side, list(values))


def _subgraphs(model: Any) -> Iterator[Mutant]:
    """The list of subgraphs, then everything in the ones behind the first."""
    orders = {"none": [], "twice": [0, 0], "16 more": [0] * 17}
    if len(model.subgraphs) > 1:
        orders |= {"first only": [0], "second only": [1], "swapped": [1, 0], "one more": [0, 1, 1]}
        orders["beyond the limit"] = [0] + [1] * 16
    for what, order in orders.items():
        yield f"subgraphs {what}", _reorder(order)
    for number, graph in enumerate(model.subgraphs):
        for index, op in enumerate(graph.operators):
            if hasattr(op.builtinOptions, "sharedName"):
                yield from _names(number, index, op.builtinOptions.sharedName)
            if number:
                yield from _start(number, index, op)


def _reorder(order: list[int]) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model.subgraphs = [model.subgraphs[i] for i in order]

    return change


def _names(graph: int, op: int, name: bytes) -> Iterator[Mutant]:
    """Names that C and Python compare differently, or that lead nowhere."""
    values = (None, b"", b"other", name + b"\0tail", b"\0" + name, b"\xff\xfe", b"n" * 5000)
    for field in ("sharedName", "container"):
        for value in values:
            yield (
                f"subgraph {graph} op {op} {field} {value and value[:20]!r}",
                _in(graph, op, lambda o, f=field, v=value: setattr(o.builtinOptions, f, v)),
            )


def _in(graph: int, op: int, change: Callable[[Any], None]) -> Callable[[Any], None]:
    return lambda m: change(m.subgraphs[graph].operators[op])


def _start(graph: int, op: int, old: Any) -> Iterator[Mutant]:
    """An operator of a subgraph that CALL_ONCE runs: other tensors, no constant, calls in turn."""
    where = f"subgraph {graph} op {op}"
    for side in ("inputs", "outputs"):
        for value in (-1, 0, 1, 99, BIG):
            array = np.full(len(getattr(old, side)), value, np.int32)
            yield (
                f"{where} all {side} {value}",
                _in(graph, op, lambda o, s=side, a=array: setattr(o, s, a)),
            )
    for called in (0, graph, graph + 1):
        yield f"{where} calls {called}", lambda m, c=called: _call(m, graph, op, c)

    def without(model: Any) -> None:
        for tensor in model.subgraphs[graph].tensors:
            tensor.buffer = 0

    yield f"{where} gone", lambda m: m.subgraphs[graph].operators.pop(op)
    yield f"subgraph {graph} without constants", without


def _call(model: Any, graph: int, op: int, called: int) -> None:
    """Replace an operator by a CALL_ONCE."""
    model.operatorCodes.append(schema.OperatorCodeT())
    model.operatorCodes[-1].builtinCode = schema.BuiltinOperator.CALL_ONCE
    model.operatorCodes[-1].deprecatedBuiltinCode = 127
    target = model.subgraphs[graph].operators[op]
    target.opcodeIndex = len(model.operatorCodes) - 1
    target.inputs = target.outputs = np.empty(0, np.int32)
    target.builtinOptionsType = schema.BuiltinOptions.CallOnceOptions
    target.builtinOptions = schema.CallOnceOptionsT()
    target.builtinOptions.initSubgraphIndex = called


def mutated(data: bytes, change: Callable[[Any], None]) -> bytes | None:
    """The file with one mutation; None for a value that its field cannot hold."""
    model = unpack(data)
    change(model)
    try:
        return pack(model)
    except TypeError:
        return None


def _data_bytes(model: Any, tensor: Any) -> int:
    data = model.buffers[tensor.buffer].data
    return 0 if data is None else len(data)


def _set_graph(side: str, values: list[int]) -> Callable[[Any], None]:
    return lambda m: setattr(m.subgraphs[0], side, np.array(values, np.int32))


def _op(number: int, change: Callable[[Any], None]) -> Callable[[Any], None]:
    return lambda m: change(m.subgraphs[0].operators[number])


def _lists(number: int, op: Any, tensors: int) -> Iterator[Mutant]:
    for side in ("inputs", "outputs", "intermediates"):
        values = getattr(op, side)
        old = [0] if values is None else [int(v) for v in values]  # few have intermediates
        more = [*old, old[-1] if old else 0]
        lists = {"none": [], "one more": more, "reversed": old[::-1], "800": more * 800}
        for p in range(len(old)):
            lists[f"up to {p}"] = old[:p]
            for value in (-1, -2, 0, tensors - 1, tensors, BIG):
                lists[f"{p} is {value}"] = [*old[:p], value, *old[p + 1 :]]
        for what, values in lists.items():
            array = np.array(values, np.int32)
            yield (
                f"op {number} {side} {what}",
                _op(number, lambda o, s=side, a=array: setattr(o, s, a)),
            )


def _options(number: int, op: Any) -> Iterator[Mutant]:
    def absent(o: Any) -> None:
        o.builtinOptionsType, o.builtinOptions = 0, None

    def other(o: Any) -> None:
        o.builtinOptionsType, o.builtinOptions = 9, schema.SoftmaxOptionsT()

    yield f"op {number} options absent", _op(number, absent)
    yield f"op {number} options of another", _op(number, other)
    for field, old in vars(op.builtinOptions or object()).items() if op.builtinOptions else ():
        if isinstance(old, (bool, int, float)):
            values = (
                (not old,) if isinstance(old, bool) else
                FLOATS if isinstance(old, float) else INTEGERS
            )  # fmt: skip
            for value in values:
                yield (
                    f"op {number} {field} is {value}",
                    _op(number, lambda o, f=field, v=value: setattr(o.builtinOptions, f, v)),
                )


def _codes(number: int, codes: list[int]) -> Iterator[Mutant]:
    for version in (-1, 0, 2, 5, BIG):
        yield f"op {number} version {version}", _code(number, version=version)
    for value in codes:
        change = _code(number, builtinCode=value, deprecatedBuiltinCode=min(value, 127))
        yield f"op {number} as operator {value}", change


def _code(number: int, **values: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        code = model.operatorCodes[model.subgraphs[0].operators[number].opcodeIndex]
        for field, value in values.items():
            setattr(code, field, value)

    return change


def _resize(model: Any, tensor: Any) -> None:
    """Give a constant as many bytes as its new type and shape need, if that is not many."""
    data = model.buffers[tensor.buffer].data
    elements = int(np.prod([int(d) for d in tensor.shape], dtype=object))
    if data is not None and len(data) and 0 < elements <= 1 << 16:
        wanted = math.ceil(elements * TYPES[tensor.type])
        model.buffers[tensor.buffer].data = np.resize(np.array(data, np.uint8), wanted)


def _tensor(
    index: int, change: Callable[[Any], None], resize: bool = True
) -> Callable[[Any], None]:
    def apply(model: Any) -> None:
        tensor = model.subgraphs[0].tensors[index]
        change(tensor)
        if resize:
            _resize(model, tensor)

    return apply


def _shapes(index: int, tensor: Any) -> Iterator[Mutant]:
    old = [int(d) for d in tensor.shape]
    shapes = {
        "none": [], "one": [1], "1 in front": [1, *old], "1 behind": [*old, 1], "short": old[:-1],
        "reversed": old[::-1], "rank 8": [1] * (8 - len(old)) + old, "rank 9": [1] * 9,
        "huge": [65536, 65536], "4096 square": [1, 4096, 4096, 1],
    }  # fmt: skip
    for axis in range(len(old)):
        for value in (0, -1, old[axis] + 1, old[axis] * 2, 512, 65536, BIG):
            shapes[f"{axis} is {value}"] = [*old[:axis], value, *old[axis + 1 :]]
    for what, shape in shapes.items():
        array = np.array(shape, np.int32)
        for resize in (False, True):
            yield (
                f"tensor {index} shape {what}{' resized' if resize else ''}",
                _tensor(index, lambda t, a=array: setattr(t, "shape", a), resize),
            )


def _types(index: int) -> Iterator[Mutant]:
    for kind in (*TYPES, 99, -1):
        yield (
            f"tensor {index} type {kind}",
            _tensor(index, lambda t, k=kind: setattr(t, "type", k), kind in TYPES),
        )


def _quantisation(index: int, tensor: Any) -> Iterator[Mutant]:
    def change(t: Any, scale: list[float], zero: list[int], axis: int) -> None:
        if t.quantization is None:
            t.quantization = schema.QuantizationParametersT()
        t.quantization.scale = np.array(scale, np.float32)
        t.quantization.zeroPoint = np.array(zero, np.int64)
        t.quantization.quantizedDimension = axis

    for scale, zero, axis in QUANTS:
        yield (
            f"tensor {index} scale {scale} zero {zero} axis {axis}",
            _tensor(index, lambda t, s=scale, z=zero, a=axis: change(t, s, z, a)),
        )
    yield (
        f"tensor {index} no quantisation",
        _tensor(index, lambda t: setattr(t, "quantization", None)),
    )
    yield f"tensor {index} variable", _tensor(index, lambda t: setattr(t, "isVariable", True))
    yield f"tensor {index} buffer {BIG}", _tensor(index, lambda t: setattr(t, "buffer", BIG), False)
    for axis in (-1, 1, 3, 7):
        yield (
            f"tensor {index} quantised along {axis}",
            _tensor(index, lambda t, a=axis: setattr(t.quantization, "quantizedDimension", a)),
        )


def _values(index: int, size: int) -> Iterator[Mutant]:
    def fill(model: Any, data: np.ndarray[Any, Any]) -> None:
        model.buffers[model.subgraphs[0].tensors[index].buffer].data = data

    def run_time(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.tensors[index].buffer = 0
        graph.inputs = np.array([*graph.inputs, index], np.int32)

    def constant(model: Any) -> None:
        graph = model.subgraphs[0]
        tensor = graph.tensors[index]
        model.buffers.append(schema.BufferT())
        count = math.ceil(int(np.prod(tensor.shape)) * TYPES[tensor.type])
        model.buffers[-1].data = np.zeros(count, np.uint8)
        tensor.buffer = len(model.buffers) - 1
        if index in graph.inputs and len(graph.inputs) > 1:
            graph.inputs = np.array([i for i in graph.inputs if i != index], np.int32)

    if not size:
        yield f"tensor {index} made constant", constant
        return
    yield f"tensor {index} made an input", run_time
    words = {"zero": 0, "one": 1, "minus one": -1, "low": -(2**31), "high": BIG, "64": 64}
    for what, word in words.items():
        data = np.resize(np.frombuffer(np.array([word], "<i4").tobytes(), np.uint8), size)
        yield f"tensor {index} data {what}", lambda m, d=data: fill(m, d)
    yield f"tensor {index} data short", lambda m: fill(m, np.zeros(max(size - 1, 0), np.uint8))
