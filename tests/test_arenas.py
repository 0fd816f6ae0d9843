"""The default arena is never above the TFLite Micro interpreter's; RAM= is a budget of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.cli import main
from host_tools.project import IMPORTED
from model.files import write_json
from model.paths import ROOT
from quantize.budgets import lower_and_plan
from quantize.errors import QuantizeError
from quantize.golden import make_golden, random_inputs
from quantize.lowering import KERNEL_SETS, LoweredStep, lower
from quantize.manifest import compile_sets
from quantize.planner import ArenaPlan, plan_arena
from quantize.reference import compile_graph
from quantize.tflite.reader import parse_model
from tests.arenas import arenas_of, drawn
from tests.bench_models import Network
from tests.factory import ModelBuilder
from tests.generators import GENERATORS
from tests.host_c import HostModel
from tests.sweeps import sweep

MODELS = Path(os.environ.get("MODELS_DIR", ROOT.parent / "shared" / "models"))
TAKEN = [
    "ad01_int8", "hello_world_int8", "ic_resnet8_int8", "kws_ref_model", "micro_speech_quantized",
    "str_ww_ref_model", "trained_lstm_int8", "vww_96_int8",
]  # fmt: skip
OUTPUTS = 4


def read_json(path: Path) -> Any:
    """What a file holds."""
    return json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("name", TAKEN)
def test_models_made_elsewhere_need_no_more_than_the_interpreter(name: str) -> None:
    path = MODELS / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    found = arenas_of(path.read_bytes())
    assert max(plan.bytes for plan in found.plans.values()) <= found.interpreter.least


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_no_operator_needs_more_than_the_interpreter(name: str) -> None:
    for which, model in drawn(3, [name]):
        found = arenas_of(model)
        assert found.above == [], (which, found.interpreter)


def dense(inputs: int, *, apart: bool, largest: int = 12) -> bytes:
    """A layer whose widened inputs are most of the arena; `apart`: with two weights that do not fit
    a halfword. `largest`: of the other weights."""
    b, rng = ModelBuilder(), np.random.default_rng(inputs)
    x = b.tensor([1, inputs], scale=[0.05], zero_point=[3])
    y = b.tensor([1, OUTPUTS], scale=[0.7 * largest / 12], zero_point=[5])
    data = rng.integers(-largest, largest + 1, (OUTPUTS, inputs)).astype(np.int8)
    data[:2, 0] = (-128, -1) if apart else (1, 1)
    w = b.tensor([OUTPUTS, inputs], scale=[0.01], data=data)
    bias = rng.integers(-2000, 2000, OUTPUTS).astype(np.int32)
    c = b.tensor([OUTPUTS], dtype="int32", scale=[0.0005], data=bias)
    b.operator("FULLY_CONNECTED", [x, w, c], [y], "FullyConnectedOptions", 4)
    return b.pack([x], [y])


def planned(
    model: bytes, kernels: str, ram: int | None = None
) -> tuple[tuple[LoweredStep, ...], ArenaPlan]:
    graph = parse_model(model)
    usual = arenas_of(model).interpreter.total
    return lower_and_plan(graph, compile_graph(graph), kernels, ram_bytes=ram, usual_bytes=usual)


# inputs, apart, kernels, budget -> the kernel and the arena
CHOICES: list[tuple[int, bool, str, int | None, str, int]] = [
    (4000, False, "armv7em", None, "nn_fully_connected_packed_s8", 4016),
    (4000, True, "armv7em", None, "nn_fully_connected_chunks_s8", 4016),
    (4004, False, "armv7em", None, "nn_fully_connected_packed_s8", 4032),  # the last block whole
    (4000, False, "xtensa", None, "nn_fully_connected_direct_s8", 4016),
    (4002, False, "xtensa", None, "nn_fully_connected_s8", 4032),  # 4002 are no whole words
    (404, False, "armv7em", None, "nn_fully_connected_packed_s8", 432),  # wide: twice the inputs
    (28, False, "armv7em", None, "nn_conv_2d_single_s8", 96),  # which may be a few bytes
    (28, False, "armv7em", 95, "nn_fully_connected_packed_s8", 48),
    (404, True, "xtensa_mac16", None, "nn_fully_connected_pairs_s8", 864),
    (404, True, "xtensa_mac16", 863, "nn_fully_connected_pairs_s8", 736),
    (404, True, "xtensa_mac16", 440, "nn_fully_connected_direct_s8", 432),
    (404, True, "armv7em", None, "nn_fully_connected_chunks_s8", 432),
    (404, True, "xtensa", 848, "nn_fully_connected_bytes_s8", 848),
    (404, True, "xtensa", 847, "nn_fully_connected_direct_s8", 432),
    (404, True, "ref", 1, "nn_fully_connected_s8", 432),  # has no budget
]


@pytest.mark.parametrize(("inputs", "apart", "kernels", "ram", "function", "size"), CHOICES)
def test_kernels_with_less_scratch_where_it_is_too_much(
    inputs: int, apart: bool, kernels: str, ram: int | None, function: str, size: int
) -> None:
    lowered, plan = planned(dense(inputs, apart=apart), kernels, ram)
    assert [c.function for s in lowered for c in s.calls] == [function]
    assert plan.bytes == plan.lower_bound == size


def test_a_budget_that_is_too_small_says_what_is_needed() -> None:
    told = (
        r"a RAM budget of 431 bytes: with the kernels armv7em the smallest arena takes 432, most "
        r"at operator 0 FULLY_CONNECTED \(nn_fully_connected_chunks_s8, 0 bytes of scratch\); allow"
    )
    with pytest.raises(QuantizeError, match=told):
        planned(dense(404, apart=True), "armv7em", 431)


@pytest.mark.parametrize(
    ("inputs", "largest"),
    [
        pytest.param(8, 12, marks=pytest.mark.slow),
        pytest.param(400, 12, marks=pytest.mark.slow),
        (4000, 12),
        pytest.param(4002, 100, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("kernels", sorted(KERNEL_SETS))
def test_every_choice_computes_the_same(
    inputs: int, largest: int, apart: bool, kernels: str, tmp_path: Path
) -> None:
    """4002 weights up to 100 need chunks of inputs on the Cortex-M4."""
    model = dense(inputs, apart=apart, largest=largest)
    golden = make_golden(model, random_inputs(parse_model(model), 4, 1))
    runs = set()
    for ram in (None, 4032):
        folder = tmp_path / str(ram)
        sets: Any = compile_sets(
            model, golden, {kernels: folder}, name="b", settings={}, ram_bytes=ram
        )
        assert sets[kernels]["ram_budget_bytes"] == ram
        runs.add(sets[kernels]["run_id"])
        host = HostModel(folder, sets[kernels])
        for case in range(len(golden)):
            expected = golden.case_outputs(case)[0]
            assert np.array_equal(host.run(golden.case_inputs(case))[0], expected)
    assert len(runs) == 2


def test_an_imported_model_remembers_its_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tflite").write_bytes(dense(404, apart=False))
    assert main(["import", "m.tflite", "--cases", "3", "--ram", "900"]) == 0
    (folder,) = (tmp_path / "build/models").iterdir()
    record = read_json(folder / IMPORTED)
    assert record["ram_bytes"] == 900
    assert "kernels armv7em: 1616 MACs, " in capsys.readouterr().out
    assert main(["emit", folder.name, "--why"]) == 0
    assert capsys.readouterr().out == "everything is up to date\n"
    assert main(["emit", folder.name, "--ram", "1"]) == 1
    assert "a RAM budget of 1 bytes" in capsys.readouterr().err
    manifest = read_json(folder / "gen/armv7em/manifest.json")
    assert (manifest["arena_bytes"], manifest["ram_budget_bytes"]) == (432, 900)
    write_json(folder / IMPORTED, {k: v for k, v in record.items() if k != "ram_bytes"})
    assert main(["emit", folder.name]) == 0  # imported before there was a budget
    assert read_json(folder / "gen/armv7em/manifest.json")["ram_budget_bytes"] is None
    assert main(["inspect", "m.tflite", "--ram", "500", "--json"]) == 0
    assert '"armv7em": 432' in capsys.readouterr().out


def convolution(seed: int) -> bytes:
    """A convolution to more channels than it has: kernels 1 to 3, strides 1 and 2."""
    rng = np.random.default_rng(seed)
    channels, kernel, stride = int(rng.choice([1, 4, 8])), *map(int, rng.integers(1, 4, 2))
    stride = min(stride, 2)
    height, width, more = (int(v) for v in rng.integers(3, 14, 3))
    outputs = channels + more
    b = ModelBuilder()
    x = b.tensor([1, height, width, channels], scale=[0.05], zero_point=[-3])
    y = b.tensor([1, -(-height // stride), -(-width // stride), outputs], scale=[0.4],
                 zero_point=[-128])  # fmt: skip
    data = rng.integers(-90, 91, (outputs, kernel, kernel, channels)).astype(np.int8)
    w = b.tensor(data.shape, scale=[0.01], data=data)
    bias = rng.integers(-2000, 2000, outputs).astype(np.int32)
    c = b.tensor([outputs], dtype="int32", scale=[0.0005], data=bias)
    b.operator("CONV_2D", [x, w, c], [y], "Conv2DOptions", 3, padding=0, strideH=stride,
               strideW=stride, dilationHFactor=1, dilationWFactor=1,
               fusedActivationFunction=1)  # fmt: skip
    return b.pack([x], [y])


EACH = 8  # models of a kernel


def ahead_of_its_input(kernels: str) -> Iterator[tuple[str, bytes]]:
    """Of those the ones whose output begins before the input and ends in it, with the kernel."""
    for seed in range(200):
        model = convolution(seed)
        (step,), plan = planned(model, kernels)
        x, y = step.step.op.inputs[0], step.step.op.outputs[0]
        graph = parse_model(model)
        behind = plan.offset(x) - plan.offset(y)
        if 0 < behind < graph.tensors[y].bytes:
            assert step.ahead_bytes is not None and behind >= step.ahead_bytes
            yield step.calls[0].function, model


@pytest.mark.parametrize("kernels", sweep(["armv7em", "xtensa"], ["armv7em"]))
def test_what_is_written_ahead_of_an_input_leaves_the_unread_part(
    kernels: str, tmp_path: Path
) -> None:
    models: dict[str, list[bytes]] = {}
    for function, model in ahead_of_its_input(kernels):
        models.setdefault(function, []).append(model)
    assert sum(map(len, models.values())) > 10
    taken = {f"nn_conv_2d_{name}_s8" for name in ("fours", "packed", "points", "rows")}
    assert kernels != "armv7em" or taken <= {*models}
    for number, model in enumerate(model for own in models.values() for model in own[:EACH]):
        golden = make_golden(model, random_inputs(parse_model(model), 3, 1))
        folder = tmp_path / str(number)
        sets: Any = compile_sets(model, golden, {kernels: folder}, name="b", settings={})
        host = HostModel(folder, sets[kernels])
        for case in range(len(golden)):
            expected = golden.case_outputs(case)[0]
            assert np.array_equal(host.run(golden.case_inputs(case))[0], expected)


# outputs, kernel and stride of convolutions; with the kernels whose weights are copied
NARROWING: dict[tuple[tuple[int, ...], ...], set[str]] = {
    ((24, 3), (8, 1), (32, 2), (16, 3)): {"rows", "points"},
    ((24, 3), (24, 5), (24, 3, 3), (32, 3, 2)): {"rows", "packed"},
    ((24, 3), (32, 3), (16, 1), (4, 3, 3)): {"rows", "points", "fours"},
}


def narrowing(layers: Sequence[Sequence[int]]) -> bytes:
    """Convolutions of 16 x 16 pixels, and behind a stride, whose tensors are small."""
    network = Network([1, 16, 16, 8], 3)
    for layer in layers:
        network.conv(*layer)
    return network.pack()


@pytest.mark.parametrize("layers", NARROWING)
def test_weights_that_are_read_again_and_again_lie_in_free_bytes_of_the_arena(
    layers: tuple[tuple[int, ...], ...], tmp_path: Path
) -> None:
    model = narrowing(layers)
    graph = parse_model(model)
    steps = compile_graph(graph)
    plain = lower(graph, steps, "armv7em")
    lowered, plan = lower_and_plan(graph, steps, "armv7em")
    copied = ["_in_ram_" in s.calls[0].function for s in lowered]
    functions = [s.calls[0].function for s in lowered]
    assert {f.split("_")[3] for f in functions if "_in_ram_" in f} == NARROWING[layers]
    assert plan.bytes <= plan_arena(graph, plain).bytes
    for before, after, has in zip(plain, lowered, copied, strict=True):
        assert before.cost and after.cost
        assert after.constant_bytes == before.constant_bytes
        assert (after.cost.cycles < before.cost.cycles) == has
    golden = make_golden(model, random_inputs(graph, 4, 1))
    manifest = compile_sets(model, golden, {"armv7em": tmp_path}, name="n", settings={})["armv7em"]
    assert (tmp_path / "model.c").read_text().count("_in_ram_s8(") == sum(copied)
    host = HostModel(tmp_path, manifest)
    for case in range(len(golden)):
        assert np.array_equal(host.run(golden.case_inputs(case))[0], golden.case_outputs(case)[0])
