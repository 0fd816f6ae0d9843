"""Operators that run together, some rows at a time, compute what each computes alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize.chains import join, with_joined
from quantize.emit_c import GoldenCases, emit_model
from quantize.fuse import simplify
from quantize.golden import Golden, make_golden, random_inputs
from quantize.lowering import KERNEL_SETS, LoweredStep, lower, rows
from quantize.lowering.rows import lower_rows, runs_by_rows
from quantize.manifest import compile_model
from quantize.planner import plan_arena
from quantize.reference import compile_graph
from quantize.tflite.graph import Graph
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.host_c import HostModel, host_models
from tests.sweeps import sweep
from tests.test_selftest import NAME, make_build
from tests.window_chains import joined, wide

CASES = 2


def emitted(
    graph: Graph, steps: tuple[LoweredStep, ...], golden: Golden, folder: Path, kernels: str
) -> dict[str, Any]:
    """C of the steps in `folder`; returns what HostModel needs to know."""
    plan = plan_arena(with_joined(graph, steps), steps)
    inputs, outputs = golden.rows(golden.firsts[:1])
    cases = GoldenCases(inputs=inputs, outputs=outputs)
    names = {"name": "m", "sha256": "00" * 32, "run_id": "0" * 12, "kernels": kernels}
    files = emit_model(graph, steps, plan, cases, **names)
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)

    def ends(indices: tuple[int, ...]) -> list[dict[str, Any]]:
        tensors = [graph.tensors[i] for i in indices]
        return [
            {"offset": plan.offset(t.index), "bytes": t.bytes, "dtype": t.dtype, "shape": t.shape}
            for t in tensors
        ]

    sides = {"inputs": ends(graph.inputs), "outputs": ends(graph.outputs)}
    return {"arena_bytes": plan.bytes, "kernels": kernels, **sides}


def check(host: HostModel, golden: Golden, what: str) -> None:
    """Host C equals TFLite Micro."""
    for case in range(CASES):
        got = host.run(golden.case_inputs(case))
        for a, b in zip(got, golden.case_outputs(case), strict=True):
            assert np.array_equal(a, b), f"{what}, case {case}"


@pytest.mark.parametrize("kernels", sweep(sorted(KERNEL_SETS), ["armv7em", "ref"]))
@pytest.mark.parametrize("block", sweep(range(6), [0]))
def test_rows_at_a_time_equal_tflite_micro(block: int, kernels: str, tmp_path: Path) -> None:
    made = []
    for seed in range(block * 8, block * 8 + 8):
        model = joined(seed).pack()
        graph = parse_model(model)
        steps = compile_graph(graph)
        alone = lower(graph, steps, kernels)
        assert all(map(runs_by_rows, steps))
        golden = make_golden(model, random_inputs(graph, CASES, seed))
        for height in (1, 2, 3, 5, 50):
            one = lower_rows(graph, alone, kernels, height)
            if one is not None:
                folder = tmp_path / f"{seed}_{height}"
                manifest = emitted(graph, (one,), golden, folder, kernels)
                made.append((folder, manifest, golden))
    hosts = host_models([(folder, manifest) for folder, manifest, _ in made])
    for host, (folder, _, golden) in zip(hosts, made, strict=True):
        check(host, golden, f"joined(seed)_height {folder.name}, kernels {kernels}")
    assert len(made) > 12


def test_a_tensor_between_is_gone_where_it_makes_the_arena_large(tmp_path: Path) -> None:
    model = wide().pack()
    graph = parse_model(model)
    golden = make_golden(model, random_inputs(graph, CASES, 1))
    manifest: dict[str, Any] = compile_model(
        model, golden, tmp_path, name="m", settings={}, kernels="armv7em"
    )
    check(HostModel(tmp_path, manifest), golden, "wide()")
    padded, together = manifest["fused"]
    assert padded["text"] == "PAD #1 is padding of DEPTHWISE_CONV_2D #2"
    assert tuple(together["operators"])[:2] == (0, 2) and together["how"] == "rows"
    whole = 24 * 24 * 32
    assert manifest["arena_bytes"] < whole
    first, pad, depthwise = manifest["operators"][:3]
    assert first["runs_with"] == together["operators"][-1] and first["step"] is None
    assert first["output"]["offset"] is None and pad["output"]["offset"] is None
    assert depthwise["macs"] == 12 * 12 * 9 * depthwise["output"]["shape"][3]


def test_a_budget_joins_more_than_what_pays(tmp_path: Path) -> None:
    model = wide().pack()
    steps = simplify(parse_model(model))
    alone = lower(steps.graph, steps.steps, "armv7em")
    usual = join(steps.graph, alone, "armv7em")[1].bytes
    pressed = join(steps.graph, alone, "armv7em", 1000)[1].bytes
    assert pressed < usual < plan_arena(steps.graph, alone).bytes


def test_the_estimate_of_operators_together_counts_what_is_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = parse_model(joined(8).pack())
    alone = lower(graph, compile_graph(graph), "armv7em")
    one = lower_rows(graph, alone, "armv7em", 1)
    monkeypatch.setattr(rows, "MOVED", 0)
    without = lower_rows(graph, alone, "armv7em", 1)
    assert one and one.cost and without and without.cost
    moved = sum(
        turns.count * int(call.params["bytes"])
        for turns in one.turns
        for call in (one.calls[c.call] for c in turns.calls)
        if call.function == "nn_move"
    )
    more = one.cost.instructions - without.cost.instructions
    assert moved > 0 and more == pytest.approx(0.7 * moved)


def test_what_runs_between_keeps_operators_apart() -> None:
    net = wide()
    y = net.b.tensor((1, 24, 24, 8), scale=[0.05], zero_point=[-128])
    net.b.operator("RELU", [net.start], [y])
    net.b.operators.insert(1, net.b.operators.pop())
    steps = simplify(parse_model(net.b.pack([net.start], [y, net.end])))
    alone = lower(steps.graph, steps.steps, "armv7em")
    joined_steps, _ = join(steps.graph, alone, "armv7em", 1000)
    assert all(0 not in [b.op.index for b in s.before] for s in joined_steps)


@pytest.mark.slow
@pytest.mark.parametrize("board", ["qemu_m4", "qemu_xtensa"])
def test_emulators_run_operators_together(
    board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BUILD", tmp_path / "build")
    make_build(tmp_path, wide().pack())
    assert command.main(["build", NAME, board]) == 0
    assert command.main(["parity", NAME, board]) == 0
