"""Train a classical model on the network's own inputs and write it as firmware's model.

Its folder then holds what the recipe's holds for the network, so that the same firmware, link,
parity check and benchmark take it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model import __version__
from model.classical import (
    KINDS,
    TREES,
    Tree,
    exporters_of,
    linear_model,
    train_classifier,
    tree_scores,
    trees_of,
)
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
    ModelCode,
    check_trees,
    export_emlearn,
    export_linear,
    export_tables,
    plan_header,
    tree_nodes,
)
from quantize.emit_c import byte_rows, render, safe_name
from quantize.errors import ModelError, QuantizeError
from quantize.everywhereml_cpp import (
    TEMPLATES,
    class_header,
    export_everywhereml,
    predictions,
)
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

    name: str
    kind: str
    exporter: str
    shape: FeatureShape
    labels: tuple[str, ...]
    code: ModelCode
    classifier: Any  # scikit-learn's
    trees: tuple[Tree, ...]  # none: a linear model

    @property
    def classes(self) -> int:
        """How many."""
        return len(self.labels)

    @property
    def dtype(self) -> str:
        """Of the output: votes are int16, scores of boosted trees int32, of linear models int64."""
        return {"forest": "int16", "tree": "int16", "boosting": "int32"}.get(self.kind, "int64")

    @property
    def files(self) -> dict[str, str]:
        """The model as C, beside firmware/classical."""
        plan = plan_header(self.shape, self.classes, self.name)
        return {"classical_plan.h": plan, **self.code.files}

    @property
    def sketch(self) -> dict[str, str]:
        """Files of an Arduino sketch, where the exporter writes for one."""
        plan = {"classical_plan.h": self.files["classical_plan.h"]} if self.code.arduino else {}
        return {**self.code.arduino, **plan}

    @property
    def sha256(self) -> str:
        """Of all that decides an answer."""
        texts = [path.read_text("utf-8") for path in sorted(SOURCES.glob("*.*"))]
        texts += [text for _, text in sorted(self.files.items())]
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
    recipe: Recipe, kind: str, exporter: str, network_dir: Path, out_dir: Path
) -> dict[str, Any]:
    """Fill `out_dir` with gen/<set>, golden.npz, labels.npz and classical.json; returns the last.

    everywhereml also leaves an Arduino sketch, arduino/<class>.
    `network_dir` holds the quantised network, whose int8 inputs the model takes. Raises ModelError
    without it and for a model that is too large, ConfigError for an exporter that does not know the
    kind, QuantizeError when the exported C decides another class than scikit-learn in any test
    case; nothing is written then.
    """
    exporters_of(kind, exporter)
    _check_task(recipe)
    splits, golden = load_splits(network_dir), load_golden(network_dir / "golden.npz")
    path = network_dir / "model.tflite"
    graph = read_model(path)
    tensor = graph.tensors[graph.inputs[0]]
    inputs = _inputs(splits, graph, golden)
    labels = _labels(network_dir / "dataset.json", splits)
    config = recipe.classical or ClassicalConfig()
    name = f"{recipe.name}-{kind}-{exporter}"
    shape = FeatureShape(
        kind=config.features,
        samples=tensor.shape[1],
        channels=int(np.prod(tensor.shape[2:])),
    )
    seed = recipe.train.seed
    exported = export(
        name, (kind, exporter), config, shape, (inputs["train"], splits.train.y), seed, labels
    )
    answers, equal = answer(exported, inputs["test"])
    predicted = answers.argmax(axis=1)
    if equal < len(predicted):
        raise QuantizeError(
            f"{name}: the exported C decides as scikit-learn in {equal} of {len(predicted)} test "
            "cases, expected all; no firmware is built from it, please report the recipe"
        )
    settings = {"kind": kind, "exporter": exporter, "seed": seed, **asdict(config)}
    result = {
        "network_sha256": golden.model_sha256,
        "scikit_learn": {
            "version": version("scikit-learn"),
            "cases": len(predicted),
            "equal": equal,
        },
        "test": asdict(evaluate(splits.test.y, predicted, len(labels))),
        "val": asdict(
            evaluate(splits.val.y, answer(exported, inputs["val"])[0].argmax(1), len(labels))
        ),
        "answers_sha256": hashlib.sha256(answers.tobytes()).hexdigest(),
        "unchanged": unchanged_equal(exported, inputs["test"]),
    } | _description(exported)
    _write(exported, golden, answers, recipe, path, settings, out_dir)
    write_arrays(out_dir / "labels.npz", {"y": splits.test.y})
    write_json(out_dir / "classical.json", result)
    return result


def _write(
    exported: Exported,
    network: Golden,
    answers: npt.NDArray[Any],
    recipe: Recipe,
    path: Path,
    settings: Mapping[str, object],
    out_dir: Path,
) -> None:
    """gen/<set>, golden.npz and the sketch, beside the network's model in `path`."""
    graph = read_model(path)
    new = Golden(inputs=network.inputs, outputs=(answers[:, None],), model_sha256=exported.sha256)
    front, features = compile_features(path.read_bytes(), graph, recipe, exported.name)
    files = front | _files(exported, run_id_of(exported.sha256, settings, "any"), new)
    manifest = _manifest(exported, settings, graph.tensors[graph.inputs[0]], len(new))
    manifest["features"] = features
    for kernels in KERNEL_SETS:
        folder = out_dir / "gen" / kernels
        for file, text in files.items():
            write_text(folder / file, text)
        write_json(folder / "manifest.json", manifest | {"kernels": "classical"})  # it has none
    for file, text in exported.sketch.items():
        write_text(out_dir / "arduino" / TEMPLATES[exported.kind][0] / file, text)
    save_golden(out_dir / "golden.npz", new)


