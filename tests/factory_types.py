"""Random models of multiply-accumulate operators with int16 activations, or with int4 weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from tests.factory import (
    Types,
    _pool,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    mean,
)
from tests.factory_matrix import batch_matmul, transpose_conv

INT16 = Types(activations="int16", bias=("int64", "int32"))
INT16_WIDE = Types(activations="int16", bias=("int64",))
INT16_SMALL = Types(activations="int16", bias=("int64", "int16"))
INT4 = Types(weights="int4")

GENERATORS: dict[str, Callable[[np.random.Generator], bytes]] = {
    "AVERAGE_POOL_2D_INT16": _pool("AVERAGE_POOL_2D", "int16"),
    "BATCH_MATMUL_INT16": partial(batch_matmul, dtype="int16"),
    "CONV_2D_INT16": partial(conv_2d, types=INT16),
    "CONV_2D_INT4": partial(conv_2d, types=INT4),
    "DEPTHWISE_CONV_2D_INT16": partial(depthwise_conv_2d, types=INT16_WIDE),
    "DEPTHWISE_CONV_2D_INT4": partial(depthwise_conv_2d, types=INT4),
    "FULLY_CONNECTED_INT16": partial(fully_connected, types=INT16),
    "FULLY_CONNECTED_INT4": partial(fully_connected, types=INT4),
    "MAX_POOL_2D_INT16": _pool("MAX_POOL_2D", "int16"),
    "MEAN_INT16": partial(mean, dtype="int16"),
    "SUM_INT16": partial(mean, dtype="int16", name="SUM"),
    "TRANSPOSE_CONV_INT16": partial(transpose_conv, types=INT16_SMALL),
}
