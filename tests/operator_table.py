"""python -m tests.operator_table: write docs/OPERATORS.md from probes of TFLite Micro and of us.

Each operator's random models are tried, and again with their type exchanged for every other one,
each in a process of its own: TFLite Micro may abort.
"""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from quantize.errors import QuantizeError
from quantize.golden import make_golden, random_inputs
from quantize.ops import OPS
from quantize.ops.float32 import LIBRARY
from quantize.ops.table import NAME as TABLE
from quantize.ops.unsupported import MICRO
from quantize.reference import Reference, integer_bits
from quantize.tflite.constants import SHAPES
from quantize.tflite.reader import parse_model
from quantize.tflite.schema import OPERATOR_NAMES, TENSOR_TYPES
from quantize.tflite.variables import FOLDED
from tests.factory import DTYPES, ModelBuilder
from tests.generators import GENERATORS, operator_of
from tests.hostile import pack, unpack

PAGE = Path(__file__).parents[1] / "docs" / "OPERATORS.md"
TYPES = ("int8", "int16", "int32", "int64", "bool", "float32")
SEEDS = 12  # models drawn by each generator
CASES = 5
SECONDS = 5  # of processor time
PAIRS = ("FLOOR_DIV", "FLOOR_MOD")
VALUES = {"SELECT_V2": 1, "EMBEDDING_LOOKUP": 2, "GATHER": 2, "GATHER_ND": 2}  # first of them
PARTNERS = {"READ_VARIABLE": "ASSIGN_VARIABLE"}  # whose models have both
OF_SHAPES = (*SHAPES, "BROADCAST_ARGS")  # known when the file is read
CONTROL = ("CALL_ONCE", "IF", "VAR_HANDLE", "WHILE")  # of several subgraphs, or no tensors
HEAD = """# Operators

Written by `python -m tests.operator_table` from probes: models of one operator that TFLite Micro
runs (the interpreter of the `tflite_micro` package) and that we compile. A type is that of the
values that an operator works on; weights, indices and shapes have their own. *Compiles* means that
every answer was byte-equal to TFLite Micro's. Constants are another matter: what depends on no
input is evaluated when the file is read, whatever its type.

| Operator | TFLite Micro runs | tinyproof compiles | |
|---|---|---|---|
"""


