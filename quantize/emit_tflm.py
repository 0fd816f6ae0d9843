"""Write what firmware needs to run a .tflite file in TFLite Micro's interpreter, and its manifest.

The file's own operators run there, each one a step: nothing is folded, nothing is a table. What
does not depend on the engine (front end, golden cases, profile, labels) is that of the generated
code.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from model import __version__
from model.files import write_json, write_text
from quantize.emit_c import render, safe_name
from quantize.errors import ModelError
from quantize.footprint import Footprint, find_footprint
from quantize.golden import load_golden
from quantize.lowering import lower
from quantize.lowering.base import aligned
from quantize.manifest import GOLDEN_IN_FIRMWARE, run_id_of
from quantize.reference import Step, compile_graph
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.reader import parse_model, parse_subgraphs
from quantize.tflm import TfliteMicro

ENGINE = "tflm"
SHARED = ("model_golden.c", "model_data.*", "model_features.*", "model_answers.h", "drift_plan.*")
TAKEN = ("name", "labels", "settings", "version", "features", "model_bytes", "reference", "tools")
# What the host's interpreter does not count: buffers of optimised kernels (CMSIS-NN), which hold so
# many outputs' inputs as int16; and what planning needs for a moment.
SCRATCH_COLUMNS = {"CONV_2D": 2, "TRANSPOSE_CONV": 2, "DEPTHWISE_CONV_2D": 1}
SPARE_BYTES = 512
SPELLED = {"2D": "2D", "PADV2": "PadV2", "CUMSUM": "CumSum", "MATMUL": "MatMul", "LSTM": "LSTM"}


def emit_tflm(out_dir: Path, arena_bytes: int | None = None) -> dict[str, Any]:
    """Fill out_dir/gen-tflm from model.tflite and gen/ref; returns the manifest.

    The arena has `arena_bytes`, or what the host's interpreter has used and some to spare. Raises
    ModelError when TFLite Micro does not take the file as it is, or not even inputs and outputs
    have room.
    """
    model = (out_dir / "model.tflite").read_bytes()
    source, folder = out_dir / "gen" / "ref", out_dir / f"gen-{ENGINE}"
    own = json.loads((source / "manifest.json").read_text("utf-8"))
    micro = TfliteMicro(model)
    if micro.told:
        raise ModelError(
            f"{own['name']}: TFLite Micro refuses the file as it is (it takes it with "
            f"{micro.told}); ENGINE=tflm runs the file itself. Generated code runs it: ENGINE=aot"
        )
    subgraphs = parse_subgraphs(model)
    graph = parse_model(model)
    steps = compile_graph(graph)
    run_id = run_id_of(own["model_sha256"], own["settings"], ENGINE, ram_bytes=arena_bytes)
    used = micro.arena().total
    arena = aligned(arena_bytes or used + _scratch(steps) + SPARE_BYTES)
    least = sum(graph.tensors[i].bytes for i in (*graph.inputs, *graph.outputs))
    if arena < least:
        raise ModelError(
            f"ARENA={arena_bytes}: the inputs and outputs of {own['name']} take {least} bytes "
            f"alone; the host's interpreter uses {used}"
        )
    manifest = {key: own[key] for key in TAKEN} | {
        "model_sha256": own["model_sha256"],
        "kernels": ENGINE,
        "engine": ENGINE,
        "run_id": run_id,
        "inputs": [_tensor(graph.tensors[i]) for i in graph.inputs],
        "outputs": [_tensor(graph.tensors[i]) for i in graph.outputs],
        "operators": _operators(subgraphs[0], graph, steps),
        "constants": [{"name": "g_model", "bytes": len(model)}],
        "weight_bytes": len(model),
        "footprint": asdict(_footprint(graph, steps, len(model))),
        "macs": sum(s.spec.macs(s.params) for s in steps),
        "arena_bytes": arena,
        "tflm_arena_bytes": used,
        "arena": [],
    }
    texts = _texts(out_dir, manifest, subgraphs, graph)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for pattern in SHARED:
        for path in source.glob(pattern):
            shutil.copyfile(path, folder / path.name)
    for name, text in texts.items():
        write_text(folder / name, text)
    write_json(folder / "manifest.json", manifest)
    return manifest


def resolver_methods(subgraphs: Sequence[Graph]) -> list[str]:
    """The methods of MicroMutableOpResolver for the operators of all subgraphs, in their order."""
    names = dict.fromkeys(op.name for graph in subgraphs for op in graph.operators)
    return [method_name(name) for name in names]


def method_name(operator: str) -> str:
    """CONV_2D -> AddConv2D."""
    return "Add" + "".join(SPELLED.get(word, word.capitalize()) for word in operator.split("_"))


def _texts(
    out_dir: Path, manifest: Mapping[str, Any], subgraphs: Sequence[Graph], graph: Graph
) -> dict[str, str]:
    golden = load_golden(out_dir / "golden.npz")
    sizes = [[t["bytes"] for t in manifest[side]] for side in ("inputs", "outputs")]
    variables = {
        op.options["variable"] for g in subgraphs for op in g.operators if op.name == "VAR_HANDLE"
    }
    digest = str(manifest["model_sha256"])
    values: dict[str, object] = {
        "name": safe_name(str(manifest["name"])),
        "version": __version__,
        "sha256": digest,
        "sha256_bytes": ", ".join(str(b) for b in bytes.fromhex(digest)),
        "run_id": manifest["run_id"],
        "arena_bytes": manifest["arena_bytes"],
        "inputs": sizes[0],
        "outputs": sizes[1],
        "steps": manifest["operators"],
        "golden_count": min(len(golden.firsts), GOLDEN_IN_FIRMWARE),
        "input_bytes": sum(sizes[0]),
        "output_bytes": sum(sizes[1]),
        "interpreted": True,
        "methods": resolver_methods(subgraphs),
        "max_outputs": max(1, *(len(op.outputs) for op in subgraphs[0].operators)),
        "has_state": int(bool(graph.variables)),
        "per_channel_dense": int(_per_channel_dense(graph)),
        "resource_variables": len(variables),
        "input_sizes": ", ".join(f"{{0, {size}}}" for size in sizes[0]),
        "output_sizes": ", ".join(f"{{0, {size}}}" for size in sizes[1]),
    }
    return {file: render(file, **values) for file in ("model.h", "model_resolver.h")}


def _per_channel_dense(graph: Graph) -> bool:
    """Whether the weights of a FULLY_CONNECTED have a scale for each output."""
    dense = (graph.input(op, 1) for op in graph.operators if op.name == "FULLY_CONNECTED")
    return any(tensor.quant is not None and len(tensor.quant.scale) > 1 for tensor in dense)


def _scratch(steps: Sequence[Step]) -> int:
    """Bytes that an optimised kernel may want beside what the host's kernels want."""
    return max((_buffer(step) for step in steps if step.spec.name in SCRATCH_COLUMNS), default=0)


