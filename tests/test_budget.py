"""Constants: a budget or the file's own size choose each layer's packing, for the fewest cycles."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize import lowering
from quantize.errors import QuantizeError
from quantize.golden import make_golden, random_inputs, save_golden
from quantize.lowering import lower
from quantize.manifest import compile_sets
from quantize.reference import compile_graph
from quantize.stages.emit import emit
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder
from tests.factory_state import Streaming
from tests.host_c import HostModel
from tests.layers import Layer, convolutions

POINT = Layer(size=(9, 9), channels=8, outputs=16)
PAIRS = "nn_fully_connected_pairs_s8"
HALVES = "nn_conv_2d_pixels_s8"  # a dense layer on weights of two bytes


def _two_layers(weight: int = 127) -> bytes:
    """640 to 24 to 30 channels; both layers can be packed in every way."""
    b, rng = ModelBuilder(), np.random.default_rng(0)
    x = b.tensor([1, 640], scale=[0.05], zero_point=[3])
    h = b.tensor([1, 24], scale=[0.4], zero_point=[-128])
    y = b.tensor([1, 30], scale=[0.3], zero_point=[5])
    for source, target, depth in ((x, h, 640), (h, y, 24)):
        channels = b.tensors[target].shape[1]
        data = rng.integers(-weight, weight + 1, (channels, depth)).astype(np.int8)
        w = b.tensor([channels, depth], scale=[0.01], data=data)
        bias = rng.integers(-2000, 2000, channels).astype(np.int32)
        c = b.tensor([channels], dtype="int32", scale=[0.0005], data=bias)
        b.operator("FULLY_CONNECTED", [source, w, c], [target], "FullyConnectedOptions", 4,
                   fusedActivationFunction=int(target == h))  # fmt: skip
    return b.pack([x], [y])


def _functions(budget: int | None) -> list[str]:
    graph = parse_model(_two_layers())
    lowered = lower(graph, compile_graph(graph), "xtensa_mac16", budget)
    lowered = lowered if budget else lowering.with_larger(graph, lowered, "xtensa_mac16")
    assert budget is None or sum(s.constant_bytes for s in lowered) <= budget
    return [call.function for s in lowered for call in s.calls]


def test_more_flash_buys_fewer_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a budget up to 1.1 times the file's constants, and a KiB."""
    assert _functions(None) == _functions(18_700) == [PAIRS, HALVES]
    assert _functions(16_500) == [PAIRS, PAIRS]
    monkeypatch.setattr(lowering, "LARGER_SHARE", 0.9)
    graph = parse_model(_two_layers())
    usual = lower(graph, compile_graph(graph), "xtensa_mac16")
    steps = lowering.with_larger(graph, usual, "xtensa_mac16")
    (other,) = steps[1].alternatives
    assert (other.kernels, other.reason) == (HALVES, "flash")
    assert other.cost and steps[1].cost and other.cost.cycles < steps[1].cost.cycles


