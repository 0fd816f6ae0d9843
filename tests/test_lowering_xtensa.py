"""The xtensa kernels equal TFLite Micro, on this machine and as machine code; their short
requantisation is proven, or not used."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from model.files import write_bytes
from quantize.golden import Golden, make_golden, random_inputs, save_golden
from quantize.lowering import LoweredStep, lower
from quantize.lowering.conv_xtensa import LARGEST_SUM, trio_stream
from quantize.lowering.split import (
    EXACT_LIMIT,
    LOW_BITS,
    MID_BITS,
    SHORT_LIMIT,
    Changes,
    SplitRequant,
    exact_requants,
    find_changes,
    short_requants,
)
from quantize.manifest import compile_model
from quantize.reference import compile_graph
from quantize.scheme import (
    INT32_MAX,
    INT32_MIN,
    IntArray,
    Requant,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.bench_models import residual
from tests.host_c import KERNELS, HostModel
from tests.layers import Layer, convolutions, dense_layers, sums

CASES = 6
# What the compiler of either ABI defines; the one at hand is for call0.
ABIS = {"windowed": ["-U__XTENSA_CALL0_ABI__", "-D__XTENSA_WINDOWED_ABI__"], "call0": []}
CONVOLUTIONS = (
    Layer(size=(5, 5), channels=64, outputs=64),
    *(Layer(size=(1, n), channels=n, outputs=n + 1) for n in (1, 2, 3, 4, 5)),
    Layer(size=(6, 5), channels=3, outputs=16, kernel=(3, 3)),
    Layer(size=(7, 6), channels=5, outputs=4, kernel=(3, 3), stride=(2, 2), images=2),
    Layer(size=(21, 1), channels=6, outputs=4, kernel=(7, 1), stride=(2, 2), images=2),
    Layer(size=(8, 7), channels=4, outputs=7, kernel=(3, 2), dilation=(2, 3)),
    Layer(size=(9, 8), channels=2, outputs=3, kernel=(4, 5), same=False),
    Layer(size=(12, 6), channels=1, outputs=8, kernel=(10, 4), stride=(2, 2)),
    Layer(size=(2, 2), channels=1, outputs=2, kernel=(5, 5)),
    *(Layer(size=(3, 3), channels=70, outputs=n, kernel=(3, 3), largest=127) for n in (3, 4, 5, 6)),
)
DEPTHWISE = (
    *(Layer(size=(25, 5), channels=8, depthwise=1, kernel=(3, 3)) for _ in range(4)),
    *(Layer(size=(5, n), channels=3, depthwise=1, kernel=(3, 3)) for n in (1, 2, 3, 4, 6, 9)),
    Layer(size=(n := 9, n), channels=4, depthwise=1, kernel=(3, 3), stride=(2, 2)),
    Layer(size=(8, 12), channels=2, depthwise=1, kernel=(3, 3), stride=(2, 1), same=False),
    Layer(size=(8, 12), channels=2, depthwise=1, kernel=(3, 3), stride=(3, 2)),
    Layer(size=(11, 10), channels=3, depthwise=1, kernel=(5, 5), largest=127),
    Layer(size=(11, 10), channels=1, depthwise=3, kernel=(4, 7), images=2),
    Layer(size=(12, 9), channels=2, depthwise=2, kernel=(3, 3), dilation=(2, 1)),
    Layer(size=(30, 1), channels=5, depthwise=1, kernel=(9, 1)),
    Layer(size=(1, 1), channels=7, depthwise=1),
)
ONE_CHANNEL = Layer(size=(24, 19), channels=1, depthwise=5, kernel=(6, 5), stride=(2, 2))
DENSE = tuple(
    (batches, depth, count)
    for number, (batches, depth) in enumerate([(1, 1), (1, 4), (3, 7), (1, 64), (2, 100)])
    for count in (1, 3, 4, 6, 9)
)


def _golden(model: bytes, seed: int) -> Golden:
    return make_golden(model, random_inputs(parse_model(model), CASES, seed))


def _lowered(model: bytes) -> tuple[LoweredStep, ...]:
    graph = parse_model(model)
    return lower(graph, compile_graph(graph), "xtensa")


def _kernels(model: bytes) -> list[str]:
    return [call.function for step in _lowered(model) for call in step.calls]


def layer_models(name: str) -> tuple[bytes, list[str]]:
    """A model of many layers, and the kernels that compute them."""
    rng = np.random.default_rng(len(name))
    if name == "convolutions":
        return convolutions(rng, CONVOLUTIONS), ["nn_conv_2d_trio_s8"] * len(CONVOLUTIONS)
    if name == "depthwise":
        return convolutions(rng, DEPTHWISE), ["nn_depthwise_conv_2d_line_s8"] * len(DEPTHWISE)
    if name == "dense":
        return dense_layers(rng, DENSE), ["nn_fully_connected_bytes_s8"] * len(DENSE)
    if name == "dense without scratch":  # the interpreter has none for so many inputs
        return dense_layers(rng, [(2, 2000, 6)]), ["nn_fully_connected_direct_s8"]
    if name == "over its input":
        return convolutions(rng, [ONE_CHANNEL]), ["nn_depthwise_conv_2d_line_s8"]
    large = (([17, 16], [17, 16]), ([300], [300]), ([4, 67], [67]), ([1, 259], [2, 259]))
    others = (([3], [3]), ([30, 10], [30, 1]))  # too few elements, an operand that repeats in a row
    kernels = ["nn_linear_terms_s8"] * len(large) + ["nn_add_s8"] * len(others)
    return sums(rng, large + others), kernels


NAMES = ("convolutions", "depthwise", "dense", "sums", "dense without scratch", "over its input")


@pytest.mark.parametrize("name", NAMES)
def test_host_c_equals_tflite_micro(name: str, tmp_path: Path) -> None:
    model, kernels = layer_models(name)
    golden = _golden(model, 0)
    manifest: Any = compile_model(model, golden, tmp_path, name="m", settings={}, kernels="xtensa")
    assert [kernel for op in manifest["operators"] for kernel in op["kernels"]] == kernels
    host = HostModel(tmp_path, manifest)
    for case in range(CASES):
        got = host.run(golden.case_inputs(case))
        for layer, (a, b) in enumerate(zip(got, golden.case_outputs(case), strict=True)):
            assert np.array_equal(a, b), f"{name} case {case} layer {layer}"


@pytest.mark.parametrize("board", ["qemu_xtensa", pytest.param("esp32", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_machine_code_equals_tflite_micro(
    name: str, board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BUILD", tmp_path)
    model, _ = layer_models(name)
    golden, out_dir = _golden(model, 1), tmp_path / name
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden)
    gen = out_dir / "gen" / "xtensa"
    compile_model(model, golden, gen, name=name, settings={}, kernels="xtensa")
    assert command.main(["build", name, board]) == 0
    assert command.main(["parity", name, board, "--cases", "2"]) == 0
    report = json.loads((out_dir / board / "parity.json").read_text())
    assert report["equal"] == report["cases"] == 2


def test_one_channel_is_in_the_plane_before_outputs_take_its_place(tmp_path: Path) -> None:
    model, _ = layer_models("over its input")
    manifest: Any = compile_model(
        model, _golden(model, 0), tmp_path, name="m", settings={}, kernels="xtensa"
    )
    graph = parse_model(model)
    source, output = (graph.tensors[side[0]].bytes for side in (graph.inputs, graph.outputs))
    scratch = manifest["operators"][0]["scratch_bytes"]
    assert manifest["arena_bytes"] < source + output + scratch - 15 and source < output


def test_large_sums_of_one_sign_keep_their_kernel(tmp_path: Path) -> None:
    """A channel of the second convolution changes its output above the sums that fit."""
    model = residual()
    golden = _golden(model, 5)
    manifest = compile_model(model, golden, tmp_path, name="r", settings={}, kernels="xtensa")
    assert [k for k in _kernels(model) if "conv" in k] == ["nn_conv_2d_trio_s8"] * 3
    host = HostModel(tmp_path, manifest)
    for case in range(len(golden)):
        host.reset()
        got = host.run(golden.case_inputs(case))
        for a, b in zip(got, golden.case_outputs(case), strict=True):
            assert np.array_equal(a, b)


def _with_sum(rng: np.random.Generator, weights: IntArray, target: int) -> IntArray:
    """int8 inputs whose weighted sum is `target`."""
    inputs = rng.integers(-128, 128, len(weights))
    missing = target - int(inputs @ weights)
    for tap in np.argsort(-np.abs(weights)):
        if weights[tap]:
            step = int(missing / int(weights[tap]))
            step = min(max(step, -128 - int(inputs[tap])), 127 - int(inputs[tap]))
            inputs[tap] += step
            missing -= step * int(weights[tap])
    assert missing == 0
    return inputs


@pytest.mark.parametrize("kind", ["convolution", "dense"])
def test_sums_at_the_steps_of_the_output(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a product that is short by a bit would show, as random inputs seldom do."""
    monkeypatch.setattr(command, "BUILD", tmp_path)
    rng, depth, count = np.random.default_rng(3), 700, 20
    if kind == "dense":
        model = dense_layers(rng, [(64, depth, count)])
    else:
        layer = Layer(size=(8, 8), channels=depth, outputs=count, largest=127)
        model = convolutions(rng, [layer])
    graph = parse_model(model)
    p = compile_graph(graph)[0].params
    weights = p.weights.reshape(count, depth).astype(np.int64)
    changes = find_changes(p, weights)
    assert changes is not None
    zero = p.bias + p.input_offset * weights.sum(axis=1)
    cases = []
    for case in range(CASES):
        channel = case % count
        steps = changes.starts[channel][:256:4] - case % 2  # at a step, and just before one
        steps = np.clip(steps, changes.minimum[channel], changes.maximum[channel]) - zero[channel]
        cases.append([_with_sum(rng, weights[channel], int(s)) for s in steps])
    shape = graph.tensors[graph.inputs[0]].shape
    golden = make_golden(model, [np.array(cases, np.int8).reshape(CASES, *shape)])
    out_dir = tmp_path / kind
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden)
    gen = out_dir / "gen" / "xtensa"
    manifest = compile_model(model, golden, gen, name=kind, settings={}, kernels="xtensa")
    assert [step.requantisation for step in _lowered(model)] == ["exact"]
    host = HostModel(gen, manifest)
    for case in range(CASES):
        got = host.run(golden.case_inputs(case))
        assert np.array_equal(got[0], golden.case_outputs(case)[0]), case
    assert command.main(["build", kind, "qemu_xtensa"]) == 0
    assert command.main(["parity", kind, "qemu_xtensa"]) == 0


