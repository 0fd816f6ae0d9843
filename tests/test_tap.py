"""The first layer that differs is named, with what is likely wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.link.device import Device
from host_tools.parity.tap import Tap, TapReport, describe
from model.files import write_bytes
from quantize.fold import fold_channels
from quantize.fuse import simplify
from quantize.golden import load_golden, make_golden, random_inputs, save_golden
from quantize.manifest import compile_model
from quantize.ops import OPS
from quantize.reference import Reference
from quantize.scheme import Requant
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.factory import ModelBuilder
from tests.window_chains import wide

CONV, RESHAPE, DENSE, SOFTMAX = range(4)  # operators of the model


def model() -> bytes:
    """CONV_2D with padding, RESHAPE, FULLY_CONNECTED, SOFTMAX."""
    b, rng = ModelBuilder(), np.random.default_rng(1)
    x = b.tensor([1, 5, 4, 2], scale=[0.05], zero_point=[3])
    weights = rng.integers(-127, 128, (6, 3, 3, 2)).astype(np.int8)
    w = b.tensor(weights.shape, scale=list(np.linspace(0.01, 0.05, 6)), data=weights)
    biases = rng.integers(-3000, 3000, 6).astype(np.int32)
    bias = b.tensor([6], dtype="int32", scale=[0.001], data=biases)
    y = b.tensor([1, 5, 4, 6], scale=[0.2], zero_point=[-20])
    b.operator("CONV_2D", [x, w, bias], [y], "Conv2DOptions", 3, padding=0, strideH=1, strideW=1,
               dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=1)  # fmt: skip
    shape = b.tensor([2], dtype="int32", data=np.array([1, 120], np.int32))
    flat = b.tensor([1, 120], scale=[0.2], zero_point=[-20])
    b.operator("RESHAPE", [y, shape], [flat], "ReshapeOptions", 1)
    matrix = rng.integers(-127, 128, (4, 120)).astype(np.int8)
    dense = b.tensor(matrix.shape, scale=[0.01], data=matrix)
    z = b.tensor([1, 4], scale=[2.0], zero_point=[5])
    b.operator("FULLY_CONNECTED", [flat, dense, -1], [z], "FullyConnectedOptions", 4)
    s = b.tensor([1, 4], scale=[1 / 256], zero_point=[-128])
    b.operator("SOFTMAX", [z], [s], "SoftmaxOptions", 2, beta=1.0)
    return b.pack([x], [s])


def folded_model() -> bytes:
    """Two CONV_2D; channels 1 and 2 of the four between them are constant and vanish."""
    b, rng = ModelBuilder(), np.random.default_rng(2)
    x, y, z = (
        b.tensor([1, 5, 4, c], scale=[0.05 * c], zero_point=[0 if c == 2 else -128])
        for c in (2, 4, 3)
    )
    for source, target, shape in ((x, y, (4, 1, 1, 2)), (y, z, (3, 3, 3, 4))):
        weights = rng.integers(-127, 128, shape).astype(np.int8)
        weights[1:3] *= source != x
        w = b.tensor(shape, scale=[0.02], data=weights)
        bias = b.tensor([shape[0]], dtype="int32", data=np.zeros(shape[0], np.int32))
        b.operator("CONV_2D", [source, w, bias], [target], "Conv2DOptions", 3, padding=0,
                   strideH=1, strideW=1)  # fmt: skip
    return b.pack([x], [z])


def split_model() -> bytes:
    """An operator with two outputs, of which a later one reads the second only."""
    b, q = ModelBuilder(), {"scale": [0.1], "zero_point": [0]}
    x = b.tensor([1, 8], **q)
    axis = b.tensor([], dtype="int32", data=np.array([1], np.int32))
    first, second, total = (b.tensor([1, 4], **q) for _ in range(3))
    b.operator("SPLIT", [axis, x], [first, second], "SplitOptions", 2, numSplits=2)
    b.operator("ADD", [second, second], [total], "AddOptions", 2)
    return b.pack([x], [total, first])


def make_build(out_dir: Path, data: bytes, kernels: str = "ref") -> dict[str, Any]:
    """A folder as `quantize golden` and `emit` leave it; returns the manifest."""
    golden = make_golden(data, random_inputs(parse_model(data), 6, 0))
    write_bytes(out_dir / "model.tflite", data)
    save_golden(out_dir / "golden.npz", golden)
    gen = out_dir / "gen" / kernels
    compile_model(data, golden, gen, name=out_dir.name, settings={}, kernels=kernels)
    manifest: dict[str, Any] = json.loads((gen / "manifest.json").read_text())
    return manifest


class WrongDevice(Device):
    """A device whose kernels are the integer reference with one operator's parameters changed."""

    def __init__(
        self, data: bytes, manifest: dict[str, Any], operator: int, change: Callable[[Any], Any]
    ) -> None:
        self._reference = Reference(simplify(parse_model(data)).graph)
        steps = list(self._reference.steps)
        steps[operator] = replace(steps[operator], params=change(steps[operator].params))
        self._reference.steps = tuple(steps)
        self._steps = [op["step"] for op in manifest["operators"]]
        self._manifest = manifest

    def write_inputs(self, inputs: Sequence[Any], after: Sequence[Any] = ()) -> None:
        self._values = self._reference.run_all(inputs)

    def tap(self, step: int, offset: int, count: int) -> bytes:
        operator = max(i for i, s in enumerate(self._steps) if s is not None and s <= step)
        written = dict.fromkeys(self._reference.graph.inputs, -1)
        written |= {o: op.index for op in self._reference.graph.operators for o in op.outputs}
        there = [
            t
            for a in self._manifest["arena"]
            for t in a["tensors"]
            if a["offset"] == offset and a["first_step"] <= operator <= a["last_step"]
            if written[t] <= operator
        ]
        return self._values[max(there, key=written.__getitem__)].tobytes()[:count]


