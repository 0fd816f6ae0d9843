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

from model.datasets import load_dataset
from model.datasets.base import Dataset
from model.datasets.truth import truth_of
from model.evaluate import AnyMetrics
from model.features import Splits, Windows
from model.features.design import feature_text
from model.files import write_arrays, write_bytes, write_json
from model.grid import Grid
from model.progress import training_progress
from model.recipe import Recipe
from model.stages.splits import load_splits
from model.tasks import RECORDS, AnomalyJudge, Judge, Task, task_of
from quantize.errors import QuantizeError
from quantize.float_outputs import FloatOutputs, float_outputs, save_float_outputs
from quantize.golden import Golden, make_golden, save_golden
from quantize.inputs import quantised_inputs
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro


def quantise_recipe(
    recipe: Recipe, out_dir: Path, dataset: Dataset | None = None
) -> dict[str, Any]:
    """Write model.tflite, golden.npz, float.npz, labels.npz and quantize.json; returns the last.

    `dataset` is the recipe's; None: it is loaded.

    The task may add a file of its own (model.tasks.Judge.files).

    A QAT export that is not the graph that was trained is not chosen; fidelity.warning says why.

    Raises QuantizeError when int8 costs more accuracy than the recipe allows; nothing is written
    then.
    """
    from model import train as training
    from quantize import ptq, qat
    from quantize.compress import compress

    dataset, splits = (
        dataset or load_dataset(recipe.dataset, truth_of(recipe)),
        load_splits(out_dir),
    )
    task = task_of(recipe, dataset.labels).fitted(splits.train)
    training.make_deterministic(recipe.train.seed)
    weights = out_dir / "float.weights.h5"
    network = trained = training.load_network(recipe, dataset, weights)
    sampler = training.make_sampler(
        recipe, dataset, task, set(splits.train.group.tolist()), recipe.train.seed + 1
    )
    if recipe.compression is not None:
        with training_progress("compression", recipe.compression.steps) as progress:
            network = compress(network, sampler, splits.val, recipe, task, progress)
    calibration = ptq.representative_windows(
        splits.train, recipe.quantisation.calibration_windows, recipe.train.seed
    )
    features = feature_text(recipe)
    used, calibration = len(calibration), task.calibration(calibration)
    models = {"ptq": ptq.convert_int8(network, calibration, features)}
    report = ptq.calibration_report(network, calibration, parse_model(models["ptq"]))
    fidelity, no_qat, warning = None, "", ""
    if steps := recipe.quantisation.qat_steps:
        quantised, no_qat = qat.fake_quantised(network, recipe.compression)
    if no_qat and recipe.quantisation.choice == "qat":
        raise QuantizeError(
            f"{recipe.name}: quantisation.choice is 'qat', and there is no quantisation-aware "
            f"training of this network: {no_qat}; set it to 'ptq' or use other layers"
        )
    if no_qat:
        print(f"{recipe.name}: no quantisation-aware training ({no_qat}): post-training int8 alone")
    elif steps:
        with training_progress("QAT", steps) as progress:
            qat.train_quantised(
                quantised, network, calibration, sampler, splits.val, recipe, task, progress
            )
        models["qat"] = ptq.convert_int8(quantised, calibration, features)
        layers = qat.measure_fidelity(quantised, parse_model(models["qat"]), splits.val)
        warning = qat.fidelity_problem(layers, recipe)
        fidelity = _fidelity(layers, recipe, len(splits.val.x)) | {"warning": warning}

    predictions = {
        name: {split: golden_of(model, w) for split, w in splits.items() if split != "train"}
        for name, model in models.items()
    }
    judges = {n: int8_judge(task, models[n], predictions[n]["val"], splits.val) for n in models}
    scores = {
        n: {split: _score(judges[n], predictions[n][split], w) for split, w in splits.items()
            if split != "train"}
        for n in models
    }  # fmt: skip
    candidates = {
        n: {k: asdict(v) for k, v in scores[n].items()}
        | {"sha256": hashlib.sha256(model).hexdigest(), "bytes": len(model)}
        for n, model in models.items()
    }
    chosen, rule = recipe.quantisation.choice, "the recipe's quantisation.choice, made by folds"
    if warning:
        chosen, rule = "ptq", "the QAT export is not the graph that was trained"
    elif chosen == "validation":
        chosen = max(scores, key=lambda name: task.preference(scores[name]["val"]))
        rule = task.rule
    floats = training.validate(network, splits.val, task)
    _check_drop(recipe, task, scores[chosen]["val"], floats)
    golden = predictions[chosen]["test"]
    float_network = _float_network(recipe, task, trained, splits, golden)
    result = {
        "chosen": chosen,
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "rule": rule,
        "candidates": candidates,
        "calibration": {
            "windows": used,
            "groups": [dataset.group_title(g) for g in sorted(set(splits.train.group.tolist()))],
            "tensors": report,
        },
        "fidelity": fidelity,
        "no_qat": no_qat,
        "host_latency_ms": _latency(network, models[chosen], splits.test),
    }
    write_bytes(out_dir / "model.tflite", models[chosen])
    write_arrays(out_dir / "labels.npz", {"y": splits.test.truth})
    kept = judges[chosen].files(golden.inputs[0], golden.outputs[0], splits.test.truth)
    for name, content in kept.items():
        write_json(out_dir / name, content)
    for name in set(RECORDS.values()) - set(kept):
        (out_dir / name).unlink(missing_ok=True)  # of a task that the recipe had before
    write_json(out_dir / "quantize.json", result)
    save_float_outputs(out_dir / "float.npz", float_network)
    save_golden(out_dir / "golden.npz", golden)
    return result


