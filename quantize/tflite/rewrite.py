"""A .tflite file in the words of TFLite Micro: folded operators are constants, all shapes known.

It is for an oracle that cannot do that: TFLite Micro has no REDUCE_PROD and no TILE, and no shapes
but those in the file; it runs what is left of a model that computes its shapes. Its STRIDED_SLICE
knows four dimensions, its SLICE five.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from quantize.errors import ModelError
from quantize.ops.strided_slice import STRIDED_RANK, strided_ranges
from quantize.tflite.graph import Graph, Operator


def sliced(graph: Graph) -> list[Operator]:
    """The STRIDED_SLICEs that TFLite Micro takes as SLICE only."""
    return [
        op
        for op in graph.operators
        if op.name == "STRIDED_SLICE" and len(graph.input(op, 0).shape) > STRIDED_RANK
    ]


def rewritten(model: bytes, graph: Graph) -> bytes:
    """`model`, of which `graph` was read, without the operators whose outputs are constants there,
    and with SLICE where `sliced` says so.

    Tensors keep their numbers. Raises ModelError for a file that the schema's own code cannot read,
    and for a slice that is refused.
    """
    slices = {op.outputs: strided_ranges(graph, op) for op in sliced(graph)}
    try:
        file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
        main = file.subgraphs[0]
        main.operators = [op for op in main.operators if not _folded(graph, op)]
        for index, tensor in enumerate(main.tensors):
            tensor.shape = np.array(graph.tensors[index].shape, np.int32)
            data = graph.tensors[index].data
            stored = file.buffers[tensor.buffer].data
            if data is not None and (stored is None or not len(stored)):
                tensor.buffer = _buffer(file, data.tobytes())
        for op in main.operators:
            if ranges := slices.get(_written(op)):
                firsts, counts = ([r[k] for r in ranges] for k in (0, 1))
                bounds = [_vector(file, firsts), _vector(file, counts)]
                op.inputs = np.array([op.inputs[0], *bounds], np.int32)
                op.opcodeIndex = _code(file, schema.BuiltinOperator.SLICE)
                op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.NONE, None
        builder = flatbuffers.Builder(len(model) + 1024)
        builder.Finish(file.Pack(builder), b"TFL3")
        return bytes(builder.Output())
    except Exception as error:  # it follows every offset of the file unchecked
        raise ModelError(f"the model cannot be written anew: {error!r}") from error


def _buffer(file: Any, data: bytes) -> int:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    file.buffers.append(buffer)
    return len(file.buffers) - 1


def _vector(file: Any, values: Sequence[int]) -> int:
    """The number of a new constant of int32."""
    tensor = schema.TensorT()
    tensor.shape, tensor.type = np.array([len(values)], np.int32), schema.TensorType.INT32
    tensor.name = b"bounds"
    tensor.buffer = _buffer(file, np.array(values, np.int32).tobytes())
    file.subgraphs[0].tensors.append(tensor)
    return len(file.subgraphs[0].tensors) - 1


def _code(file: Any, builtin: int) -> int:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    file.operatorCodes.append(code)
    return len(file.operatorCodes) - 1


def _written(op: Any) -> tuple[int, ...]:
    """The outputs of an operator of the file, which leaves the list out where there are none."""
    return () if op.outputs is None else tuple(int(i) for i in op.outputs)


def _folded(graph: Graph, op: Any) -> bool:
    """Whether its outputs are constants; CALL_ONCE and ASSIGN_VARIABLE, which have none, stay."""
    outputs = _written(op)
    return bool(outputs) and all(graph.tensors[i].data is not None for i in outputs)