def tap(
    tmp_path: Path,
    operator: int,
    change: Callable[[Any], Any],
    data: bytes | None = None,
    kernels: str = "ref",
) -> TapReport:
    """What the finder says about a device with one operator changed, on a random case."""
    data = data or model()
    manifest = make_build(tmp_path / "m", data, kernels)
    golden = load_golden(tmp_path / "m" / "golden.npz")
    device = WrongDevice(data, manifest, operator, change)
    return Tap(tmp_path / "m", manifest, golden, 5).first_divergence(device)


def test_equal_layers_are_said_to_be_equal(tmp_path: Path) -> None:
    report = tap(tmp_path, CONV, lambda p: p)
    assert report.first is None
    assert report.equal == report.operators == 4
    assert describe(report) == ["1 cases: all 4 operators equal, tensor by tensor"]


@pytest.mark.parametrize("operator", [0, 1])
def test_folded_channels_are_left_out(operator: int, tmp_path: Path) -> None:
    """A layer that shrank is compared in what is left of it, and its fault is found there."""
    assert len(fold_channels(parse_model(folded_model())).kept) == 1
    assert tap(tmp_path, operator, lambda p: p, folded_model()).first is None
    shifted = tap(tmp_path, operator, lambda p: replace(p, output_offset=-127), folded_model())
    assert shifted.first is not None
    assert (shifted.first.operator, shifted.first.shape[-1]) == (operator, 2 + operator)
    assert any("output_offset is -127, not -128" in cause for cause in shifted.first.causes)


def test_operators_that_run_together_are_named_together(tmp_path: Path) -> None:
    """The PAD between is gone; of the others only the last has a tensor to look at."""
    assert tap(tmp_path, 0, lambda p: p, wide().pack(), "armv7em").first is None
    shifted = tap(
        tmp_path, 0, lambda p: replace(p, output_offset=-120), wide().pack(), "armv7em"
    ).first
    assert shifted is not None and (shifted.operator, shifted.step) == (2, 0)
    assert shifted.causes[-1] == ("operator 0 CONV_2D, which runs with it, some rows at a time")


