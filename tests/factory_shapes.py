"""Random models that compute shapes as they run, as Keras models with a free batch do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.factory import ModelBuilder, _quant

Generator = Callable[[np.random.Generator], bytes]


def vector(b: ModelBuilder, *values: int) -> int:
    """A constant of int32."""
    return b.tensor([len(values)], dtype="int32", data=np.array(values, np.int32))


def computed(b: ModelBuilder, shape: list[int]) -> int:
    """A tensor of int32 that an operator writes."""
    return b.tensor(shape, dtype="int32")


def flattened(rng: np.random.Generator) -> bytes:
    """RESHAPE to [batch, -1], where the batch is read from the tensor's own shape."""
    b = ModelBuilder()
    shape = [int(v) for v in rng.integers(1, 6, int(rng.integers(2, 5)))]
    rest = int(np.prod(shape[1:]))
    q = _quant(rng)
    x = b.tensor(shape, **q)
    whole, batch = computed(b, [len(shape)]), computed(b, [])
    b.operator("SHAPE", [x], [whole], "ShapeOptions", outType=2)
    bounds = [vector(b, 0), vector(b, 1), vector(b, 1)]
    b.operator("STRIDED_SLICE", [whole, *bounds], [batch], "StridedSliceOptions",
               shrinkAxisMask=1)  # fmt: skip
    if rng.random() < 0.5:
        name = str(rng.choice(["ADD", "SUB"]))
        same = computed(b, [])
        zero = b.tensor([], dtype="int32", data=np.array(0, np.int32))
        b.operator(name, [batch, zero], [same], f"{name.title()}Options")
        batch = same
    length = b.tensor([], dtype="int32", data=np.array(rng.choice([-1, rest]), np.int32))
    wanted = computed(b, [2])
    b.operator("PACK", [batch, length], [wanted], "PackOptions", valuesCount=2, axis=0)
    y = b.tensor([shape[0], rest], **q)
    b.operator("RESHAPE", [x, wanted], [y], "ReshapeOptions")
    return b.pack([x], [y])


def constant(b: ModelBuilder, data: npt.NDArray[Any]) -> int:
    """A constant of any type."""
    return b.tensor(list(data.shape), dtype=data.dtype.name, data=data)


GENERATORS: dict[str, Generator] = {"RESHAPE__COMPUTED": flattened}
