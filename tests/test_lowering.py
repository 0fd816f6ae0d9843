"""The armv7em kernels equal TFLite Micro on typical layers, and are taken for most of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.files import write_bytes
from quantize import lowering
from quantize.golden import Golden, make_golden, random_inputs, save_golden
from quantize.lowering import LoweredStep, lower, with_less_scratch
from quantize.lowering.conv_cortex_m import PACKED, lower_conv
from quantize.lowering.conv_wide_cortex_m import convolution
from quantize.lowering.dense_cortex_m import dense, lower_dense
from quantize.lowering.depthwise_cortex_m import lower_depthwise
from quantize.lowering.fours_cortex_m import KERNEL as FOURS
from quantize.lowering.packing import OUTPUTS
from quantize.manifest import compile_model
from quantize.reference import compile_graph
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.host_c import KERNELS, HostModel
from tests.layers import Layer, convolutions, dense_layers
from tests.native_app import compile_app, start_device
from tests.packed_rows import INT16_ROWS, ROWS, rows_model
from tests.sweeps import sweep

CASES = 6
SIDE_BY_SIDE = 24  # operators in a model
REFERENCE = {path.stem for path in (KERNELS / "ref").glob("*.c")}


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are small: with their padding they would be beyond a set's share of constants."""
    monkeypatch.setattr(lowering, "SMALL_BYTES", 1 << 20)


def _golden(model: bytes, seed: int) -> Golden:
    return make_golden(model, random_inputs(parse_model(model), CASES, seed))


def _lowered(model: bytes) -> tuple[LoweredStep, ...]:
    graph = parse_model(model)
    return lower(graph, compile_graph(graph), "armv7em")


@pytest.mark.parametrize("seed", sweep(range(3), [0]))
@pytest.mark.parametrize("name", sorted(ROWS))
def test_host_c_equals_tflite_micro(name: str, seed: int, tmp_path: Path) -> None:
    model = rows_model([ROWS[name]] * SIDE_BY_SIDE, seed)
    steps = _lowered(model)
    fast = [step for step in steps if step.calls[0].function not in REFERENCE]
    assert len(fast) >= 0.6 * SIDE_BY_SIDE
    golden = _golden(model, seed)
    manifest = compile_model(model, golden, tmp_path, name="rows", settings={}, kernels="armv7em")
    host = HostModel(tmp_path, manifest)
    for case in range(CASES):
        got = host.run(golden.case_inputs(case))
        for step, a, b in zip(steps, got, golden.case_outputs(case), strict=True):
            params, function = step.step.params, step.calls[0].function
            assert np.array_equal(a, b), (case, step.step.op.index, function, params)


@pytest.mark.parametrize("times", sweep([1, 4], [1]))
@pytest.mark.slow
def test_sanitizers_find_nothing(times: int, tmp_path: Path) -> None:
    """Reads and writes beyond the arena, overflows, shifts by too much."""
    model = rows_model(list(ROWS.values()) * times, 0)
    golden, gen = _golden(model, 0), tmp_path / "gen"
    compile_model(model, golden, gen, name="rows", settings={}, kernels="armv7em")
    with start_device(compile_app(tmp_path, gen, kernels="armv7em"), timeout_s=60) as device:
        assert device.selftest().failures == 0
        for case in range(CASES):
            expected = [value.tobytes() for value in golden.case_outputs(case)]
            assert device.run(golden.case_inputs(case)) == expected


