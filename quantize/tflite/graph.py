"""A model as plain values: tensors and operators in the order in which they run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.errors import ModelError
from quantize.scheme import QuantParams
from quantize.tflite.schema import ELEMENT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor; `data` holds the values of a constant, else None."""

    index: int
    name: str  # as the file spells it: untrusted, for messages only
    dtype: str  # 'int8', 'int32', ... as in schema.TENSOR_TYPES
    shape: tuple[int, ...]
    quant: QuantParams | None
    data: npt.NDArray[np.generic] | None
    variable: bool = False  # keeps its value from one run to the next
    shared: bool = False  # a variable that several operators read and assign
    free: bool = False  # a dimension was left free when converting; the shape has 1 there
    initial: npt.NDArray[np.generic] | None = None  # of a variable; None: the zero point

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.elements * ELEMENT_BYTES[self.dtype]

    @property
    def first_values(self) -> npt.NDArray[np.generic]:
        """What a variable tensor holds after a reset: `initial`, or zero points of int8, or 0."""
        if self.initial is not None:
            return self.initial
        zero = self.quant.zero_point[0] if self.dtype == "int8" and self.quant else 0
        return np.full(self.shape, zero, self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One node; -1 in `inputs` stands for an optional input that is absent."""

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A validated model: every index is in range, and inputs exist before an operator runs."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    folded: int = 0  # operators that were evaluated when the file was read
    resized: bool = False  # tensors with free dimensions have got the shapes that operators compute

    @property
    def variables(self) -> tuple[Tensor, ...]:
        """The variable tensors that operators use."""
        used = {i for op in self.operators for i in op.inputs if i >= 0}
        return tuple(t for t in self.tensors if t.variable and t.index in used)

    def input(self, op: Operator, position: int) -> Tensor:
        """Input tensor `position` of an operator; ModelError when it is absent."""
        tensor = self.optional_input(op, position)
        if tensor is None:
            raise ModelError(f"operator {op.index} {op.name}: input {position} is missing")
        return tensor

    def optional_input(self, op: Operator, position: int) -> Tensor | None:
        """Input tensor `position` of an operator, or None when it is absent."""
        if position >= len(op.inputs) or op.inputs[position] < 0:
            return None
        return self.tensors[op.inputs[position]]

    def output(self, op: Operator) -> Tensor:
        """First output tensor of an operator; what ASSIGN_VARIABLE writes is its first input."""
        return self.tensors[(op.outputs or op.inputs)[0]]
