"""Build small .tflite files for tests, and random legal ones for each operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

DTYPES = {
    "int8": 9,
    "int32": 2,
    "float32": 0,
    "int16": 7,
    "uint8": 3,
    "int64": 4,
    "int4": 17,
    "bool": 6,
    "resource": 13,
}


@dataclass(frozen=True, kw_only=True)
class Types:
    """The element types of a multiply-accumulate operator; `bias` lists those it may have."""

    activations: str = "int8"
    weights: str = "int8"
    bias: tuple[str, ...] = ("int32",)


INT8 = Types()


@dataclass(kw_only=True)
class ModelBuilder:
    """Collects tensors and operators, then packs them."""

    tensors: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)
    codes: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])

    def tensor(
        self,
        shape: Sequence[int],
        *,
        dtype: str = "int8",
        scale: Sequence[float] = (),
        zero_point: Sequence[int] = (),
        axis: int = 0,
        data: npt.NDArray[Any] | None = None,
        name: str = "",
    ) -> int:
        """Add a tensor; returns its index."""
        tensor = schema.TensorT()
        tensor.shape = np.array(shape, np.int32)
        tensor.type = DTYPES[dtype]
        tensor.name = (name or f"t{len(self.tensors)}").encode()
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            self.buffers.append(buffer)
            tensor.buffer = len(self.buffers) - 1
        quant = schema.QuantizationParametersT()
        if len(scale):
            quant.scale = np.array(scale, np.float32)
            quant.zeroPoint = np.array(zero_point or [0] * len(scale), np.int64)
            quant.quantizedDimension = axis
        tensor.quantization = quant
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: str = "",
        version: int = 1,
        **values: Any,
    ) -> None:
        """Add an operator; `options` names its table of options, `values` fill it."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.codes) - 1
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array(outputs, np.int32)
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            table = getattr(schema, options + "T")()
            for key, value in values.items():
                assert hasattr(table, key), key
                setattr(table, key, value)
            operator.builtinOptions = table
        self.operators.append(operator)

    def beside(self) -> ModelBuilder:
        """A builder of another subgraph of the same model."""
        return ModelBuilder(codes=self.codes, buffers=self.buffers)

    def pack(
        self, inputs: Sequence[int], outputs: Sequence[int], others: Sequence[ModelBuilder] = ()
    ) -> bytes:
        """The bytes of the .tflite file; the other subgraphs have no inputs and outputs."""
        model = schema.ModelT()
        model.version = 3
        model.operatorCodes, model.subgraphs = self.codes, [self._subgraph(inputs, outputs)]
        model.subgraphs += [other._subgraph((), ()) for other in others]
        model.buffers, model.description = self.buffers, b"test"
        builder = flatbuffers.Builder(4096)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _subgraph(self, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs = np.array(inputs, np.int32)
        graph.outputs = np.array(outputs, np.int32)
        graph.name = b"main"
        return graph


def _quant(
    rng: np.random.Generator, low: float = 1e-3, high: float = 0.2, dtype: str = "int8"
) -> dict[str, Any]:
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    if dtype == "int16":
        return {"scale": [scale / 256], "zero_point": [0], "dtype": dtype}
    return {"scale": [scale], "zero_point": [int(rng.integers(-128, 128))]}


def packed_int4(values: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """int4 values two to a byte, the first in the low half."""
    nibbles = np.append(values.reshape(-1), np.zeros(values.size % 2, np.int8)).view(np.uint8) & 15
    packed: npt.NDArray[np.uint8] = nibbles[0::2] | nibbles[1::2] << 4
    return packed


def _weights(
    rng: np.random.Generator,
    b: ModelBuilder,
    shape: Sequence[int],
    axis: int,
    per_channel: bool,
    dtype: str = "int8",
) -> tuple[int, list[float]]:
    scales = np.exp(rng.uniform(np.log(1e-3), np.log(0.05), shape[axis] if per_channel else 1))
    if dtype == "int4":
        data = packed_int4(rng.integers(-8, 8, shape).astype(np.int8))
    else:
        data = rng.integers(-127, 128, shape).astype(np.int8)
    scales = scales.astype(np.float32)
    index = b.tensor(shape, dtype=dtype, scale=list(scales), axis=axis, data=data)
    return index, [float(s) for s in scales]


def _bias(
    rng: np.random.Generator,
    b: ModelBuilder,
    channels: int,
    source: float,
    scales: list[float],
    types: Types = INT8,
) -> int:
    if rng.random() < 0.15:
        return -1
    dtype = types.bias[int(rng.integers(len(types.bias)))] if len(types.bias) > 1 else types.bias[0]
    limit = 20000 if types.activations == "int8" or dtype == "int16" else 20000 << 8
    values = rng.integers(-limit, limit, channels).astype(dtype)
    bias_scales = [float(np.float32(source) * np.float32(s)) for s in scales]
    return b.tensor([channels], dtype=dtype, scale=bias_scales, data=values)


def _same_valid(
    rng: np.random.Generator, size: int, kernel: int, stride: int, dilation: int
) -> Any:
    effective = (kernel - 1) * dilation + 1
    padding = int(rng.integers(2)) if effective <= size else 0
    out = -(-size // stride) if padding == 0 else (size - effective) // stride + 1
    return padding, out


def _geometry(rng: np.random.Generator, dilate: bool = True) -> dict[str, Any]:
    while True:
        h, w = (int(v) for v in rng.integers(1, 9, 2))
        kh, kw = (int(v) for v in rng.integers(1, 5, 2))
        sh, sw = (int(v) for v in rng.integers(1, 4, 2))
        dh, dw = (int(v) for v in rng.integers(1, 3, 2)) if dilate else (1, 1)
        padding, oh = _same_valid(rng, h, kh, sh, dh)
        if padding == 1 and (kw - 1) * dw + 1 > w:
            continue
        ow = -(-w // sw) if padding == 0 else (w - (kw - 1) * dw - 1) // sw + 1
        return {
            "h": h, "w": w, "kh": kh, "kw": kw, "oh": oh, "ow": ow,
            "options": {"padding": padding, "strideH": sh, "strideW": sw},
            "dilation": {"dilationHFactor": dh, "dilationWFactor": dw},
        }  # fmt: skip


def _activation(rng: np.random.Generator) -> int:
    return int(rng.choice([0, 1, 3, 2]))


def conv_2d(rng: np.random.Generator, types: Types = INT8) -> bytes:
    """A random CONV_2D."""
    b, g = ModelBuilder(), _geometry(rng)
    n, in_c, out_c = 1, int(rng.integers(1, 9)), int(rng.integers(1, 9))
    q = _quant(rng, dtype=types.activations)
    x = b.tensor([n, g["h"], g["w"], in_c], **q)
    w, scales = _weights(
        rng, b, [out_c, g["kh"], g["kw"], in_c], 0, rng.random() < 0.7, types.weights
    )
    bias = _bias(rng, b, out_c, q["scale"][0], scales, types)
    y = b.tensor([n, g["oh"], g["ow"], out_c], **_quant(rng, dtype=types.activations))
    b.operator("CONV_2D", [x, w, bias], [y], "Conv2DOptions", 3, **g["options"], **g["dilation"],
               fusedActivationFunction=_activation(rng))  # fmt: skip
    return b.pack([x], [y])


def depthwise_conv_2d(rng: np.random.Generator, types: Types = INT8) -> bytes:
    """A random DEPTHWISE_CONV_2D."""
    b, g = ModelBuilder(), _geometry(rng)
    in_c, multiplier = int(rng.integers(1, 9)), int(rng.choice([1, 1, 2, 3]))
    out_c = in_c * multiplier
    q = _quant(rng, dtype=types.activations)
    x = b.tensor([1, g["h"], g["w"], in_c], **q)
    w, scales = _weights(rng, b, [1, g["kh"], g["kw"], out_c], 3, rng.random() < 0.7, types.weights)
    bias = _bias(rng, b, out_c, q["scale"][0], scales, types)
    y = b.tensor([1, g["oh"], g["ow"], out_c], **_quant(rng, dtype=types.activations))
    operands = [x, w] if bias < 0 else [x, w, bias]  # TFLite Micro crashes on a bias of -1
    b.operator("DEPTHWISE_CONV_2D", operands, [y], "DepthwiseConv2DOptions", 3, **g["options"],
               **g["dilation"], depthMultiplier=multiplier,
               fusedActivationFunction=_activation(rng))  # fmt: skip
    return b.pack([x], [y])


def fully_connected(rng: np.random.Generator, types: Types = INT8) -> bytes:
    """A random FULLY_CONNECTED."""
    b = ModelBuilder()
    batches, depth, out = (int(v) for v in rng.integers(1, [4, 40, 12]))
    q = _quant(rng, dtype=types.activations)
    x = b.tensor([batches, depth], **q)
    per_channel = rng.random() < 0.5 and types.weights == "int8"  # TFLite Micro's int4 has not
    w, scales = _weights(rng, b, [out, depth], 0, per_channel, types.weights)
    bias = _bias(rng, b, out, q["scale"][0], scales, types)
    y = b.tensor([batches, out], **_quant(rng, dtype=types.activations))
    b.operator("FULLY_CONNECTED", [x, w, bias], [y], "FullyConnectedOptions", 4,
               fusedActivationFunction=_activation(rng))  # fmt: skip
    return b.pack([x], [y])


def _pool(name: str, dtype: str = "int8") -> Callable[[np.random.Generator], bytes]:
    def build(rng: np.random.Generator) -> bytes:
        b, g, q = ModelBuilder(), _geometry(rng, dilate=False), _quant(rng, dtype=dtype)
        c = int(rng.integers(1, 9))
        x = b.tensor([1, g["h"], g["w"], c], **q)
        y = b.tensor([1, g["oh"], g["ow"], c], **q)
        b.operator(name, [x], [y], "Pool2DOptions", 2, **g["options"], filterHeight=g["kh"],
                   filterWidth=g["kw"], fusedActivationFunction=_activation(rng))  # fmt: skip
        return b.pack([x], [y])

    return build


def mean(rng: np.random.Generator, dtype: str = "int8", name: str = "MEAN") -> bytes:
    """A random MEAN or SUM."""
    b = ModelBuilder()
    rank = int(rng.integers(1, 5))
    shape = [int(v) for v in rng.integers(1, 9, rank)]
    count = int(rng.integers(1, min(rank, 2) + 1))
    axes = rng.choice(rank, count, replace=False)
    if rank == 4 and rng.random() < 0.5:
        axes = np.array([1, 2])
    keep = bool(rng.integers(2))
    signed = [int(a) - rank if rng.random() < 0.3 else int(a) for a in axes]
    q = _quant(rng, dtype=dtype)
    q2 = q if rng.random() < 0.3 else _quant(rng, dtype=dtype)
    kept = [1 if i in axes else d for i, d in enumerate(shape)]
    x = b.tensor(shape, **q)
    a = b.tensor([len(signed)], dtype="int32", data=np.array(signed, np.int32))
    y = b.tensor(kept if keep else [d for i, d in enumerate(shape) if i not in axes], **q2)
    b.operator(name, [x, a], [y], "ReducerOptions", 2, keepDims=keep)
    return b.pack([x], [y])


def add(rng: np.random.Generator) -> bytes:
    """A random ADD, half of them broadcasting."""
    b = ModelBuilder()
    shape = [int(v) for v in rng.integers(1, 6, int(rng.integers(1, 5)))]
    sides = [list(shape), list(shape)]
    if rng.random() < 0.5:
        side = int(rng.integers(2))
        sides[side] = [1 if rng.random() < 0.5 else d for d in shape]
        if rng.random() < 0.5:
            sides[side] = sides[side][1:] or [1]
    x, y = (b.tensor(s, **_quant(rng)) for s in sides)
    z = b.tensor(shape, **_quant(rng))
    b.operator("ADD", [x, y], [z], "AddOptions", 2, fusedActivationFunction=_activation(rng))
    return b.pack([x, y], [z])


def reshape(rng: np.random.Generator) -> bytes:
    """A random RESHAPE between two ADDs, so that sharing memory is exercised."""
    b, q = ModelBuilder(), _quant(rng)
    n, m = (int(v) for v in rng.integers(1, 9, 2))
    x = b.tensor([1, n, m], **q)
    s = b.tensor([1, n, m], **q)
    r = b.tensor([m, n], **q)
    z = b.tensor([m, n], **_quant(rng))
    shape = b.tensor([2], dtype="int32", data=np.array([m, n], np.int32))
    b.operator("ADD", [x, x], [s], "AddOptions", 2)
    b.operator("RESHAPE", [s, shape], [r], "ReshapeOptions", 1)
    b.operator("ADD", [r, r], [z], "AddOptions", 2)
    return b.pack([x], [z])


def quantize(rng: np.random.Generator) -> bytes:
    """A random QUANTIZE from int8 to int8, made smaller and larger."""
    b = ModelBuilder()
    shape = [int(v) for v in rng.integers(1, 9, int(rng.integers(1, 5)))]
    x = b.tensor(shape, **_quant(rng))
    y = b.tensor(shape, **_quant(rng))
    b.operator("QUANTIZE", [x], [y], "QuantizeOptions", 2)
    return b.pack([x], [y])


def softmax(rng: np.random.Generator) -> bytes:
    """A random SOFTMAX."""
    b = ModelBuilder()
    shape = [int(v) for v in rng.integers(1, [4, 40])]
    x = b.tensor(shape, **_quant(rng, 1e-3, 1.0))
    y = b.tensor(shape, scale=[1 / 256], zero_point=[-128])
    b.operator("SOFTMAX", [x], [y], "SoftmaxOptions", 2, beta=float(rng.choice([1.0, 0.5, 2.0])))
    return b.pack([x], [y])


GENERATORS: dict[str, Callable[[np.random.Generator], bytes]] = {
    "ADD": add,
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
    "MAX_POOL_2D": _pool("MAX_POOL_2D"),
    "MEAN": mean,
    "QUANTIZE": quantize,
    "RESHAPE": reshape,
    "SOFTMAX": softmax,
}