@pytest.mark.parametrize("times", sweep([1, 4], [1]))
def test_assembly_equals_tflite_micro(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same on the emulated Cortex-M4, where the kernels are machine code."""
    monkeypatch.setattr(command, "BUILD", tmp_path)
    model = rows_model([*ROWS.values(), *[ROWS["DEPTHWISE_CONV_2D"]] * 6] * times, 1)
    golden, out_dir = _golden(model, 1), tmp_path / "rows"
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden)
    gen = out_dir / "gen" / "armv7em"
    compile_model(model, golden, gen, name="rows", settings={}, kernels="armv7em")
    assert command.main(["build", "rows", "qemu_m4"]) == 0
    assert command.main(["parity", "rows", "qemu_m4"]) == 0
    report = json.loads((out_dir / "qemu_m4" / "parity.json").read_text())
    assert report["equal"] == report["cases"] == CASES


def test_a_column_is_a_row_where_scratch_has_room() -> None:
    """Windows lie in one piece there, but the whole image is copied first."""
    graph = parse_model(rows_model([ROWS["CONV_2D_COLUMN"]] * 100, 0))
    rows = 0
    for step in compile_graph(graph):
        height = step.params.input_shape[1]
        for budget_bytes in (0, 1 << 20):
            lowered = lower_conv(graph, step, budget_bytes)
            if lowered and height > 1 and "size.height" in lowered.calls[0].params:
                call = lowered.calls[0]
                sides = call.params["size.height"], call.params["size.width"]
                row = sides == ("1", str(height))
                assert row or sides == (str(height), "1")
                assert not row or call.scratch_bytes <= budget_bytes
                rows += row
    assert rows > 50


EIGHT = "nn_fully_connected_eight_s8"


def test_eight_channels_share_their_inputs_where_they_are_requantised_alike() -> None:
    """Without scratch, for any number of blocks of inputs."""
    steps = _lowered(rows_model([ROWS["FULLY_CONNECTED_ALIKE"]] * SIDE_BY_SIDE, 0))
    eights = [s for s in steps if s.calls[0].function == EIGHT]
    assert len(eights) >= 0.6 * SIDE_BY_SIDE and not any(s.scratch_bytes for s in eights)
    assert {int(s.calls[0].params["steps"]) // 4 % 3 for s in eights} == {0, 1, 2}
    usual = _lowered(rows_model([ROWS["FULLY_CONNECTED"]] * SIDE_BY_SIDE, 0))
    assert not any(s.calls[0].function == EIGHT for s in usual)  # each channel has its own


WINDOWS = {  # a depthwise window, or one of an image of one channel -> its kernel
    "nn_depthwise_lines_s8": (
        Layer(size=(28, 1), channels=8, depthwise=1, kernel=(5, 1), same=False),
        Layer(size=(3, 40), channels=5, depthwise=1, kernel=(1, 31)),
    ),
    "nn_depthwise_dots_s8": (
        Layer(size=(15, 1), channels=8, depthwise=1, kernel=(15, 1), same=False),
        Layer(size=(1, 30), channels=8, depthwise=1, kernel=(1, 4), stride=(2, 2), same=False),
        Layer(size=(30, 2), channels=8, depthwise=1, kernel=(4, 1), dilation=(3, 1), same=False),
        Layer(size=(5, 6), channels=8, depthwise=1, kernel=(5, 6), same=False),
    ),
    "nn_conv_2d_mono_s8": (
        Layer(size=(9, 12), channels=1, depthwise=8, kernel=(3, 3), stride=(2, 2)),
        Layer(size=(9, 12), channels=1, outputs=4, kernel=(2, 3)),
    ),
    "nn_depthwise_conv_2d_packed_s8": (
        Layer(size=(2, 5459), channels=4, depthwise=1, kernel=(3, 3)),  # its ring: 65,532 words
    ),
    "nn_depthwise_rows_s8": (
        Layer(size=(2, 5460), channels=4, depthwise=1, kernel=(3, 3)),
        Layer(size=(9, 16384), channels=4, depthwise=1, kernel=(5, 1)),  # lines: 2**16 bytes apart
        Layer(size=(12, 12), channels=8, depthwise=1, kernel=(5, 5)),
        Layer(size=(12, 20), channels=8, depthwise=1, kernel=(8, 15), stride=(2, 1)),
    ),
    "nn_depthwise_conv_2d_quads_s8": (
        Layer(size=(12, 12), channels=8, depthwise=1, kernel=(9, 3)),
        Layer(size=(12, 20), channels=8, depthwise=1, kernel=(3, 16)),
        Layer(size=(12, 12), channels=8, depthwise=1, kernel=(5, 5), stride=(2, 2)),
        Layer(size=(30, 1), channels=8, depthwise=1, kernel=(5, 1), stride=(2, 2)),
        Layer(size=(30, 4), channels=8, depthwise=1, kernel=(5, 1), dilation=(2, 1)),
    ),
    "nn_conv_2d_points_s8": (
        Layer(size=(9, 12), channels=20, outputs=4, kernel=(1, 1)),
        Layer(size=(3, 7), channels=17, outputs=5, kernel=(1, 1)),
    ),
    "nn_conv_2d_single_s8": (
        Layer(size=(1, 3), channels=20, outputs=4, kernel=(1, 1)),
        Layer(size=(1, 1), channels=18, outputs=5, kernel=(1, 1)),
    ),
    "nn_conv_2d_packed_s8": (
        Layer(size=(5, 3), channels=4, outputs=4, kernel=(3, 3)),  # at the end three pixels
        Layer(size=(9, 11), channels=1, outputs=4, kernel=(4, 3), images=2),
        Layer(size=(9, 12), channels=1, outputs=4, kernel=(3, 3), dilation=(2, 2)),
        Layer(size=(9, 258), channels=3, outputs=4, kernel=(3, 3)),  # many places
        Layer(size=(9, 256), channels=260, outputs=4, stride=(2, 1)),  # 2**16 bytes apart
    ),
    "nn_conv_2d_fours_s8": (
        # the last word of the last pixel would end behind the tensor's last 16 bytes
        Layer(size=(3, 5), channels=17, outputs=4, kernel=(1, 1)),
        Layer(size=(9, 11), channels=1, outputs=4, kernel=(4, 3)),
        Layer(size=(96, 96), channels=3, outputs=8, kernel=(3, 3), stride=(2, 2)),
        Layer(size=(33, 31), channels=3, outputs=6, kernel=(5, 5), stride=(2, 2)),
        Layer(size=(32, 32), channels=2, outputs=5, kernel=(3, 3), dilation=(2, 1)),
        Layer(size=(12, 3), channels=4, outputs=4, kernel=(3, 3)),
        Layer(size=(32, 32), channels=24, outputs=8, kernel=(1, 1), stride=(2, 2)),
    ),
}


def _alone(layer: Layer, scratch_budget_bytes: int, number: int = 0) -> LoweredStep | None:
    """A layer as number `number` of a model: that chooses among four output stages."""
    graph = parse_model(convolutions(np.random.default_rng(0), [layer] * (number + 1)))
    lower_one = lower_depthwise if layer.depthwise else lower_conv
    return lower_one(graph, compile_graph(graph)[number], scratch_budget_bytes)


@pytest.mark.parametrize("kernel", WINDOWS)
def test_windows_have_kernels_of_their_own(kernel: str) -> None:
    for layer in WINDOWS[kernel]:
        step = _alone(layer, 1 << 20)
        assert step is not None and step.calls[0].function == kernel, layer


@pytest.mark.parametrize(
    "kernel",
    [
        "nn_depthwise_lines_s8",
        "nn_depthwise_rows_s8",
        "nn_conv_2d_mono_s8",
        "nn_conv_2d_fours_s8",
    ],
)
def test_scratch_without_room_is_not_used(kernel: str) -> None:
    for layer in WINDOWS[kernel]:
        needed = _alone(layer, 1 << 20)
        assert needed is not None and needed.scratch_bytes > 0
        other = _alone(layer, needed.scratch_bytes - 1)
        assert other is None or other.calls[0].function != kernel, layer


@pytest.mark.parametrize(
    ("size", "scratch_budget_bytes", "taken"),
    [
        ((1, 2, 16), 64, True),
        ((1, 4, 5), 64, True),
        ((1, 5, 5), 64, False),
        ((2, 4, 5), 64, False),
        ((1, 4, 5), 0, False),
    ],
)
def test_few_values_stay_in_registers(
    size: tuple[int, int, int], scratch_budget_bytes: int, taken: bool
) -> None:
    """Of a single row only: eight bytes are read of each, and the last may end the arena."""
    graph = parse_model(dense_layers(np.random.default_rng(0), [size]))
    (step,) = compile_graph(graph)
    lowered = lower_dense(graph, step, scratch_budget_bytes)
    assert (lowered.calls[0].function == "nn_few_8_s8") == taken


@pytest.mark.parametrize("kernel", list(WINDOWS)[:4])
def test_a_clamp_that_saturation_does_not_do_is_left_to_other_kernels(kernel: str) -> None:
    """The third output stage has a ReLU with a zero point that is not the type's least value."""
    step = _alone(WINDOWS[kernel][0], 1 << 20, 2)
    assert step is None or step.calls[0].function != kernel


@pytest.mark.parametrize(
    ("beside", "small", "taken", "reason"),
    [
        (256, (1, 128, 12), "nn_conv_2d_single_s8", "code"),
        (4, (1, 128, 12), "nn_fully_connected", "cycles"),
        (4, (1, 32, 12), "nn_conv_2d_single_s8", "code"),  # few cycles in any case
    ],
)
def test_a_small_dense_layer_takes_a_small_kernel(
    beside: int, small: tuple[int, int, int], taken: str, reason: str
) -> None:
    """Where its cycles are few beside those of others: code is worth more then."""
    model = dense_layers(np.random.default_rng(0), [(64, beside, 64), small])
    layer = _lowered(model)[1]
    assert layer.calls[0].function.startswith(taken)
    assert reason in {other.reason for other in layer.alternatives}


@pytest.mark.parametrize(
    ("depth", "taken"), [(1000, "nn_conv_2d_single_s8"), (3000, "nn_fully_connected")]
)
def test_a_small_kernel_takes_no_scratch_that_the_arena_does_not_have(
    depth: int, taken: str
) -> None:
    """The first layer needs 8,192 bytes and both inputs, the second half of it and 2 an input."""
    model = dense_layers(np.random.default_rng(0), [(64, 64, 64), (1, depth, 2)])
    assert _lowered(model)[1].calls[0].function.startswith(taken)


@pytest.mark.parametrize("width", [65535, 65536])
def test_sizes_that_have_no_room_in_16_bits_take_the_reference_kernel(width: int) -> None:
    layer = Layer(size=(1, width), channels=1, outputs=3, kernel=(1, 5))
    step = _alone(layer, 1 << 20)
    assert (step is None) == (width == 65536)


@pytest.mark.parametrize("channels", [65535, 65536])
@pytest.mark.parametrize(("pixels", "kernel"), [(3, "single"), (4, "points")])
def test_pixels_that_have_no_room_in_16_bits_take_the_reference_kernel(
    pixels: int, kernel: str, channels: int
) -> None:
    layer = Layer(size=(1, pixels), channels=8, outputs=2, kernel=(1, 1))
    graph = parse_model(convolutions(np.random.default_rng(0), [layer]))
    (step,) = compile_graph(graph)
    p = step.params
    more = ((0, 0), (0, 0), (0, 0), (0, channels - 8))
    wide = replace(p, input_shape=(1, 1, pixels, channels), weights=np.pad(p.weights, more))
    found = lower_conv(graph, replace(step, params=wide), 1 << 20)
    assert (found is None) == (channels == 65536)
    assert found is None or found.calls[0].function == f"nn_conv_2d_{kernel}_s8"


@pytest.mark.parametrize(
    ("vectors", "inputs", "outputs", "fits"),
    [
        (65535, 8, 8, True),
        (65536, 8, 8, False),
        (1, 65528, 8, True),
        (1, 65529, 8, False),  # with its last block of eight
        (1, 8, 65535, True),
        (1, 8, 65536, False),
    ],
)
def test_dense_sizes_that_have_no_room_in_16_bits_take_a_kernel_with_32(
    vectors: int, inputs: int, outputs: int, fits: bool
) -> None:
    (step,) = compile_graph(parse_model(dense_layers(np.random.default_rng(0), [(1, 8, 8)])))
    p = step.params
    large = replace(
        p,
        output_shape=(vectors, outputs),
        weights=np.tile(np.pad(p.weights[0], (0, inputs - 8)), (outputs, 1)),
        bias=np.zeros(outputs, np.int32),
        requants=p.requants[:1] * outputs,
    )
    (call,) = dense(step, large, 0).calls
    assert (call.function != "nn_fully_connected_chunks_s8") == fits


@pytest.mark.parametrize(("width", "taken"), [(65529, True), (65530, False)])
def test_rows_that_have_no_room_in_16_bits_are_not_padded(width: int, taken: bool) -> None:
    """With two columns beside the image and one more byte, up to a multiple of four."""
    step = _alone(Layer(size=(3, width), channels=1, outputs=4, kernel=(3, 3)), 1 << 20)
    assert (step is not None and step.calls[0].function == "nn_conv_2d_mono_s8") == taken


def test_each_form_has_its_part_of_the_kernel() -> None:
    """The twins go by the form alone, so that only a core would notice."""
    seen: set[str] = set()
    for seed in range(3):
        for step in _lowered(rows_model([ROWS["CONV_2D"], ROWS["CONV_2D_POINT"]] * 40, seed)):
            p = step.step.params
            params = {k.removeprefix("single."): v for k, v in step.calls[0].params.items()}
            if "quad.outputs" in params and np.prod(p.output_shape[1:3]) >= 4:
                assert params["quad.outputs"] == OUTPUTS[params["quad.form"]]
                seen.add(params["quad.form"])
    assert seen >= {"NN_FIXED_8", "NN_SIGN", "NN_JUMP"}


def test_what_is_too_long_as_a_row_stays_an_image() -> None:
    (step,) = compile_graph(parse_model(rows_model([INT16_ROWS["CONV_2D_POINT"]], 0)))
    p = step.params
    shapes = {"input_shape": (1, 256, 257, 2), "output_shape": (1, 256, 257, len(p.weights))}
    wide = replace(p, weights=p.weights[..., :2], **shapes)
    lowered = convolution(step, wide)
    assert lowered is not None and lowered.calls[0].params["size.height"] == "256"


def test_windows_that_lie_beside_the_image_read_nothing_of_it() -> None:
    layer = Layer(size=(12, 12), channels=1, outputs=4, kernel=(3, 3))
    graph = parse_model(convolutions(np.random.default_rng(0), [layer]))
    (step,) = compile_graph(graph)
    p = step.params
    window = replace(p.window, stride=(40, 40), pad=(20, 20))
    beside = replace(p, window=window, output_shape=(1, 1, 1, 4))
    lowered = lower_conv(graph, replace(step, params=beside), 1 << 20)
    assert lowered is not None and lowered.calls[0].params["inside"] == "0"


def test_rows_that_are_moved_by_words_begin_with_words() -> None:
    """Only a core would notice: the twins copy bytes."""
    seen: set[bool] = set()
    for seed in range(3):
        for step in _lowered(rows_model([ROWS["CONV_2D_IMAGE"]] * SIDE_BY_SIDE, seed)):
            (call,) = step.calls
            if not call.function.startswith("nn_conv_2d_fours_"):
                continue
            sizes = {name: int(v) for name, v in call.params.items() if name.endswith("_bytes")}
            assert sizes["x_bytes"] % 4 == sizes["row_bytes"] % 4 == 0
            kept = sizes["rows_bytes"] - sizes["done_bytes"]
            assert kept > 0 and kept % 32 == sizes["moved_bytes"] % 32 == 0
            moved = sizes["moved_bytes"] > 0
            assert not moved or sizes["line_bytes"] % 4 == sizes["left_bytes"] % 4 == 0
            assert not moved or call.first_input % 4 == 0
            seen.add(moved)
    assert seen == {False, True}


def test_windows_take_the_kernel_that_is_there_anyway() -> None:
    """nn_conv_2d_fours_s8 where it takes all layers, also with a budget for which the other one is
    smaller; else nn_conv_2d_packed_s8 for those that it is faster for."""
    image = Layer(size=(24, 24), channels=3, outputs=8, kernel=(3, 3), stride=(2, 2))
    column = Layer(size=(64, 1), channels=6, outputs=20, kernel=(7, 1))  # nearly as fast by fours
    several = replace(image, size=(21, 21), images=2)  # not by fours

    def taken(layers: list[Layer], budget: int | None = None) -> list[str]:
        graph = parse_model(convolutions(np.random.default_rng(0), layers))
        steps = lower(graph, compile_graph(graph), "armv7em", budget)
        return [step.calls[0].function for step in steps]

    assert taken([image, column]) == taken([image, column], 100_000) == [FOURS, FOURS]
    mixed = taken([several, column, image, image, image])  # the third and fourth by the reference
    assert [mixed[0], mixed[1], mixed[4]] == [PACKED, PACKED, FOURS]


def test_less_scratch_is_that_of_the_kernel_that_comes_next() -> None:
    graph = parse_model(rows_model([ROWS["CONV_2D_IMAGE"], ROWS["CONV_2D"]] * SIDE_BY_SIDE, 0))
    usual = lower(graph, compile_graph(graph), "armv7em")
    seen: set[tuple[str, str]] = set()
    for own, less in zip(usual, with_less_scratch(graph, usual, "armv7em"), strict=True):
        assert less.constant_bytes <= own.constant_bytes
        if less is not own:
            assert less.scratch_bytes < own.scratch_bytes
            seen.add((own.calls[0].function, less.calls[0].function))
    assert ("nn_conv_2d_fours_s8", "nn_conv_2d_packed_s8") in seen
    assert not {taken for _, taken in seen} & REFERENCE


def test_a_depthwise_layer_writes_over_its_input() -> None:
    """Where outputs follow the rows that they are made of, and there only."""
    model = rows_model([ROWS["DEPTHWISE_CONV_2D"]] * 200, 0)
    places = {True: 0, False: 0}
    for step in _lowered(model):
        if step.calls[0].function != "nn_depthwise_conv_2d_packed_s8":
            continue
        p = step.step.params
        places[bool(step.in_place)] += 1
        smaller = np.prod(p.output_shape[1:3]) <= np.prod(p.input_shape[1:3])
        assert bool(step.in_place) == smaller, p
    assert places[True] > 50


def test_several_vectors_are_pixels_of_a_convolution(tmp_path: Path) -> None:
    model = dense_layers(np.random.default_rng(2), [(16, 32, 16), (33, 20, 9), (1, 32, 8)])
    graph = parse_model(model)
    found = [step.calls[0].function for step in lower(graph, compile_graph(graph), "armv7em")]
    assert found[:2] == ["nn_conv_2d_points_s8"] * 2 and found[2].startswith("nn_fully_connected")
    golden = make_golden(model, random_inputs(graph, 4, 1))
    manifest = compile_model(model, golden, tmp_path, name="m", settings={}, kernels="armv7em")
    host = HostModel(tmp_path, manifest)
    for case in range(4):
        for got, wanted in zip(
            host.run(golden.case_inputs(case)), golden.case_outputs(case), strict=True
        ):
            np.testing.assert_array_equal(got, wanted)
