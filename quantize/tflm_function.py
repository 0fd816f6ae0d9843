"""What TFLite Micro's kernel of one operator answers: where a library decides the last bit."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.errors import ModelError
from quantize.scheme import QuantParams

_TYPES = {"float32": 0, "int8": 9}  # of schema.fbs
ARENA_BYTES = 1 << 16


def tflm_function(
    name: str,
    values: npt.NDArray[Any],
    source: QuantParams | None = None,
    target: QuantParams | None = None,
    *,
    to: str | None = None,
) -> npt.NDArray[Any]:
    """The answers of operator `name`, one input and no options, to `values` [n] of float32 or int8.

    They are of the type `to`, or of the same one.

    Raises ModelError when the interpreter refuses them.
    """
    dtypes = (str(values.dtype), to or str(values.dtype))
    return np.frombuffer(_answers(name, values.tobytes(), dtypes, (source, target)), dtypes[1])


@functools.lru_cache(maxsize=1024)  # a file is read several times by one command
def _answers(
    name: str, values: bytes, dtypes: tuple[str, str], quants: tuple[QuantParams | None, ...]
) -> bytes:
    from tflite_micro import runtime

    array = np.frombuffer(values, dtypes[0])
    model = _model(name, len(array), dtypes, quants)
    try:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)
        interpreter.set_input(array, 0)
        interpreter.invoke()
        return np.asarray(interpreter.get_output(0), dtypes[1]).tobytes()
    except Exception as error:
        raise ModelError(f"{name}: TFLite Micro computes no table of it: {error}") from error


def _model(
    name: str, elements: int, dtypes: tuple[str, str], quants: tuple[QuantParams | None, ...]
) -> bytes:
    """A .tflite file of one operator."""
    import flatbuffers
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    model, graph, code, operator = (
        getattr(schema, f"{part}T")() for part in ("Model", "SubGraph", "OperatorCode", "Operator")
    )
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = 1
    graph.tensors = [
        _tensor(schema, elements, _TYPES[dtype], quant)
        for dtype, quant in zip(dtypes, quants, strict=True)
    ]
    graph.inputs, graph.outputs = [0], [1]
    operator.inputs, operator.outputs = [0], [1]
    graph.operators = [operator]
    model.version, model.buffers = 3, [schema.BufferT()]
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(schema: Any, elements: int, kind: int, quant: QuantParams | None) -> Any:
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.buffer, tensor.name = [elements], kind, 0, b"t"
    if quant is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = list(quant.scale)
        tensor.quantization.zeroPoint = list(quant.zero_point)
    return tensor
