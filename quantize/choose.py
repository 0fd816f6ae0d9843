"""Quantise a trained recipe both ways, measure both, and keep the better by validation."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.__main__ import load_splits, training_progress
from model.datasets import load_dataset
from model.evaluate import Metrics, evaluate
from model.features import Windows
from model.features.design import feature_text
from model.files import write_arrays, write_bytes, write_json
from model.recipe import Recipe
from quantize.errors import QuantizeError
from quantize.features import quantised_inputs
from quantize.golden import Golden, make_golden, save_golden
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro

RULE = "the higher balanced accuracy on the validation groups; post-training on a tie"


def quantise_recipe(recipe: Recipe, out_dir: Path) -> dict[str, Any]:
    """Write model.tflite, golden.npz, labels.npz and quantize.json; returns the last.

    Raises QuantizeError when int8 costs more accuracy than the recipe allows, when the QAT export
    is not the graph that was trained, or when the weights are too large; nothing is written then.
    """
    from model import train as training
    from quantize import ptq, qat
    from quantize.compress import compress

    dataset, splits = load_dataset(recipe.dataset), load_splits(out_dir)
    training.make_deterministic(recipe.train.seed)
    network = training.load_network(recipe, dataset, out_dir / "float.weights.h5")
    sampler = training.make_sampler(
        recipe, dataset, set(splits.train.group.tolist()), recipe.train.seed + 1
    )
    if recipe.compression is not None:
        with training_progress("compression", recipe.compression.steps) as progress:
            network = compress(network, sampler, splits.val, recipe, progress)
    calibration = ptq.representative_windows(
        splits.train, recipe.quantisation.calibration_windows, recipe.train.seed
    )
    features = feature_text(recipe)
    models = {"ptq": ptq.convert_int8(network, calibration, features)}
    _check_weights(recipe, models["ptq"])
    report = ptq.calibration_report(network, calibration, parse_model(models["ptq"]))
    fidelity = None
    if steps := recipe.quantisation.qat_steps:
        with training_progress("QAT", steps) as progress:
            quantised = qat.train_quantised(
                network, calibration, sampler, splits.val, recipe, progress
            )
        models["qat"] = ptq.convert_int8(quantised, calibration, features)
        layers = qat.measure_fidelity(quantised, parse_model(models["qat"]), splits.val)
        qat.check_fidelity(layers, recipe)
        fidelity = _fidelity(layers, recipe, len(splits.val.x))

    classes = len(dataset.labels)
    goldens = {name: golden_of(model, splits.test) for name, model in models.items()}
    candidates: dict[str, dict[str, Any]] = {}
    for name, model in models.items():
        val = golden_of(model, splits.val)
        scores = {"val": _score(val, splits.val, classes)}
        scores["test"] = _score(goldens[name], splits.test, classes)
        candidates[name] = {k: asdict(v) for k, v in scores.items()} | {
            "sha256": hashlib.sha256(model).hexdigest(),
            "bytes": len(model),
        }
    chosen = max(candidates, key=lambda name: candidates[name]["val"]["balanced_accuracy"])
    floats = evaluate(splits.val.y, training.predict(network, splits.val), classes)
    _check_drop(recipe, candidates[chosen]["val"]["balanced_accuracy"], floats)
    result = {
        "chosen": chosen,
        "rule": RULE,
        "candidates": candidates,
        "calibration": {
            "windows": len(calibration),
            "groups": [dataset.group_title(g) for g in sorted(set(splits.train.group.tolist()))],
            "tensors": report,
        },
        "fidelity": fidelity,
        "host_latency_ms": _latency(network, models[chosen], splits.test),
    }
    write_bytes(out_dir / "model.tflite", models[chosen])
    write_arrays(out_dir / "labels.npz", {"y": splits.test.y})
    write_json(out_dir / "quantize.json", result)
    save_golden(out_dir / "golden.npz", goldens[chosen])
    return result


def golden_of(model: bytes, windows: Windows) -> Golden:
    """The cases of some windows, as TFLite Micro answers them."""
    return make_golden(model, [quantised_inputs(parse_model(model), windows)])


def _score(golden: Golden, windows: Windows, classes: int) -> Metrics:
    predicted = golden.outputs[0].reshape(len(golden), -1).argmax(axis=1)
    return evaluate(windows.y, predicted, classes)


def _check_drop(recipe: Recipe, score: float, floats: Metrics) -> None:
    drop = floats.balanced_accuracy - score
    if drop > recipe.quantisation.max_drop:
        raise QuantizeError(
            f"{recipe.name}: int8 has {score:.3f} balanced accuracy on the validation groups, "
            f"float {floats.balanced_accuracy:.3f}; expected a drop of at most "
            f"{recipe.quantisation.max_drop:g}; calibrate on more windows or train QAT longer"
        )


def _check_weights(recipe: Recipe, model: bytes) -> None:
    graph = parse_model(model)
    weights = sum(t.bytes for t in graph.tensors if t.data is not None and t.dtype == "int8")
    if weights > recipe.network.max_weight_bytes:
        raise QuantizeError(
            f"{recipe.name}: {weights} bytes of int8 weights, expected at most "
            f"{recipe.network.max_weight_bytes} (network.max_weight_bytes); use fewer filters"
        )


def _fidelity(layers: list[Any], recipe: Recipe, windows: int) -> dict[str, Any]:
    output = layers[-1]
    return {
        "windows": windows,
        "equal_share": output.equal_share,
        "max_lsb": output.max_lsb,
        "mean_lsb": output.mean_lsb,
        "bound": {
            "min_equal_outputs": recipe.quantisation.min_equal_outputs,
            "max_lsb": recipe.quantisation.max_lsb,
        },
        "layers": [asdict(layer) for layer in layers],
    }


def _latency(network: Any, model: bytes, windows: Windows) -> dict[str, Any]:
    """Milliseconds an inference on this host, the median of 50 single windows."""
    from model.train import images

    interpreter = TfliteMicro(model)
    rows = quantised_inputs(parse_model(model), windows)
    floats = images(windows.x)
    return {
        "float": _median_ms(lambda i: network(floats[i : i + 1], training=False)),
        "float_engine": "TensorFlow",
        "int8": _median_ms(lambda i: interpreter.run([rows[i]])),
        "int8_engine": "TFLite Micro interpreter, reference kernels",
    }


def _median_ms(run: Callable[[int], object]) -> float:
    times: list[float] = []
    for i in range(50):
        started = time.perf_counter()
        run(i)
        times.append(time.perf_counter() - started)
    values: npt.NDArray[np.float64] = np.array(times)
    return round(float(np.median(values)) * 1e3, 3)