def _float_network(
    recipe: Recipe, task: Task, trained: Any, splits: Splits, golden: Golden
) -> FloatOutputs:
    """What the network that was trained says of the test windows, before any compression."""
    from model.train import predict

    outputs = predict(trained, splits.test)
    judge = task.judge(splits.val, splits.val.x, predict(trained, splits.val), None)
    scores, limit = None, None
    if isinstance(judge, AnomalyJudge):
        scores = judge.error.scores(splits.test.x, outputs).astype(np.float64)
        limit = float(judge.threshold)
    before = "pruning and clustering" if recipe.compression else "quantisation"
    name = f"the trained float network before {before}"
    return float_outputs(golden, (outputs,), name, alarm_scores=scores, alarm_threshold=limit)


def golden_of(model: bytes, windows: Windows) -> Golden:
    """The cases of some windows, as TFLite Micro predicts them."""
    return make_golden(model, [quantised_inputs(parse_model(model), windows)])


def int8_judge(task: Task, model: bytes, golden: Golden, windows: Windows) -> Judge:
    graph = parse_model(model)
    source, sink = (graph.tensors[i].quant for i in (graph.inputs[0], graph.outputs[0]))
    if source is None or sink is None:
        raise QuantizeError("the model's input or output is not quantised")
    grid = Grid(
        scale_in=source.scale[0],
        zero_in=source.zero_point[0],
        scale_out=sink.scale[0],
        zero_out=sink.zero_point[0],
    )
    return task.judge(windows, golden.inputs[0], golden.outputs[0], grid)


def _score(judge: Judge, golden: Golden, windows: Windows) -> AnyMetrics:
    return judge.metrics(golden.inputs[0], golden.outputs[0], windows.truth)


def _check_drop(recipe: Recipe, task: Task, metrics: AnyMetrics, floats: AnyMetrics) -> None:
    score, reference = task.measured(metrics), task.measured(floats)
    if reference - score > recipe.quantisation.max_drop:
        raise QuantizeError(
            f"{recipe.name}: quantisation.max_drop: int8 has {score:.3f} {task.measure} on the "
            f"validation groups, float {reference:.3f}; expected a drop of at most "
            f"{recipe.quantisation.max_drop:g}, got {reference - score:.3g}; raise "
            "quantisation.calibration_windows or qat_steps, or allow it by max_drop"
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
    """Milliseconds an inference on this host, the median of 50 runs on single windows in turn."""
    from model.train import images

    interpreter = TfliteMicro(model)
    rows = quantised_inputs(parse_model(model), windows)
    floats = images(windows.x)
    return {
        "float": _median_ms(lambda i: network(floats[i % len(rows)][None], training=False)),
        "float_engine": "TensorFlow",
        "int8": _median_ms(lambda i: interpreter.run([rows[i % len(rows)]])),
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
