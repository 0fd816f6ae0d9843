"""The xtensa kernels equal TFLite Micro, on this machine and as machine code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from model.files import write_bytes
from quantize.golden import Golden, make_golden, random_inputs, save_golden
from quantize.lowering import LoweredStep, lower
from quantize.lowering.split import (
    find_changes,
)
from quantize.manifest import compile_model
from quantize.reference import compile_graph
from quantize.scheme import (
    IntArray,
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


BOARDS = ["qemu_xtensa-xtensa", pytest.param("esp32", marks=pytest.mark.slow)]


@pytest.mark.parametrize("board", BOARDS)
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
    assert command.main(["build", kind, "qemu_xtensa-xtensa"]) == 0
    assert command.main(["parity", kind, "qemu_xtensa-xtensa"]) == 0


@pytest.mark.parametrize("kernels", ["xtensa", "xtensa_mac16"])
@pytest.mark.parametrize("abi", ABIS)
def test_loops_begin_within_an_aligned_word(abi: str, kernels: str, tmp_path: Path) -> None:
    """As the processor wants it of LOOP; the emulators do not mind."""
    sources = sorted((KERNELS / kernels).glob("*.S"))
    loops = 0
    for source in sources:
        built = tmp_path / (source.stem + ".o")
        flags = ["-mlongcalls", "-mtext-section-literals", f"-I{KERNELS}", *ABIS[abi]]
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
    assert loops >= written >= 6  # macros stand for several


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