def _check_task(recipe: Recipe) -> None:
    if recipe.task != "classification":
        raise ModelError(
            f"{recipe.name}: classical models are for the task 'classification', got "
            f"{recipe.task!r}; its baselines are in the report (make train)"
        )


def _description(exported: Exported) -> dict[str, Any]:
    """The part of classical.json that the model alone decides."""
    return {
        "kind": exported.kind,
        "title": KINDS[exported.kind],
        "exporter": exported.exporter,
        "model_sha256": exported.sha256,
        "features": exported.shape.features,
        "trees": len(exported.trees),
        "nodes": tree_nodes(exported.trees),
    }


def export(
    name: str,
    how: tuple[str, str],
    config: ClassicalConfig,
    shape: FeatureShape,
    data: tuple[Int8Array, Int64s],
    seed: int,
    labels: Sequence[str],
) -> Exported:
    """Train on `data`, inputs [n, samples, channels] and y [n], and write the model as C.

    `how` is a kind of KINDS and an exporter that knows it.
    """
    (kind, exporter), (inputs, y) = how, data
    plan = {"classical_plan.h": plan_header(shape, len(labels), name)}
    with scratch_folder("classical") as folder:
        features = _compiled(folder, plan).features(inputs, shape)
    classifier = train_classifier(kind, config, features, y, seed)
    trees = trees_of(kind, classifier) if kind in TREES else ()
    check_trees(trees)
    if kind not in TREES:
        code = export_linear(linear_model(classifier), shape, name)
    elif exporter == "emlearn":
        code = export_emlearn(trees, len(labels), shape.features)
    elif exporter == "everywhereml":
        code = export_everywhereml(trees, kind, name, labels)
    else:
        code = export_tables(trees, kind, name)
    return Exported(
        name=name,
        kind=kind,
        exporter=exporter,
        shape=shape,
        labels=tuple(labels),
        code=code,
        classifier=classifier,
        trees=trees,
    )


