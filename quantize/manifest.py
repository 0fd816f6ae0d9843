"""Compile a .tflite file into gen/<kernels>: C, the TFLite Micro array and manifest.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from model import __version__
from model.files import write_json, write_text
from model.recipe import Recipe
from model.tracking import tool_versions
from quantize.budgets import lower_and_plan
from quantize.emit_array import emit_array
from quantize.emit_c import (
    GoldenCases,
    constant_symbol,
    emit_model,
    initial_constant,
    safe_name,
    step_constants,
)
from quantize.errors import ModelError, QuantizeError
from quantize.features import compile_features
from quantize.fold import Folding
from quantize.footprint import find_footprint
from quantize.fuse import Fusion, simplify
from quantize.golden import Golden
from quantize.lowering import LoweredStep
from quantize.lowering.rows import describe_rows
from quantize.ops.base import rounding_of
from quantize.planner import ArenaPlan
from quantize.reference import Reference, Step, integer_bits
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Tensor
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro
from quantize.timings import CHIPS, Cost

GOLDEN_IN_FIRMWARE = 2  # cases that the self-test at boot runs


def compile_model(
    model: bytes,
    golden: Golden,
    out_dir: Path,
    *,
    name: str,
    settings: Mapping[str, object],
    labels: Sequence[str] = (),
    kernels: str = "ref",
) -> dict[str, object]:
    """Write everything that firmware with one set of kernels is built from; returns the manifest.

    Raises as compile_sets does.
    """
    folders = {kernels: out_dir}
    return compile_sets(model, golden, folders, name=name, settings=settings, labels=labels)[
        kernels
    ]


def compile_sets(
    model: bytes,
    golden: Golden,
    folders: Mapping[str, Path],
    *,
    name: str,
    settings: Mapping[str, object],
    labels: Sequence[str] = (),
    constants_bytes: int | None = None,
    ram_bytes: int | None = None,
    recipe: Recipe | None = None,
) -> dict[str, dict[str, object]]:
    """Fill a folder for each set of kernels, a key of KERNEL_SETS; returns their manifests.

    `constants_bytes` bounds the constants and `ram_bytes` the arena (quantize.budgets), which never
    is above the interpreter's. A model made of `recipe` has a front end, which is written as well.
    Raises ModelError or UnsupportedOperator before anything is written.
    """
    digest = hashlib.sha256(model).hexdigest()
    _check_hash(golden, digest)
    simplified = simplify(parse_model(model))
    graph, steps = simplified.graph, simplified.steps
    _check_reference(graph, golden)
    micro = TfliteMicro(model)
    tflm_arena = micro.arena()
    inputs, outputs = golden.rows(golden.firsts[:GOLDEN_IN_FIRMWARE])
    cases = GoldenCases(inputs=inputs, outputs=outputs)
    files, features = compile_features(model, graph, recipe, name)
    files |= emit_array(model, name=name, sha256=digest, tflm_arena_bytes=tflm_arena.total)
    common = _common(golden, simplified.folding, name, labels, settings) | {
        "features": features,
        "model_bytes": len(model),
        "constants_budget_bytes": constants_bytes,
        "ram_budget_bytes": ram_bytes,
        "tflm_arena_bytes": tflm_arena.total,
        "tflm_arena_least_bytes": tflm_arena.least,
        "reference": {"cases": len(golden), "equal": len(golden), **_reference_name(micro)},
    }
    manifests = {}
    for kernels, folder in folders.items():
        run_id = run_id_of(digest, settings, kernels, constants_bytes, ram_bytes)
        lowered, plan = lower_and_plan(
            graph,
            steps,
            kernels,
            constants_bytes=constants_bytes,
            ram_bytes=ram_bytes,
            usual_bytes=tflm_arena.total,
        )
        names = {"kernels": kernels, "run_id": run_id}
        own = emit_model(graph, lowered, plan, cases, name=name, sha256=digest, **names)
        fused = [asdict(f) for f in (*simplified.fusions, *_by_rows(lowered))]
        manifests[kernels] = _manifest(graph, lowered, plan) | common | names
        manifests[kernels] |= {"fused": fused, "estimated_chip": CHIPS.get(kernels, (None,))[0]}
        for file, text in (files | own).items():
            write_text(folder / file, text)
        if features is None:
            (folder / "model_features.c").unlink(missing_ok=True)
        write_json(folder / "manifest.json", manifests[kernels])
    return manifests


def _common(
    golden: Golden,
    folding: Folding,
    name: str,
    labels: Sequence[str],
    settings: Mapping[str, object],
) -> dict[str, object]:
    """What the manifests of all sets of kernels say."""
    return {
        "name": safe_name(name),
        "model_sha256": golden.model_sha256,
        "version": __version__,
        "labels": list(labels),
        "settings": dict(settings),
        "folded": _folded(folding),
        "tools": tool_versions(),
    }


def _reference_name(micro: TfliteMicro) -> dict[str, str]:
    """What answered, where it is not just TFLite Micro and the file."""
    if not micro.told:
        return {}
    name = f"tflite_micro {tool_versions()['tflite-micro']}"
    return {"name": f"{name} (which refuses the file as it is; here with {micro.told})"}


def _check_hash(golden: Golden, digest: str) -> None:
    if golden.model_sha256 != digest:
        raise ModelError(
            f"golden cases are of model {golden.model_sha256[:16]}, the model is {digest[:16]}; "
            "make the golden cases again"
        )


def _check_reference(graph: Graph, golden: Golden) -> None:
    """The integer reference answers every golden case as TFLite Micro does, or nothing is built."""
    reference = Reference(graph)
    for case in range(len(golden)):
        if not golden.before(case):
            reference.reset()
        got = reference.run(golden.case_inputs(case))
        for tensor, (a, b) in enumerate(zip(got, golden.case_outputs(case), strict=True)):
            if not np.array_equal(integer_bits(a), integer_bits(b)):
                index = int(np.flatnonzero(integer_bits(a) != integer_bits(b))[0])
                raise QuantizeError(
                    f"the integer reference differs from TFLite Micro: case {case}, output "
                    f"{tensor}, index {index}: expected {b.reshape(-1)[index]}, got "
                    f"{a.reshape(-1)[index]}; no firmware is built from it, please report the model"
                )


def run_id_of(
    digest: str,
    settings: Mapping[str, object],
    kernels: str,
    constants_bytes: int | None = None,
    ram_bytes: int | None = None,
) -> str:
    """12 hex digits for this model, these settings, kernels and budgets, and this version."""
    about = [digest, __version__, settings, kernels, constants_bytes]
    about += [] if ram_bytes is None else [ram_bytes]
    text = json.dumps(about, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _rounding(step: Step, dtype: str) -> Rounding:
    """How a step with an output of type `dtype` rounds."""
    own = step.spec.int16_rounding if dtype == "int16" else None
    return rounding_of(step.spec.rounding if own is None else own, step.params)


def _manifest(graph: Graph, steps: Sequence[LoweredStep], plan: ArenaPlan) -> dict[str, object]:
    operators: list[dict[str, object]] = []
    constants, position = [], 0
    for lowered in steps:
        step = lowered.step
        operators += [_joined(graph, earlier, step.op.index) for earlier in lowered.before]
        own = [
            (constant_symbol(c.suffix, step.op.index), c.bytes)
            for c in step_constants(graph, lowered)
        ]
        constants += [{"name": name, "bytes": size} for name, size in own]
        operators.append(
            {
                "index": step.op.index,
                "op": step.spec.name,
                "version": step.op.version,
                "step": None if step.alias else position,
                "runs_with": None,
                **_kernels(lowered),
                "rounding": _rounding(step, graph.output(step.op).dtype).value,
                "macs": step.spec.macs(step.params),
                "constant_bytes": sum(size for _, size in own),
                "output": _tensor(graph.output(step.op), plan),
            }
        )
        position += not step.alias
    for tensor in graph.variables:
        if (initial := initial_constant(tensor)) is not None:
            name = constant_symbol(initial.suffix, tensor.index)
            constants.append({"name": name, "bytes": initial.bytes})
    total = sum(int(str(c["bytes"])) for c in constants)
    return {
        "inputs": [_tensor(graph.tensors[i], plan) for i in graph.inputs],
        "outputs": [_tensor(graph.tensors[i], plan) for i in graph.outputs],
        "variables": [_tensor(t, plan) for t in graph.variables],
        "operators": sorted(operators, key=lambda o: int(str(o["index"]))),
        "constants": constants,
        "weight_bytes": total,
        "footprint": asdict(find_footprint(steps, total)),
        "macs": sum(s.spec.macs(s.params) for one in steps for s in (*one.before, one.step)),
        "arena_bytes": plan.bytes,
        "arena_lower_bound": plan.lower_bound,
        "arena": [
            {
                "tensors": list(a.tensors),
                "offset": a.offset,
                "bytes": a.bytes,
                "first_step": a.first_step,
                "last_step": a.last_step,
            }
            for a in plan.allocations
        ],
    }


def _kernels(lowered: LoweredStep) -> dict[str, object]:
    """How a step is computed, and what was looked at instead."""
    return {
        "kernels": list(dict.fromkeys(call.function for call in lowered.calls)),
        "scratch_bytes": lowered.scratch_bytes,
        "requantisation": lowered.requantisation,
        "estimate": _estimate(lowered.cost),
        "alternatives": [
            {
                "kernels": other.kernels,
                "constant_bytes": other.constant_bytes,
                "estimate": _estimate(other.cost),
                "too_much": other.reason,
            }
            for other in lowered.alternatives
        ],
    }


def _joined(graph: Graph, step: Step, index: int) -> dict[str, object]:
    """An operator that the step of operator `index` computes, some rows at a time."""
    tensor = graph.output(step.op)
    return {
        "index": step.op.index,
        "op": step.spec.name,
        "version": step.op.version,
        "step": None,
        "runs_with": index,
        "kernels": [],
        "scratch_bytes": 0,
        "requantisation": "",
        "estimate": None,
        "alternatives": [],
        "rounding": _rounding(step, tensor.dtype).value,
        "macs": step.spec.macs(step.params),
        "constant_bytes": 0,
        "output": _tensor(tensor, None),
    }


def _by_rows(steps: Sequence[LoweredStep]) -> Iterator[Fusion]:
    """Operators that run together."""
    for lowered in steps:
        if lowered.before:
            operators = tuple(s.op.index for s in (*lowered.before, lowered.step))
            yield Fusion(operators=operators, how="rows", text=describe_rows(lowered))


def _estimate(cost: Cost | None) -> dict[str, int] | None:
    """Instructions and cycles as the lowering's model predicts them, of the chip that the set of
    kernels is for."""
    if cost is None:
        return None
    return {"instructions": round(cost.instructions), "cycles": round(cost.cycles)}


def _folded(folding: Folding) -> dict[str, object]:
    """What the model has and the firmware does not need; the other figures are without it."""
    return {
        "channels": folding.channels,
        "macs": folding.macs,
        "bytes": folding.bytes,
        "operators": [asdict(operator) for operator in folding.operators],
    }


def _tensor(tensor: Tensor, plan: ArenaPlan | None) -> dict[str, object]:
    """Of a tensor of the arena; None: it never is there as a whole."""
    quant = tensor.quant
    return {
        "tensor": tensor.index,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "bytes": tensor.bytes,
        "offset": plan.offset(tensor.index) if plan and tensor.index in plan else None,
        "scale": quant.scale[0] if quant else None,
        "zero_point": quant.zero_point[0] if quant else None,
    }