@pytest.mark.parametrize("abi", ABIS)
def test_loops_begin_within_an_aligned_word(abi: str, tmp_path: Path) -> None:
    """As the processor wants it of LOOP; the emulators do not mind."""
    sources = sorted((KERNELS / "xtensa").glob("*.S"))
    loops = 0
    for source in sources:
        built = tmp_path / (source.stem + ".o")
        flags = ["-mlongcalls", "-mtext-section-literals", *ABIS[abi]]
        if shutil.which("xtensa-lx106-elf-gcc") is None:
            pytest.skip("xtensa-lx106-elf-gcc is not installed")
        command_line = ["xtensa-lx106-elf-gcc", *flags, "-c", str(source), "-o", str(built)]
        subprocess.run(command_line, check=True, timeout=60)
        with built.open("rb") as file:
            elf = ELFFile(file)
            symbols = list(elf.get_section_by_name(".symtab").iter_symbols())
            for symbol in (s for s in symbols if s.name.endswith("_loop")):
                section = elf.get_section(symbol["st_shndx"])
                place = symbol["st_value"]
                assert section["sh_addralign"] % 4 == 0
                assert section.data()[place - 3] == 0x76, symbol.name
                length = 2 if section.data()[place] & 8 else 3
                assert place % 4 + length <= 4, symbol.name
                loops += 1
    written = sum(len(re.findall(r"_loop:$", s.read_text(), re.MULTILINE)) for s in sources)
    assert loops == written >= 6