def _buffer(step: Step) -> int:
    weights = step.params.weights
    inputs = weights.size // (1 if step.spec.name == "DEPTHWISE_CONV_2D" else weights.shape[0])
    return int(2 * SCRATCH_COLUMNS[step.spec.name] * inputs)


def _operators(main: Graph, graph: Graph, steps: Sequence[Step]) -> list[dict[str, object]]:
    """The operators of the file; `operator` is that of our graph, where it has not folded it."""
    known = dict(zip(_places(main, graph), steps, strict=True))
    return [
        {
            "index": op.index,
            "op": op.name,
            "version": op.version,
            "step": op.index,
            "operator": known[op.index].op.index if op.index in known else None,
            "macs": known[op.index].spec.macs(known[op.index].params) if op.index in known else 0,
        }
        for op in main.operators
    ]


def _places(main: Graph, graph: Graph) -> list[int]:
    """For each operator of `graph`, which of the file's it is: what it writes tells."""

    def told(op: Operator) -> tuple[object, ...]:
        return op.outputs or (op.name, op.inputs[1:])

    seen: Counter[tuple[object, ...]] = Counter()
    places: dict[tuple[object, ...], list[int]] = {}
    for op in main.operators:
        places.setdefault(told(op), []).append(op.index)
    found = []
    for op in graph.operators:
        found.append(places[told(op)][seen[told(op)]])
        seen[told(op)] += 1
    return found


def _footprint(graph: Graph, steps: Sequence[Step], total: int) -> Footprint:
    """Weights and biases as generated code for the portable kernels has them; the rest of the file
    is quantisation, shapes, names and the schema's own tables."""
    found = find_footprint(lower(graph, steps), total)
    return replace(found, requantisation=0, other=found.other + found.requantisation)


def _tensor(tensor: Tensor) -> dict[str, object]:
    """As in the manifest of generated code, but for the place, which the device knows."""
    quant = tensor.quant
    return {
        "tensor": tensor.index,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "bytes": tensor.bytes,
        "offset": None,
        "scale": quant.scale[0] if quant else None,
        "zero_point": quant.zero_point[0] if quant else None,
    }
