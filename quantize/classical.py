"""Train a classical model on the network's own inputs and write it as firmware's model.

Its folder then holds what the recipe's holds for the network, so that the same firmware, link,
parity check and benchmark take it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model import __version__
from model.classical import KINDS, linear_model, train_classifier, tree_votes
from model.evaluate import evaluate
from model.features import Splits
from model.files import write_arrays, write_json, write_text
from model.processes import scratch_folder
from model.recipe import ClassicalConfig, Recipe
from model.stages.splits import load_splits
from model.tracking import tool_versions
from quantize.classical_c import (
    SOURCES,
    FeatureShape,
    HostC,
    export_forest,
    export_linear,
    forest_nodes,
    plan_header,
)
from quantize.emit_c import byte_rows, render, safe_name
from quantize.errors import ModelError, QuantizeError
from quantize.features import compile_features
from quantize.footprint import Footprint
from quantize.golden import Golden, load_golden, save_golden
from quantize.inputs import quantised_inputs
from quantize.lowering import KERNEL_SETS
from quantize.manifest import GOLDEN_IN_FIRMWARE, run_id_of
from quantize.ops.base import Int8Array
from quantize.tflite.graph import Graph, Tensor
from quantize.tflite.reader import read_model

REFERENCE = "the exported C on this computer"
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A trained model with its C and where its tensors lie in the arena."""

    kind: str
    shape: FeatureShape
    classes: int
    dtype: str  # of the output: votes are int16, scores int64
    files: Mapping[str, str]  # classical_plan.h and model_export.h
    classifier: Any  # scikit-learn's
    trees: int  # 0: a linear model

    @property
    def sha256(self) -> str:
        """Of all that decides an answer."""
        texts = [path.read_text("utf-8") for path in sorted(SOURCES.glob("*.[ch]"))]
        texts += [self.files["classical_plan.h"], self.files["model_export.h"]]
        return hashlib.sha256("".join(texts).encode()).hexdigest()

    @property
    def places(self) -> dict[str, tuple[int, int]]:
        """Name -> (offset, bytes) in the arena."""
        sizes = {
            "input": self.shape.samples * self.shape.channels,
            "features": 2 * self.shape.features,
            "counts": 512 if self.shape.kind == "statistics" else 0,
            "output": self.classes * np.dtype(self.dtype).itemsize,
        }
        found, offset = {}, 0
        for name, size in sizes.items():
            found[name] = (offset, size)
            offset += -(-size // 16) * 16
        return found

    @property
    def arena_bytes(self) -> int:
        """Of all tensors."""
        offset, size = self.places["output"]
        return -(-(offset + size) // 16) * 16


def compile_classical(
    recipe: Recipe, kind: str, network_dir: Path, out_dir: Path
) -> dict[str, Any]:
    """Fill `out_dir` with gen/<set>, golden.npz, labels.npz and classical.json; returns the last.

    `network_dir` holds the quantised network, whose int8 inputs the model takes. Raises ModelError
    without it and for a model that is too large, QuantizeError when the exported C decides another
    class than scikit-learn in any test case; nothing is written then.
    """
    splits, golden = load_splits(network_dir), load_golden(network_dir / "golden.npz")
    path = network_dir / "model.tflite"
    graph = read_model(path)
    tensor = graph.tensors[graph.inputs[0]]
    inputs = _inputs(splits, graph, golden)
    labels = _labels(network_dir / "dataset.json", splits)
    config = recipe.classical or ClassicalConfig()
    name = f"{recipe.name}-{kind}"
    shape = FeatureShape(
        kind=config.features,
        samples=tensor.shape[1],
        channels=int(np.prod(tensor.shape[2:])),
    )
    seed = recipe.train.seed
    exported = export(name, kind, config, shape, inputs["train"], splits.train.y, seed)
    answers, equal = answer(exported, name, inputs["test"])
    predicted = answers.argmax(axis=1)
    if equal < len(predicted):
        raise QuantizeError(
            f"{name}: the exported C decides as scikit-learn in {equal} of {len(predicted)} test "
            "cases, expected all; no firmware is built from it, please report the recipe"
        )
    settings = {"kind": kind, "seed": seed, **asdict(config)}
    result = {
        "network_sha256": golden.model_sha256,
        "scikit_learn": {
            "version": version("scikit-learn"),
            "cases": len(predicted),
            "equal": equal,
        },
        "test": asdict(evaluate(splits.test.y, predicted, len(labels))),
        "val": asdict(
            evaluate(splits.val.y, answer(exported, name, inputs["val"])[0].argmax(1), len(labels))
        ),
    } | _description(exported)
    new = Golden(inputs=golden.inputs, outputs=(answers[:, None],), model_sha256=exported.sha256)
    front, features = compile_features(path.read_bytes(), graph, recipe, name)
    files = front | _files(exported, name, run_id_of(exported.sha256, settings, "any"), new)
    manifest = _manifest(exported, name, settings, labels, tensor, len(new))
    manifest["features"] = features
    for kernels in KERNEL_SETS:
        folder = out_dir / "gen" / kernels
        for file, text in files.items():
            write_text(folder / file, text)
        write_json(folder / "manifest.json", manifest | {"kernels": kernels})
    save_golden(out_dir / "golden.npz", new)
    write_arrays(out_dir / "labels.npz", {"y": splits.test.y})
    write_json(out_dir / "classical.json", result)
    return result


def _description(exported: Exported) -> dict[str, Any]:
    """The part of classical.json that the model alone decides."""
    return {
        "kind": exported.kind,
        "title": KINDS[exported.kind],
        "model_sha256": exported.sha256,
        "features": exported.shape.features,
        "trees": exported.trees,
        "nodes": forest_nodes(exported.classifier) if exported.trees else 0,
    }


def export(
    name: str,
    kind: str,
    config: ClassicalConfig,
    shape: FeatureShape,
    inputs: Int8Array,
    y: Int64s,
    seed: int,
) -> Exported:
    """Train on `inputs` [n, samples, channels] and write the model as C."""
    classes = int(y.max()) + 1
    files = {"classical_plan.h": plan_header(shape, classes, name)}
    with scratch_folder("classical") as folder:
        features = _compiled(folder, files).features(inputs, shape)
    classifier = train_classifier(kind, config, features, y, seed)
    forest = kind == "forest"
    model = (
        export_forest(classifier)
        if forest
        else export_linear(linear_model(classifier), shape, name)
    )
    return Exported(
        kind=kind,
        shape=shape,
        classes=classes,
        dtype="int16" if forest else "int64",
        files=files | {"model_export.h": model},
        classifier=classifier,
        trees=config.trees if forest else 0,
    )


def answer(exported: Exported, name: str, inputs: Int8Array) -> tuple[npt.NDArray[Any], int]:
    """Votes or scores [n, classes] of the C on this computer, and how often scikit-learn agrees.

    Agreement is the same class, for a forest also the same vote of every tree.
    """
    files = {
        file: text
        for file, text in _files(exported, name, "", None).items()
        if file != "model_golden.c"
    }
    with scratch_folder("classical") as folder:
        library = _compiled(folder, files)
        features = library.features(inputs, exported.shape)
        raw = library.invoke(inputs, exported.arena_bytes, exported.places["output"])
    answers = raw.view(exported.dtype)
    same = answers.argmax(axis=1) == exported.classifier.predict(features)
    if exported.trees:
        same &= (answers == tree_votes(exported.classifier, features)).all(axis=1)
    return answers, int(same.sum())


def _compiled(folder: Path, files: Mapping[str, str]) -> HostC:
    for file, text in files.items():
        write_text(folder / file, text)
    return HostC(folder)


def _labels(path: Path, splits: Splits) -> list[str]:
    """The classes; ModelError where the file or an example of a class is missing."""
    try:
        labels = [str(label) for label in json.loads(path.read_text("utf-8"))["labels"]]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: not the dataset's file: {error!r}; run `make check`") from error
    found = sorted(set(splits.train.y.tolist()))
    if found != list(range(len(labels))):
        raise ModelError(
            f"{path}: {len(labels)} classes, of which the training windows have {found}; every "
            "class needs some, so move groups to the training split or leave the class out"
        )
    return labels


def _inputs(splits: Splits, graph: Graph, golden: Golden) -> dict[str, Int8Array]:
    """Split -> the network's int8 inputs; those of `test` are the golden cases."""
    found = {name: quantised_inputs(graph, windows) for name, windows in splits.items()}
    if not np.array_equal(found["test"].ravel(), golden.inputs[0].ravel()):
        raise ModelError(
            "golden.npz has other inputs than the test split; run `make quantise` again"
        )
    return found


def _files(exported: Exported, name: str, run_id: str, golden: Golden | None) -> dict[str, str]:
    """File name -> text of the generated folder; without cases of the self-test where None."""
    places = exported.places
    count = min(GOLDEN_IN_FIRMWARE, len(golden)) if golden else 0
    rows = golden.rows(range(count)) if golden else (np.zeros((0, 0), np.uint8),) * 2
    values: dict[str, object] = {
        "name": safe_name(name),
        "version": __version__,
        "sha256": exported.sha256,
        "sha256_bytes": ", ".join(str(b) for b in bytes.fromhex(exported.sha256)),
        "run_id": run_id,
        "arena_bytes": exported.arena_bytes,
        "inputs": ["{{{}, {}}}".format(*places["input"])],
        "outputs": ["{{{}, {}}}".format(*places["output"])],
        "steps": [0, 1],
        "input_bytes": places["input"][1],
        "output_bytes": places["output"][1],
        "golden_count": count,
        "golden_inputs": [byte_rows(row.tobytes()) for row in rows[0]],
        "golden_outputs": [byte_rows(row.tobytes()) for row in rows[1]],
        "trees": exported.trees,
        "classes": exported.classes,
        "features_offset": places["features"][0],
        "counts_offset": places["counts"][0],
        "output_offset": places["output"][0],
    }
    texts = {file: render(file, **values) for file in ("model.h", "model_golden.c")}
    return dict(exported.files) | texts | {"model.c": render("classical.c", **values)}


def _manifest(
    exported: Exported,
    name: str,
    settings: Mapping[str, object],
    labels: list[str],
    tensor: Tensor,
    cases: int,
) -> dict[str, Any]:
    shape, linear = exported.shape, 0 if exported.trees else exported.classes
    weights, biases = 4 * linear * shape.features, 8 * linear
    constants = [
        {"name": "model_w_linear", "bytes": weights},
        {"name": "model_w_bias", "bytes": biases},
    ]
    footprint = Footprint(raw_weights=0, weights=weights, biases=biases, requantisation=0, other=0)
    steps = [(f"FEATURES ({shape.kind})", 0), (exported.kind.upper(), linear * shape.features)]
    quant = tensor.quant
    advice = "Set fewer classical.trees or a lower classical.max_depth in the recipe."
    return {
        "name": safe_name(name),
        "model_sha256": exported.sha256,
        "run_id": run_id_of(exported.sha256, settings, "any"),
        "version": __version__,
        "labels": labels,
        "settings": dict(settings),
        "tools": tool_versions("emlearn", "scikit-learn"),
        "reference": {"cases": cases, "equal": cases, "name": REFERENCE},
        "advice": f"{advice[:-1]}, which have {settings['trees']} and {settings['max_depth']}."
        if exported.trees
        else "Take fewer channels, or a board with more memory.",
        "constants": constants if linear else [],
        "weight_bytes": weights + biases,
        "footprint": asdict(footprint),
        "arena_bytes": exported.arena_bytes,
        "macs": linear * shape.features,
        "operators": [
            {"index": i, "op": op, "step": i, "macs": macs} for i, (op, macs) in enumerate(steps)
        ],
        "inputs": [
            _place(exported, "input", "int8", list(tensor.shape))
            | ({"scale": quant.scale[0], "zero_point": quant.zero_point[0]} if quant else {})
        ],
        "outputs": [_place(exported, "output", exported.dtype, [1, exported.classes])],
    }


def _place(exported: Exported, name: str, dtype: str, shape: list[int]) -> dict[str, Any]:
    offset, size = exported.places[name]
    return {"dtype": dtype, "shape": shape, "offset": offset, "bytes": size}