@pytest.mark.parametrize("kernels", sorted(lowering.USUAL_SHARE))
def test_constants_are_within_the_share_of_the_set(
    kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other packings are taken where the usual ones of all layers together are larger."""
    graph = parse_model(convolutions(np.random.default_rng(0), [POINT] * 6))
    steps = compile_graph(graph)
    file_bytes = sum(s.constant_bytes for s in lower(graph, steps, "ref"))
    usual = sum(s.constant_bytes for s in lower(graph, steps, kernels))
    assert usual <= lowering.USUAL_SHARE[kernels] * file_bytes + lowering.SMALL_BYTES
    monkeypatch.setattr(lowering, "SMALL_BYTES", 0)
    for share in (1.0, 1.1):
        monkeypatch.setitem(lowering.USUAL_SHARE, kernels, share)
        assert sum(s.constant_bytes for s in lower(graph, steps, kernels)) <= share * file_bytes


def test_few_inputs_keep_weights_of_a_byte_where_flash_is_short() -> None:
    """A pixel in registers wants 16-bit weights; the next best are not the reference kernels."""
    graph = parse_model(convolutions(np.random.default_rng(0), [POINT]))
    steps = compile_graph(graph)
    (usual,) = lower(graph, steps, "armv7em", 1 << 20)
    assert usual.calls[0].function == "nn_conv_2d_few_s8"
    (smaller,) = lower(graph, steps, "armv7em", usual.constant_bytes - 1)
    assert smaller.calls[0].function == "nn_conv_2d_points_s8"


def test_what_fits_nowhere_says_how_much_it_needs() -> None:
    with pytest.raises(QuantizeError, match=r"a flash budget of 1000 bytes: .* at least 16\d\d\d"):
        _functions(1000)


def _with_operands(seed: int = 0) -> bytes:
    """A depthwise layer times a constant plus a variable: most of its constants are no kernel's."""
    rng, main = np.random.default_rng(seed), ModelBuilder()
    s = Streaming(main=main, start=main.beside())
    like: dict[str, Any] = {"scale": [0.05], "zero_point": [3]}
    shape = [1, 6, 6, 4]
    x, h, m, y = (s.main.tensor(shape, **like) for _ in range(4))
    data = rng.integers(-127, 128, (2, *shape)).astype(np.int8)
    w = s.main.tensor([1, 1, 1, 4], scale=[0.01] * 4, axis=3, data=data[0, :, :1, :1])
    s.main.operator("DEPTHWISE_CONV_2D", [x, w], [h], "DepthwiseConv2DOptions", 3, strideH=1,
                    strideW=1, dilationHFactor=1, dilationWFactor=1, depthMultiplier=1)  # fmt: skip
    s.main.operator("MUL", [h, s.main.tensor(shape, data=data[0], **like)], [m], "MulOptions", 2)
    handle = s.variable(data[1], **like)
    s.main.operator("ADD", [s.read(handle, shape, **like), m], [y], "AddOptions", 2)
    s.assign(handle, y)
    return s.pack([x], [y])


@pytest.mark.parametrize("kernels", ["armv7em", "xtensa_mac16"])
def test_a_budget_counts_operands_and_first_values(kernels: str, tmp_path: Path) -> None:
    """The least that a message names is what all constants of the firmware take, and enough."""
    model = _with_operands()
    golden = make_golden(model, random_inputs(parse_model(model), 2, 1))
    folders = {kernels: tmp_path}
    with pytest.raises(QuantizeError, match="at least") as refused:
        compile_sets(model, golden, folders, name="b", settings={}, constants_bytes=1)
    (least,) = re.findall(r"at least (\d+)", str(refused.value))
    made = compile_sets(model, golden, folders, name="b", settings={}, constants_bytes=int(least))
    constants: Any = made[kernels]["constants"]
    assert 2 * 6 * 6 * 4 < sum(c["bytes"] for c in constants) <= int(least)


@pytest.mark.parametrize("budget", [None, 18_700, 40_000])
def test_every_choice_computes_the_same(budget: int | None, tmp_path: Path) -> None:
    model = _two_layers()
    golden = make_golden(model, random_inputs(parse_model(model), 8, 1))
    folders = {"xtensa_mac16": tmp_path}
    sets = compile_sets(model, golden, folders, name="b", settings={}, constants_bytes=budget)
    host = HostModel(tmp_path, sets["xtensa_mac16"])
    for case in range(len(golden)):
        expected = golden.case_outputs(case)[0]
        assert np.array_equal(host.run(golden.case_inputs(case))[0], expected)


def test_emit_says_what_flash_buys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cycles by estimate, of each set that is for a chip."""
    model = _two_layers()
    (tmp_path / "model.tflite").write_bytes(model)
    golden = make_golden(model, random_inputs(parse_model(model), 2, 0))
    save_golden(tmp_path / "golden.npz", golden)
    cycles = []
    for budget in (16_500, 30_000):
        emit(tmp_path, "two", None, budget, None)
        said = capsys.readouterr().out.splitlines()
        assert [len(re.findall("by estimate", line)) for line in said] == [0, 1, 1, 1]
        (found,) = re.findall(r"mac16: .* ESP32 about ([\d,]+) cycles", said[-1])
        cycles.append(int(found.replace(",", "")))
    assert cycles[1] < cycles[0]