def _one(name: str, dtype: str) -> bytes:
    """A model of an operator that has no generator."""
    b, shape = ModelBuilder(), [1, 4, 4, 2]
    kind: dict[str, Any] = {"dtype": dtype, "scale": [0.05] if dtype in ("int8", "int16") else ()}
    if name in ("BROADCAST_ARGS", "SHAPE"):
        x = b.tensor([2], dtype=dtype)
        y = b.tensor([2] if name != "SHAPE" else [1], dtype="int32" if name == "SHAPE" else dtype)
        b.operator(name, [x] if name == "SHAPE" else [x, x], [y])
        return b.pack([x], [y])
    pool = name == "L2_POOL_2D"
    x, y = b.tensor(shape, **kind), b.tensor([1, 2, 2, 2] if pool else shape, **kind)
    values = {"strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2} if pool else {}
    taken = [x, x] if name in PAIRS else [x]
    b.operator(name, taken, [y], "Pool2DOptions" if pool else "", **values)
    return b.pack([x], [y])


def _exchanged(data: bytes, before: str, after: str) -> bytes:
    """The model with `after` for every tensor of type `before`."""
    model = unpack(data)
    for tensor in model.subgraphs[0].tensors:
        if tensor.type != DTYPES[before]:
            continue
        tensor.type = DTYPES[after]
        buffer, quant = model.buffers[tensor.buffer], tensor.quantization
        if buffer.data is not None and len(buffer.data):
            values = np.frombuffer(bytes(buffer.data), before).astype(after)
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        if after not in ("int8", "int16"):
            tensor.quantization = schema.QuantizationParametersT()
        elif quant is None or quant.scale is None or not len(quant.scale):
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.array([0.05], np.float32)
            tensor.quantization.zeroPoint = np.array([0], np.int64)
        elif after == "int16":
            quant.zeroPoint = np.zeros(len(quant.scale), np.int64)
    return pack(model)


def _own_type(data: bytes, name: str) -> tuple[str, bool]:
    """The type of an operator's first run-time input, and whether it is alone in the model."""
    model = unpack(data)
    graph = model.subgraphs[0]
    code, first = OPERATOR_NAMES.index(name), VALUES.get(name, 0)
    for op in graph.operators:
        if model.operatorCodes[op.opcodeIndex].builtinCode != code:
            continue
        for index in (*op.inputs[first:], *op.outputs):
            buffer = model.buffers[graph.tensors[index].buffer].data if index >= 0 else b"-"
            resource_type = index >= 0 and graph.tensors[index].type == DTYPES["resource"]
            if (buffer is None or not len(buffer)) and not resource_type:
                return TENSOR_TYPES[graph.tensors[index].type][0], len(graph.operators) == 1
    return "", False


def _models(name: str) -> Iterator[tuple[str, bytes]]:
    """(type, model) to try."""
    names = (name, PARTNERS.get(name))
    keys = [key for key in sorted(GENERATORS) if operator_of(key) in names]
    for dtype in TYPES if not keys and name not in CONTROL else ():
        yield dtype, _one(name, dtype)
    for key in keys:
        alone: dict[str, bytes] = {}
        for seed in range(SEEDS):
            data = GENERATORS[key](np.random.default_rng(seed))
            own, is_alone = _own_type(data, name)
            if own not in TYPES:
                continue
            yield own, data
            if is_alone:
                alone.setdefault(own, data)
        base = next((t for t in ("int8", "float32", "bool") if t in alone), None)
        if base and not name.startswith("LOGICAL"):  # TFLite Micro takes any bytes for bool there
            yield from ((t, _exchanged(alone[base], base, t)) for t in TYPES if t != base)


def _runs(data: bytes) -> bool:
    """Whether TFLite Micro answers."""
    from tflite_micro import runtime

    graph = unpack(data).subgraphs[0]
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
    for position, index in enumerate(graph.inputs):
        tensor = graph.tensors[index]
        shape = [int(d) for d in tensor.shape] if tensor.shape is not None else []
        interpreter.set_input(np.ones(shape, TENSOR_TYPES[tensor.type][0]), position)
    interpreter.invoke()
    return True


def _compiles(data: bytes) -> bool:
    """Whether we compile it, and answer as TFLite Micro does."""
    graph = parse_model(data)
    reference = Reference(graph)
    golden = make_golden(data, random_inputs(graph, CASES, 0))
    for case in range(CASES):
        reference.reset()
        pairs = zip(reference.run(golden.case_inputs(case)), golden.case_outputs(case), strict=True)
        if any(not np.array_equal(integer_bits(a), integer_bits(b)) for a, b in pairs):
            raise AssertionError("the answers differ")
    return True


def _apart(judge: Callable[[bytes], bool], data: bytes) -> bool:
    """`judge` in a process of its own, which may die; its findings against us are ours."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            os._exit(0 if judge(data) else 1)
        except (QuantizeError, RuntimeError, ValueError):
            os._exit(1)
        except BaseException:
            os._exit(2)
    status = os.waitpid(child, 0)[1]
    if judge is _compiles and (os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 2):
        raise AssertionError(f"compiled, but not equal to TFLite Micro: status {status}")
    return status == 0


def probed(name: str) -> tuple[list[str], list[str]]:
    """(types that TFLite Micro runs an operator in, types that we compile)."""
    runs: set[str] = set()
    compiled: set[str] = set()
    for dtype, data in _models(name):
        if dtype not in runs and _apart(_runs, data):
            runs.add(dtype)
        if name in OPS and dtype not in compiled and _apart(_compiles, data):
            compiled.add(dtype)
    return [t for t in TYPES if t in runs], [t for t in TYPES if t in compiled]


def _remark(name: str, runs: list[str], compiled: list[str]) -> str:
    said = []
    if name in LIBRARY:
        said.append("float32 of an int8 tensor as a table")
    if name in FOLDED:
        said.append("gone when the file is read")
    elif name in OF_SHAPES:
        said.append("evaluated when the file is read")
    if runs == ["float32"]:
        said.append("float32 only")
    left = [t for t in runs if t not in compiled]
    if left and name not in (*LIBRARY, *OF_SHAPES, *FOLDED):
        said.append(f"not compiled: {', '.join(left)}")
    return "; ".join(said)


def row(name: str, runs: list[str], compiled: list[str]) -> str:
    """An operator's line of the page."""
    cells = [name, ", ".join(runs) or "-", ", ".join(compiled) or "-"]
    said = _remark(name, runs, compiled)
    return f"| {' | '.join(cells)} | {said + ' ' if said else ''}|"


def main() -> None:
    """Probe every operator that TFLite Micro registers, and write the page."""
    from tflite_micro import runtime  # noqa: F401  loaded once, before the first fork

    lines = []
    for name in sorted({*OPS, *MICRO, *FOLDED} - {TABLE}):
        runs, compiled = ([], []) if name in CONTROL else probed(name)
        lines.append(row(name, runs, compiled))
        print(json.dumps([name, runs, compiled]), flush=True)
    text = HEAD + "\n".join(lines) + "\n"
    part = PAGE.with_suffix(".part")
    part.write_text(text)
    part.rename(PAGE)


if __name__ == "__main__":
    main()