def test_the_layers_above_take_every_path() -> None:
    steps = _lowered(layer_models("convolutions")[0])
    taken = {(s.requantisation, int(s.calls[0].params["trio.channels"]) % 3) for s in steps}
    assert taken == {(form, rest) for form in ("short", "exact") for rest in range(3)}
    chunks = [int(step.calls[0].params["trio.chunks"]) for step in steps]
    assert chunks[0] == 1 and min(chunks[-4:]) > 1
    lines = [step.calls[0].params for step in _lowered(layer_models("depthwise")[0])]
    for field in ("line.stride", "line.by_sign"):
        assert len({line[field] for line in lines}) == 2, field
    dense = [step.calls[0].params for step in _lowered(layer_models("dense")[0])]
    assert len({layer["exact_bytes"] for layer in dense}) == 2


def test_where_the_output_lies_on_the_input() -> None:
    layers = [
        Layer(size=(5, 5), channels=8, outputs=8),
        Layer(size=(5, 5), channels=8, outputs=9),
        Layer(size=(5, 5), channels=8, outputs=8, kernel=(3, 3)),
        Layer(size=(5, 5), channels=8, outputs=8, images=2),
        Layer(size=(5, 5), channels=8, depthwise=1, kernel=(3, 3)),
        Layer(size=(5, 5), channels=8, depthwise=1, kernel=(3, 3), stride=(2, 2)),
        Layer(size=(5, 5), channels=8, depthwise=2, kernel=(3, 3)),
        Layer(size=(5, 5), channels=8, depthwise=1, kernel=(3, 3), images=2),
        Layer(size=(5, 5), channels=1, depthwise=2, kernel=(3, 3)),
        Layer(size=(5, 5), channels=1, depthwise=2, kernel=(3, 3), images=2),
    ]
    steps = _lowered(convolutions(np.random.default_rng(2), layers))
    found = [bool(step.in_place) for step in steps]
    assert found == [True, False, False, True, True, True, False, False, True, False]


