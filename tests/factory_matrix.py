"""Random legal .tflite files for matrices, transposed convolution, resizing and state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tests.factory import INT8, ModelBuilder, Types, _activation, _bias, _quant, _weights


def transpose_conv(rng: np.random.Generator, types: Types = INT8) -> bytes:
    """A random TRANSPOSE_CONV; the input's size follows from the output's, as in training."""
    b, q = ModelBuilder(), _quant(rng, dtype=types.activations)
    batches, in_c, out_c = (int(v) for v in rng.integers(1, [3, 9, 9]))
    h, w = (int(v) for v in rng.integers(1, 10, 2))
    kh, kw = (int(v) for v in rng.integers(1, 5, 2))
    sh, sw = (int(v) for v in rng.integers(1, 4, 2))
    padding = int(rng.integers(2)) if kh <= h and kw <= w else 0
    in_h, in_w = -(-h // sh), -(-w // sw)
    if padding == 1:
        in_h, in_w = (h - kh) // sh + 1, (w - kw) // sw + 1
    shape = [batches, h, w, out_c]
    s = b.tensor([4], dtype="int32", data=np.array(shape, np.int32))
    weights, scales = _weights(rng, b, [out_c, kh, kw, in_c], 0, rng.random() < 0.7, types.weights)
    x = b.tensor([batches, in_h, in_w, in_c], **q)
    bias = _bias(rng, b, out_c, q["scale"][0], scales, types)
    y = b.tensor(shape, **_quant(rng, dtype=types.activations))
    operands = [s, weights, x] if bias < 0 else [s, weights, x, bias]
    b.operator("TRANSPOSE_CONV", operands, [y], "TransposeConvOptions", 3, padding=padding,
               strideH=sh, strideW=sw, fusedActivationFunction=_activation(rng))  # fmt: skip
    return b.pack([x], [y])


def batch_matmul(rng: np.random.Generator, dtype: str = "int8") -> bytes:
    """A random BATCH_MATMUL: transposed, broadcasting, and with a constant side now and then."""
    b = ModelBuilder()
    rows, depth, columns = (int(v) for v in rng.integers(1, [9, 20, 9]))
    adj_x, adj_y = (bool(v) for v in rng.integers(2, size=2))
    batches = [int(v) for v in rng.integers(1, 4, int(rng.integers(0, 4)))]
    matrices = [
        [depth, rows] if adj_x else [rows, depth],
        [columns, depth] if adj_y else [depth, columns],
    ]
    sides = [[*batches, *matrices[0]], [*batches, *matrices[1]]]
    if batches and rng.random() < 0.6:
        side = int(rng.integers(2))
        ones = [1 if rng.random() < 0.5 else d for d in batches]
        sides[side] = [*ones[int(rng.integers(len(ones) + 1)) :], *matrices[side]]
    constant = int(rng.choice([0, 1, 2, 2]))  # 2: neither
    tensors = [
        b.tensor(
            shape,
            **_quant(rng, 1e-2, dtype=dtype),
            data=_fill(rng, shape, dtype) if side == constant else None,
        )
        for side, shape in enumerate(sides)
    ]
    full = [max(pair) for pair in zip(*(_padded(s[:-2], len(batches)) for s in sides), strict=True)]
    y = b.tensor([*full, rows, columns], **_quant(rng, 1e-2, 2.0, dtype))
    b.operator("BATCH_MATMUL", tensors, [y], "BatchMatMulOptions", 2, adjX=adj_x, adjY=adj_y)
    return b.pack([t for side, t in enumerate(tensors) if side != constant], [y])


def _fill(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> npt.NDArray[np.generic]:
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)


def _padded(shape: Sequence[int], rank: int) -> list[int]:
    return [1] * (rank - len(shape)) + list(shape)


def resize_bilinear(rng: np.random.Generator) -> bytes:
    """A random RESIZE_BILINEAR, smaller and larger, with all three ways to place the samples."""
    b, q = ModelBuilder(), _quant(rng)
    n, c = (int(v) for v in rng.integers(1, [3, 6]))
    h, w = (int(v) for v in rng.integers(1, 10, 2))
    size = [int(v) for v in rng.integers(1, 24, 2)]
    x = b.tensor([n, h, w, c], **q)
    s = b.tensor([2], dtype="int32", data=np.array(size, np.int32))
    y = b.tensor([n, *size, c], **q)
    align, half = [(False, False), (True, False), (False, True)][int(rng.integers(3))]
    b.operator("RESIZE_BILINEAR", [x, s], [y], "ResizeBilinearOptions", 3, alignCorners=align,
               halfPixelCenters=half)  # fmt: skip
    return b.pack([x], [y])


def svdf(rng: np.random.Generator) -> bytes:
    """A random SVDF; time weights and state are int8 or int16."""
    b, q = ModelBuilder(), _quant(rng)
    batches, depth, rank = (int(v) for v in rng.integers(1, [3, 20, 4]))
    units, memory = (int(v) for v in rng.integers(1, [7, 9]))
    filters = units * rank
    dtype = str(rng.choice(["int8", "int16"]))
    limit = 127 if dtype == "int8" else 32767
    x = b.tensor([batches, depth], **q)
    features, (feature_scale,) = _weights(rng, b, [filters, depth], 0, False)
    time_scale = float(np.float32(np.exp(rng.uniform(np.log(1e-5), np.log(1e-2)))))
    values = rng.integers(-limit, limit + 1, [filters, memory]).astype(dtype)
    time = b.tensor([filters, memory], dtype=dtype, scale=[time_scale], data=values)
    spread = q["scale"][0] * feature_scale * 5000 * np.sqrt(depth)  # of the features
    state_scale = float(np.float32(spread * rng.uniform(1, 6) / limit))
    full = spread * limit * time_scale * np.sqrt(rank * memory) / 60  # of the outputs
    output_scale = float(np.float32(full * np.exp(rng.uniform(-1, 3))))
    # Without input the bias alone decides; it lies where a wrong multiplier rounds to a neighbour.
    halves = rng.integers(-120, 120, units) + 0.5
    middle = halves * output_scale / (state_scale * time_scale)
    bias_values = np.clip(np.round(middle) + rng.integers(-3, 4, units), -(2**31), 2**31 - 1)
    bias_scale = float(np.float32(state_scale) * np.float32(time_scale))
    bias = b.tensor([units], dtype="int32", scale=[bias_scale], data=bias_values.astype(np.int32))
    state = b.tensor(
        [batches, memory * filters],
        dtype=dtype,
        scale=[state_scale],
        zero_point=[int(rng.integers(-40, 41)) if dtype == "int8" else 0],
    )
    b.tensors[state].isVariable = True
    y = b.tensor([batches, units], scale=[output_scale], zero_point=[int(rng.integers(-128, 128))])
    b.operator("SVDF", [x, features, time, bias, state], [y], "SVDFOptions", 3, rank=rank)
    return b.pack([x], [y])


GENERATORS: dict[str, Callable[[np.random.Generator], bytes]] = {
    "BATCH_MATMUL": batch_matmul,
    "RESIZE_BILINEAR": resize_bilinear,
    "SVDF": svdf,
    "TRANSPOSE_CONV": transpose_conv,
}