def _channel_two(p: Any) -> Any:
    factors = list(p.requants)
    factors[2] = Requant(multiplier=factors[2].multiplier, shift=factors[2].shift + 1)
    return replace(p, requants=tuple(factors))


def _swap_rows(p: Any) -> Any:
    return replace(p, weights=np.swapaxes(p.weights, 1, 2).copy())


def _no_padding(p: Any) -> Any:
    return replace(p, window=replace(p.window, pad=(0, 0)))


WRONG: dict[str, tuple[int, Callable[[Any], Any], str]] = {
    "bias": (CONV, lambda p: replace(p, bias=p.bias * 0), "the bias is not added"),
    "input offset": (CONV, lambda p: replace(p, input_offset=0), "input_offset is not added"),
    "output offset": (DENSE, lambda p: replace(p, output_offset=6), "output_offset is 6, not 5"),
    "activation": (CONV, lambda p: replace(p, act_min=-128), "the fused activation is missing"),
    "one channel": (CONV, _channel_two, "only channels 2 of 6 differ"),
    "channels": (CONV, lambda p: replace(p, requants=p.requants[:1] * 6), "channel 0's requant"),
    "padding": (CONV, _no_padding, "the padding before is (0, 0)"),
    "weights": (DENSE, lambda p: replace(p, weights=p.weights[:, ::-1]), "wrong weights"),
    "axes": (CONV, _swap_rows, "another order of axes"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_each_fault_is_found_where_it_is(name: str, tmp_path: Path) -> None:
    operator, change, words = WRONG[name]
    first = tap(tmp_path, operator, change).first
    assert first is not None
    assert first.operator == operator
    assert any(words in cause for cause in first.causes), first.causes


@pytest.mark.skipif("SPLIT" not in OPS, reason="no operator with two outputs yet")
def test_every_output_of_an_operator_is_compared(tmp_path: Path) -> None:
    data = split_model()
    manifest = make_build(tmp_path / "m", data)
    device = WrongDevice(data, manifest, 0, lambda p: p)
    device.write_inputs(load_golden(tmp_path / "m" / "golden.npz").case_inputs(5))
    second = int(parse_model(data).operators[0].outputs[1])
    reference = device._reference.run_all

    def wrong(inputs: Sequence[Any]) -> dict[int, Any]:
        values = reference(inputs)
        return values | {second: values[second] + np.int8(1)}

    device._reference.run_all = wrong  # type: ignore[method-assign]
    golden = load_golden(tmp_path / "m" / "golden.npz")
    first = Tap(tmp_path / "m", manifest, golden, 5).first_divergence(device).first
    assert first is not None
    assert (first.operator, first.output) == (0, 1)


def test_a_wrong_kernel_call_is_named_on_the_firmware(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One number of the generated dense layer is changed; the convolution before it is right."""
    monkeypatch.setattr(command, "BUILD", tmp_path / "build")
    out_dir = tmp_path / "build" / "m"
    make_build(out_dir, model())
    source = out_dir / "gen" / "ref" / "model.c"
    broken = re.sub(r"(?s)(model_p2\w* = .*?\.output_offset = )5\b", r"\g<1>6", source.read_text())
    assert broken != source.read_text()
    source.write_text(broken)
    assert command.main(["build", "m", "native"]) == 0
    assert command.main(["parity", "m", "native", "--tap"]) == 1
    said = capsys.readouterr().out
    assert "2 of 4 operators equal" in said
    assert "operator 2 FULLY_CONNECTED (step 1), output 0: int8 1x4, scale 2, zero point 5" in said
    assert "output_offset is 6, not 5: the reference computes exactly these bytes so" in said
    layers = json.loads((out_dir / "native" / "parity.json").read_text())["layers"]
    assert layers["first"]["op"] == "FULLY_CONNECTED"
    assert layers["equal"] == 2
