"""The types of what an OpSpec states: ranges, folding, advice and faster kernels, or why not.

The engines that follow these rules are quantize.ranges, fold, advice and lowering.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from quantize.scheme import IntArray, QuantParams
from quantize.tflite.graph import Graph, Operator, Tensor

P = TypeVar("P")
BoolArray = npt.NDArray[np.bool_]
Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Without:
    """Something that an operator has not, and why."""

    reason: str


# --- ranges -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Inclusive bounds of each channel, int64 [channels]; reached or not."""

    low: IntArray
    high: IntArray


Ends = tuple[Values, Values]  # an operand with every channel at its lowest, and at its highest
Run = Callable[[Sequence[Values]], tuple[Values, ...]]  # the operator's reference: inputs, outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeRule(Generic[P]):
    """How the bounds of outputs follow from those of inputs, by runs of the reference."""

    bounds: Callable[[Run, Sequence[Ends]], list[Interval]]
    dtypes: tuple[str, ...]  # it holds where all that is computed has one of these types
    may_wrap: Callable[[P], bool]  # whether rescaling may leave 32 bits: then nothing is bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class SumRule(Generic[P]):
    """Bounds of weighted sums, of which an OutputStage makes the output."""

    source: int  # position of the input that is computed
    # (params, bounds of the source, its shape) -> those of the sums, bias included, unwrapped
    sums: Callable[[P, Interval, tuple[int, ...]], Interval]


# --- folding ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The state of the search: gone[tensor] shrinks until every operator agrees."""

    graph: Graph
    tensors: Mapping[int, Interval]
    accumulators: Mapping[int, Interval]  # of the operator at this index
    gone: dict[int, BoolArray]  # of every int8 tensor computed at run time

    def keep(self, tensor: int, needed: BoolArray | bool) -> None:
        """Channels of a tensor that stay."""
        if tensor in self.gone:
            self.gone[tensor] &= ~np.asarray(needed)

    def tie(self, tensors: Sequence[int]) -> None:
        """Tensors that lose the same channels."""
        together = np.logical_and.reduce([self.gone[i] for i in tensors])
        for i in tensors:
            self.gone[i] &= together


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrinking:
    """The smaller graph on its way: what stays, and how an operator gets new constants."""

    found: Channels
    kept: Mapping[int, BoolArray]  # tensor that shrinks -> whether each channel stays
    # (values, the tensor they stand for, their quantisation) -> index of the new tensor
    add: Callable[[Values, Tensor | None, QuantParams | None], int]

    def stays(self, tensor: int) -> BoolArray:
        """Whether each channel of a computed tensor stays."""
        every: BoolArray = np.ones(len(self.found.tensors[tensor].low), np.bool_)
        return self.kept.get(tensor, every)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldRule(Generic[P]):
    """Which channels an operator of int8 tensors can do without, and what it is without them."""

    demand: Callable[[Channels, Operator, P], bool]  # keeps what it needs; False: all of them
    shrink: Callable[[Shrinking, Operator, P], Operator]  # of an operator that loses channels


# --- advice -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The weights at input 1 of an operator that multiplies."""

    axis: int  # of the output channels
    # of a layer that does not compile, from the shape of its weights: products for one output
    products: Callable[[tuple[int, ...]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What a model can be warned about at this operator."""

    weights: Weights | None  # whose int8 range may be spent on a few values
    rescales: bool  # outputs that often saturate mean a calibration with other data


RESCALES = Advice(weights=None, rescales=True)


# --- kernels ------------------------------------------------------------------------------------


class Lowering(enum.Enum):
    """How faster calls than the reference's are made; quantize.lowering has one for each core."""

    AVERAGE_POOL = "average pool"
    BATCH_MATMUL = "batch matmul"
    CONVOLUTION = "convolution"
    DENSE = "dense"
    DEPTHWISE = "depthwise"
    LSTM = "LSTM"
    MAX_POOL = "max pool"
    MEAN = "mean"
    PAIR_TABLE = "pair table"  # one operand is a constant of one value
    PRODUCT = "product"
    RESCALE = "rescale"
    SOFTMAX = "softmax"
    SQUARED_DIFFERENCE = "squared difference"
    SVDF = "SVDF"
    TRANSPOSE_CONV = "transpose conv"
    WEIGHTED_SUM = "weighted sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """For each set of kernels but the reference's: how an operator is faster there, or why not."""

    armv7em: Lowering | Without
    xtensa: Lowering | Without  # with MAC16 or without

    def lowering(self, kernels: str) -> Lowering | None:
        """That of the kernel set `kernels`; None where the reference's kernels are taken."""
        sets = {"armv7em": self.armv7em, "xtensa": self.xtensa, "xtensa_mac16": self.xtensa}
        found = sets.get(kernels)
        return found if isinstance(found, Lowering) else None


NO_LANES = Without(reason="the core has no instructions that take four bytes at a time")


def reference_kernels(reason: str) -> Kernels:
    """Those of an operator that is no faster anywhere."""
    return Kernels(armv7em=Without(reason=reason), xtensa=Without(reason=reason))