def test_what_lines_do_not_fit_is_left_to_the_reference_kernel() -> None:
    layers = [
        Layer(size=(2, 40_000), channels=1, depthwise=1, kernel=(3, 3)),  # too far to the next line
        Layer(size=(8, 8), channels=2, depthwise=1, kernel=(3, 3), stride=(3, 3)),
        Layer(size=(9, 9), channels=2, depthwise=1, kernel=(3, 3), dilation=(2, 2)),
        Layer(size=(10, 10), channels=1, depthwise=1, kernel=(9, 9), images=2),  # too large a plane
    ]
    for layer in layers:
        model = convolutions(np.random.default_rng(6), [layer])
        assert _kernels(model) == ["nn_depthwise_conv_2d_s8"], layer


# --- the short requantisation --------------------------------------------------------------------

ACTS = [(-128, 127), (-128, 100), (-100, 127), (5, 5), (20, 90)]
FORMS = ["short", "exact", "exact sign"]


def _stage(requants: list[Requant], zero: int, act: tuple[int, int], **more: Any) -> Any:
    fields = {"output_offset": zero, "act_min": act[0], "act_max": act[1], "input_offset": 128}
    return SimpleNamespace(requants=tuple(requants), **fields, **more)


def _changes(r: Requant, zero: int, act: tuple[int, int], low: int, high: int) -> Changes | None:
    """Of a channel whose accumulators are from `low` to `high`, in steps of 255 or less."""
    taps, rest = divmod(high - low, 255)
    weights = np.array([[1] * taps + [0]], np.int64) if taps < 4096 else np.array([[taps, 0]])
    bias = np.array([low], np.int64)
    changes = find_changes(_stage([r], zero, act, bias=bias), weights)
    assert rest < 255
    return changes


def _kernel(form: str, r: SplitRequant, values: IntArray) -> IntArray:
    """What the kernels compute, with a check that nothing leaves 32 bits."""
    x = values if form == "short" else np.clip(values, r.minimum, r.maximum)
    low, mid, high = x * r.low, x * r.mid, x * r.high
    behind = mid + (low >> LOW_BITS)
    front = high + (behind >> MID_BITS)
    value = front + r.constant
    side = x if form == "short" else value
    added = value + (0 if r.signs is None else np.where(side < 0, r.signs[1], r.signs[0]))
    for step in (low, mid, high, behind, front, value, added, np.array(r.exact())):
        assert step.min() >= INT32_MIN and step.max() <= INT32_MAX, r
    result: IntArray = added >> r.shift
    return np.clip(result, -128, 127) if form == "short" else result


def _reference(r: Requant, acc: IntArray, zero: int, act: tuple[int, int]) -> IntArray:
    return np.clip(multiply_by_quantized_multiplier(acc, r.multiplier, r.shift) + zero, *act)


