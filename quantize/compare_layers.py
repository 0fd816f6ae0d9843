"""How far each activation of an int8 model is from that of its float original, case by case.

Tensors of the two belong together by their names, which converters and quantisers keep for most.
The formulas are those of host_tools.parity.float_comparison; what is kept does not grow with the
number of cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.float_reference import ends_of, match_ends
from quantize.ops.base import Array
from quantize.scheme import nearest_codes, real_values
from quantize.tflite.graph import Graph, Tensor

Float64s = npt.NDArray[np.float64]
SAMPLED = 20_000  # values of a layer for its percentiles
CENTRE = (0.1, 99.9)  # percentiles: nearly all values
DOMINATED = 16.0  # ratio of the whole range to that of nearly all values: 16 codes are left of 256
CLIPPED = 0.01  # share of the float values beyond int8's range
FIXED = ("LOGISTIC", "LOG_SOFTMAX", "SOFTMAX", "TANH")  # whose range TFLite sets, not the inputs
DECIMALS = 6  # significant digits in the result


@dataclass(slots=True)
class _Sums:
    """What is kept of one layer."""

    float_index: int
    tensor: Tensor
    operator: str
    values: int = 0
    signal: float = 0.0
    noise: float = 0.0
    apart: float = 0.0
    largest: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    outside: int = 0
    sampled: list[Float64s] = field(default_factory=list)


class Layers:
    """Both graphs' tensors that belong together: add() each case, then found() and outputs()."""

    def __init__(self, network: Graph, device: Graph, cases: int) -> None:
        self._device, self._each = device, max(1, SAMPLED // cases)
        self._inputs = match_ends(
            ends_of(network, network.inputs), ends_of(device, device.inputs), "input"
        )
        chosen = match_ends(
            ends_of(network, network.outputs), ends_of(device, device.outputs), "output"
        )
        self._outputs = [network.outputs[i] for i in chosen]
        self._rows: tuple[list[list[Array]], ...] = ([], [])
        by_name = {t.name: t for t in network.tensors if t.dtype == "float32" and t.data is None}
        by_index = {o: op.name for op in device.operators for o in op.outputs}
        wanted = [(i, "input") for i in device.inputs] + list(by_index.items())
        ends = dict(zip(device.inputs, (network.inputs[i] for i in self._inputs), strict=True))
        ends |= dict(zip(device.outputs, self._outputs, strict=True))
        self._sums: list[_Sums] = []
        for index, operator in wanted:
            tensor = device.tensors[index]
            named = by_name.get(tensor.name)
            other = network.tensors[ends[index]] if index in ends else named
            quantised = tensor.dtype in ("int8", "int16") and tensor.quant is not None
            if quantised and other is not None and other.shape == tensor.shape:
                self._sums.append(_Sums(other.index, tensor, operator))

    def device_inputs(self, case: Sequence[Array]) -> list[Array]:
        """One case of the float network's inputs, as the int8 model takes them."""
        tensors = [self._device.tensors[i] for i in self._device.inputs]
        values = [case[i] for i in self._inputs]
        return [_codes(v, t) for v, t in zip(values, tensors, strict=True)]

    def add(self, network: Callable[[int], Array], device: Callable[[int], Array]) -> None:
        """The case that both have just run; each gives its tensor of an index."""
        for sums in self._sums:
            shape = sums.tensor.shape
            f = np.asarray(network(sums.float_index), np.float64).reshape(shape)
            d = _real(np.asarray(device(sums.tensor.index)).reshape(shape), sums.tensor)
            _add(sums, f, d, self._each)
        tensors = [self._device.tensors[i] for i in self._device.outputs]
        self._rows[0].append([np.asarray(network(i)).reshape(t.shape)
                              for i, t in zip(self._outputs, tensors, strict=True)])  # fmt: skip
        self._rows[1].append([_real(np.asarray(device(t.index)).reshape(t.shape), t)
                              for t in tensors])  # fmt: skip

    def outputs(self) -> dict[str, Array]:
        """float_0, int8_0, ...: [cases, *shape] of each output."""
        found = {}
        for side, rows in zip(("float", "int8"), self._rows, strict=True):
            for i, column in enumerate(zip(*rows, strict=True)):
                found[f"{side}_{i}"] = np.stack(column).astype(np.float64)
        return found

    def found(self) -> list[dict[str, Any]]:
        """One entry a layer, in the model's order."""
        return [_entry(sums) for sums in self._sums]


def _codes(values: Array, tensor: Tensor) -> Array:
    """What the device takes; of a tensor without a scale the value."""
    if tensor.quant is None or tensor.dtype == "float32":
        return values.astype(tensor.dtype)
    return nearest_codes(values, tensor.quant, tensor.dtype)


def _real(values: Array, tensor: Tensor) -> Float64s:
    """What its codes stand for; without a scale the value."""
    if tensor.quant is None:
        return values.astype(np.float64)
    return real_values(values, tensor.quant.scale[0], tensor.quant.zero_point[0])


def _add(sums: _Sums, f: Float64s, d: Float64s, each: int) -> None:
    apart = np.abs(f - d)
    sums.values += f.size
    sums.signal += float((f**2).sum())
    sums.noise += float((apart**2).sum())
    sums.apart += float(apart.sum())
    sums.largest = max(sums.largest, float(apart.max()))
    sums.low, sums.high = min(sums.low, float(f.min())), max(sums.high, float(f.max()))
    quant = sums.tensor.quant
    assert quant is not None
    limits = np.iinfo(sums.tensor.dtype)
    ends = [(code - quant.zero_point[0]) * quant.scale[0] for code in (limits.min, limits.max)]
    half = quant.scale[0] / 2
    sums.outside += int(((f < ends[0] - half) | (f > ends[1] + half)).sum())
    step = -(-f.size // each)
    sums.sampled.append(f.reshape(-1)[len(sums.sampled) % step :: step])


def _entry(sums: _Sums) -> dict[str, Any]:
    low, high = np.percentile(np.concatenate(sums.sampled), CENTRE)
    sqnr = 10 * math.log10(sums.signal / sums.noise) if sums.signal and sums.noise else None
    quant = sums.tensor.quant
    assert quant is not None
    numbers = {
        "largest": sums.largest,
        "mean": sums.apart / sums.values,
        "minimum": sums.low,
        "maximum": sums.high,
        "low": float(low),
        "high": float(high),
        "scale": quant.scale[0],
        "saturated": sums.outside / sums.values,
    }
    rounded = {key: float(f"{value:.{DECIMALS}g}") for key, value in numbers.items()}
    return {
        "tensor": sums.tensor.index,
        "operator": sums.operator,
        "name": sums.tensor.name[:200],
        "sqnr_db": None if sqnr is None else round(sqnr, 2),
        **rounded,
    }


def warnings_of(layers: Sequence[dict[str, Any]]) -> list[str]:
    """Activations whose range a few values dominate, and those that int8 cuts off."""
    told = []
    for layer in layers:
        where = f"tensor {layer['tensor']} ({layer['operator']})"
        whole, most = layer["maximum"] - layer["minimum"], layer["high"] - layer["low"]
        if whole > DOMINATED * most and whole > 0:
            codes = max(1, round(most / layer["scale"]))
            told.append(
                f"{where}: a few values dominate its range: it is {layer['minimum']:.3g} to "
                f"{layer['maximum']:.3g}, but 99.8 % of it lie in {layer['low']:.3g} to "
                f"{layer['high']:.3g}, for which {codes} of 256 codes are left; leave such inputs "
                "out, or clip them"
            )
        if layer["saturated"] > CLIPPED and layer["operator"] not in FIXED:
            told.append(
                f"{where}: {layer['saturated']:.1%} of its float values are beyond what int8 "
                "reaches and are cut off; give inputs as large as the real ones"
            )
    return told