def answer(exported: Exported, inputs: Int8Array) -> tuple[npt.NDArray[Any], int]:
    """Votes or scores [n, classes] of the C on this computer, and how often scikit-learn agrees.

    Agreement is the same class, for trees also what each of them adds; for a class that
    everywhereml has written, what its own `predict` tells as well.
    """
    files = {
        file: text for file, text in _files(exported, "", None).items() if file != "model_golden.c"
    }
    with scratch_folder("classical") as folder:
        library = _compiled(folder, files)
        features = library.features(inputs, exported.shape)
        raw = library.invoke(inputs, exported.arena_bytes, exported.places["output"])
    answers = raw.view(exported.dtype)
    decided = answers.argmax(axis=1)
    same = decided == exported.classifier.predict(features)
    if exported.trees:
        same &= (answers == tree_scores(exported.trees, exported.classes, features)).all(axis=1)
    if exported.exporter == "everywhereml":
        header = exported.code.files[f"{TEMPLATES[exported.kind][0]}.h"]
        same &= decided == predictions(header, exported.kind, features, floats=False)
    return answers, int(same.sum())


def unchanged_equal(exported: Exported, inputs: Int8Array) -> int | None:
    """How often everywhereml decides as scikit-learn when it is given what scikit-learn has.

    Its class then takes floats and asks `x < threshold`. None for other exporters.
    """
    if exported.exporter != "everywhereml":
        return None
    with scratch_folder("classical") as folder:
        plan = {"classical_plan.h": exported.files["classical_plan.h"]}
        features = _compiled(folder, plan).features(inputs, exported.shape)
    labels = exported.labels
    header = class_header(exported.trees, exported.kind, exported.name, labels, unchanged=True)
    decided = predictions(header, exported.kind, features, floats=True)
    return int((decided == exported.classifier.predict(features)).sum())


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


def _files(exported: Exported, run_id: str, golden: Golden | None) -> dict[str, str]:
    """File name -> text of the generated folder; without cases of the self-test where None."""
    places = exported.places
    count = min(GOLDEN_IN_FIRMWARE, len(golden)) if golden else 0
    rows = golden.rows(range(count)) if golden else (np.zeros((0, 0), np.uint8),) * 2
    values: dict[str, object] = {
        "name": safe_name(exported.name),
        "version": __version__,
        "sha256": exported.sha256,
        "interpreted": False,
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
        "decide": exported.code.decide,
        "emlearn_trees": exported.code.emlearn_trees,
        "features_offset": places["features"][0],
        "counts_offset": places["counts"][0],
        "output_offset": places["output"][0],
    }
    texts = {file: render(file, **values) for file in ("model.h", "model_golden.c")}
    return dict(exported.files) | texts | {"model.c": render("classical.c", **values)}


def _manifest(
    exported: Exported, settings: Mapping[str, object], tensor: Tensor, cases: int
) -> dict[str, Any]:
    shape, constants = exported.shape, exported.code.constants
    macs = 0 if exported.trees else exported.classes * shape.features
    biases = constants.get("model_w_bias", 0)
    weights = sum(constants.values()) - biases
    footprint = Footprint(raw_weights=0, weights=weights, biases=biases, requantisation=0, other=0)
    steps = [(f"FEATURES ({shape.kind})", 0), (exported.kind.upper(), macs)]
    quant = tensor.quant
    advice = "Set fewer classical.trees or a lower classical.max_depth in the recipe."
    return {
        "name": safe_name(exported.name),
        "model_sha256": exported.sha256,
        "run_id": run_id_of(exported.sha256, settings, "any"),
        "version": __version__,
        "labels": list(exported.labels),
        "settings": dict(settings),
        "tools": tool_versions("emlearn", "everywhereml", "scikit-learn"),
        "reference": {"cases": cases, "equal": cases, "name": REFERENCE},
        "advice": f"{advice[:-1]}, which have {settings['trees']} and {settings['max_depth']}."
        if exported.trees
        else "Take fewer channels, or a board with more memory.",
        "constants": [{"name": key, "bytes": size} for key, size in constants.items()],
        "weight_bytes": weights + biases,
        "footprint": asdict(footprint),
        "arena_bytes": exported.arena_bytes,
        "macs": macs,
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