def _prove(form: str, r: Requant, changes: Changes | None) -> SplitRequant | None:
    if changes is None:
        return None
    if form == "short":
        rows = short_requants([r], changes, 1)
    else:
        rows = exact_requants([r], changes, by_sign=form.endswith("sign"))
    return rows[0] if rows else None


def _telling(r: Requant, zero: int, low: int, high: int) -> IntArray:
    """Accumulators around every step of the reference, around 0, and at both ends."""
    steps = (np.arange(-128, 128) - zero + 0.5) * 2.0**31 / max(r.multiplier, 1)
    near = np.round(steps * 2.0**-r.shift)[:, None] + np.arange(-4, 5)
    some = np.arange(500)
    acc = np.concatenate([near.reshape(-1), some - 250, low + some, high - some])
    result: IntArray = np.clip(acc, low, high).astype(np.int64)
    return result


@settings(max_examples=200)
@given(
    st.sampled_from(FORMS),
    st.floats(-16, 3),
    st.integers(-128, 127),
    st.sampled_from(ACTS),
    st.integers(-(2**21), 2**21),
    st.integers(1, 2**14),
)
def test_what_is_proven_is_equal(
    form: str, log: float, zero: int, act: tuple[int, int], low: int, width: int
) -> None:
    requant, high = quantize_multiplier(2.0**log), low + 255 * width
    split = _prove(form, requant, _changes(requant, zero, act, low, high))
    if split is not None:
        some = low + np.arange(min(255 * width, 9999))
        acc = np.concatenate([_telling(requant, zero, low, high), some])
        assert np.array_equal(_kernel(form, split, acc), _reference(requant, acc, zero, act))


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("zero", [-128, -90, 0, 77])
def test_three_parts_are_always_enough(zero: int, act: tuple[int, int]) -> None:
    """Of a factor below 1, as long as the output changes within EXACT_LIMIT only."""
    rng = np.random.default_rng(zero + 128)
    for _ in range(60):
        requant = quantize_multiplier(2.0 ** rng.uniform(-11.9, -0.1))
        maximum = 255 * int(rng.integers(10, 1 << 13))
        changes = _changes(requant, zero, act, -maximum, maximum)
        assert changes is not None
        if max(-changes.minimum[0], changes.maximum[0]) <= EXACT_LIMIT:
            split = _prove("exact sign", requant, changes)
            assert split is not None, (requant, zero, maximum)
            acc = np.append(
                _telling(requant, zero, -maximum, maximum), rng.integers(-maximum, maximum, 5000)
            )
            assert np.array_equal(
                _kernel("exact sign", split, acc), _reference(requant, acc, zero, act)
            )


@pytest.mark.parametrize("zero", [-128, 11])
def test_two_parts_are_enough_for_typical_channels(zero: int) -> None:
    rng, proven = np.random.default_rng(zero + 128), 0
    for _ in range(100):
        requant = quantize_multiplier(2.0 ** rng.uniform(-9, -5))
        maximum = 255 * int(rng.integers(500, 1 << 12))
        changes = _changes(requant, zero, (-128, 127), -maximum, maximum)
        assert changes is not None
        split = _prove("short", requant, changes)
        if split is not None:
            acc = rng.integers(-maximum, maximum, 20_000)
            expected = _reference(requant, acc, zero, (-128, 127))
            assert np.array_equal(_kernel("short", split, acc), expected)
            proven += 1
    assert proven >= 95


@pytest.mark.parametrize("form", FORMS)
def test_a_planted_wrong_number_differs(form: str) -> None:
    """The comparison above sees every number that is off by one accumulator or so."""
    zero = -128 if form == "exact" else 11
    requant, acc = quantize_multiplier(2.0**-9 * 1.3), np.arange(-204_000, 204_001)
    split = _prove(form, requant, _changes(requant, zero, (-128, 127), -204_000, 204_000))
    assert split is not None
    expected = _reference(requant, acc, zero, (-128, 127))
    assert np.array_equal(_kernel(form, split, acc), expected)
    step = 2 * (split.high + 1)
    wrong = [
        dataclasses.replace(split, constant=split.constant + step),
        dataclasses.replace(split, mid=split.mid + (1 << (MID_BITS - 5))),
        dataclasses.replace(split, high=split.high + 1),
    ]
    if form != "short":
        wrong += [
            dataclasses.replace(split, minimum=split.minimum + 1),
            dataclasses.replace(split, maximum=split.maximum - 1),
        ]
    if split.signs is not None:
        wrong += [
            dataclasses.replace(split, signs=(split.signs[0] - step, split.signs[1])),
            dataclasses.replace(split, signs=(split.signs[0], split.signs[1] + step)),
        ]
    for planted in wrong:
        assert not np.array_equal(_kernel(form, planted, acc), expected), planted


def test_signs_are_needed_where_results_have_both() -> None:
    """Halves go away from zero: above and below it the steps are not evenly apart."""
    requant = quantize_multiplier(2.0**-9)
    for zero, act, low, plain in [
        (-128, (-128, 127), -20_400, True),
        (0, (-128, 127), -20_400, False),
        (0, (0, 127), -20_400, True),
        (0, (-128, 127), 1, True),
    ]:
        changes = _changes(requant, zero, act, low, 20_400)
        assert (_prove("exact", requant, changes) is not None) == plain, (zero, low)
        assert _prove("exact sign", requant, changes) is not None
        assert (_prove("short", requant, changes) is not None) == (act[0] == -128)


def test_a_range_without_room_is_not_proven() -> None:
    requant, act = quantize_multiplier(2.0**-14), (-128, 127)
    maximum = 255 * 8200
    wide = _changes(requant, 0, act, -maximum, maximum)
    for form in FORMS:
        assert _prove(form, requant, wide) is None, form
    fits = 255 * 4100
    assert fits < SHORT_LIMIT < 255 * 8200
    assert _prove("short", requant, _changes(requant, 0, act, -fits, fits)) is not None
    narrow = _changes(requant, 0, (-128, 20), -fits, fits)  # saturation clamps at 127
    assert _prove("short", requant, narrow) is None
    assert _prove("exact sign", requant, narrow) is not None
    assert _changes(Requant(multiplier=2**30, shift=20), 0, act, -(2**12), 2**12) is None
    steep = quantize_multiplier(3.0)  # a step beyond the last code, which saturation would cut
    assert _prove("exact sign", steep, _changes(steep, 0, act, -1020, 1020)) is None


@pytest.mark.parametrize("shift", [-31, -24, 0])
def test_dead_channels_are_proven(shift: int) -> None:
    requant, act = Requant(multiplier=1518500250, shift=shift), (-128, 127)
    for low, maximum in [(0, 0), (-3, -3), (255, 255)]:
        changes = _changes(requant, 7, act, low, maximum)
        for form in ("short", "exact sign"):
            split = _prove(form, requant, changes)
            assert split is not None
            acc = np.array([low], np.int64)
            assert np.array_equal(_kernel(form, split, acc), _reference(requant, acc, 7, act))


@pytest.mark.parametrize("depth", [1, 4, 63, 500])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_packed_sums_can_be_told_apart(depth: int, channels: int) -> None:
    """The extreme sums of every chunk stay within what nn_trio_s8 unpacks."""
    rng = np.random.default_rng(depth)
    weights = rng.choice([-128, 127], (channels, depth)).astype(np.int64)
    bias = np.zeros(channels, np.int32)
    p = _stage([quantize_multiplier(2.0**-12.5)] * channels, 0, (-128, 127), bias=bias)
    stream = trio_stream(p, weights)
    assert stream is not None
    inputs = 4 * stream.steps
    assert stream.chunks * inputs >= depth
    words = np.array([int(v) for v in stream.constant.values], np.int64)
    each = 1 if channels == 1 else 2  # words of an input
    chunks = words[: stream.chunks * (each * (1 + inputs) + 1)].reshape(stream.chunks, -1)
    assert set(chunks[:, -1] >= 0) == {stream.requantisation == "short"}
    for extreme in (0, 1):
        for chunk in chunks[:, :-1].reshape(stream.chunks, -1, each)[:, :, -1]:
            # channel A alone decides the lowest 21 bits of the last word of an input
            a = ((chunk[1:] & 0x1FFFFF) ^ 0x100000) - 0x100000
            total = int(chunk[0]) + int(np.where(a > 0, a, 0).sum() * 255 * extreme)
            total += int(np.where(a < 0, a, 0).sum() * 255 * (1 - extreme))
            low = ((total & 0x1FFFFF) ^ 0x100000) - 0x100000
            assert abs(low) <= LARGEST_SUM
