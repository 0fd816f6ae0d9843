"""Quantise a trained recipe, measure every way, and keep the best by validation.

Post-training and quantisation-aware int8; where the better of them loses more than
quantisation.max_drop, int16 activations with int8 weights between int8 ends.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
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
from quantize.scheme import TITLES
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro

ALTERNATIVE = "alternative"  # the best model with activations of the other width, if it was tried


def quantise_recipe(
    recipe: Recipe, out_dir: Path, dataset: Dataset | None = None
) -> dict[str, Any]:
    """Write model.tflite, golden.npz, float.npz, labels.npz and quantize.json; returns the last.

    Where activations of both widths were tried, the other one's model and two cases are written to
    alternative/.

    `dataset` is the recipe's; None: it is loaded.

    The task may add a file of its own (model.tasks.Judge.files).

    A QAT export that is not the graph that was trained is not chosen; fidelity.warning says why.

    Raises QuantizeError when all of them cost more accuracy than the recipe allows; nothing is
    written then.
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

    floats = training.validate(network, splits.val, task)
    judged = {name: _judged(task, model, splits) for name, model in models.items()}
    int8, rule = _better_int8(recipe, task, judged, warning)
    chosen, no_int16, forced = int8, "", recipe.quantisation.choice == "int16"
    drop = _drop(task, floats, judged[int8])
    if forced or drop > recipe.quantisation.max_drop:
        wide, no_int16 = ptq.convert_int16(network, calibration, features, models["ptq"])
        if wide is not None:
            models["int16"], judged["int16"] = wide, _judged(task, wide, splits)
            if forced or _drop(task, floats, judged["int16"]) < drop:
                chosen, rule = "int16", _rule_of_int16(recipe, task, drop)
        elif forced:
            raise QuantizeError(
                f"{recipe.name}: quantisation.choice is 'int16', and this network cannot have "
                f"int16 activations: {no_int16}; set it to 'validation' or use other layers"
            )
    _check_drop(recipe, task, judged, chosen, floats, no_int16)
    candidates = {
        n: {k: asdict(v) for k, v in judged[n].scores.items()}
        | {"sha256": hashlib.sha256(model).hexdigest(), "bytes": len(model)}
        for n, model in models.items()
    }
    alternative = int8 if chosen == "int16" else "int16" if "int16" in models else None
    golden = judged[chosen].golden["test"]
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
        "no_int16": no_int16,
        "alternative": alternative,
        "host_latency_ms": _latency(network, models[chosen], splits.test),
    }
    write_bytes(out_dir / "model.tflite", models[chosen])
    write_arrays(out_dir / "labels.npz", {"y": splits.test.truth})
    kept = judged[chosen].judge.files(golden.inputs[0], golden.outputs[0], splits.test.truth)
    for name, content in kept.items():
        write_json(out_dir / name, content)
    for name in set(RECORDS.values()) - set(kept):
        (out_dir / name).unlink(missing_ok=True)  # of a task that the recipe had before
    shutil.rmtree(out_dir / ALTERNATIVE, ignore_errors=True)
    if alternative is not None:
        write_bytes(out_dir / ALTERNATIVE / "model.tflite", models[alternative])
        save_golden(
            out_dir / ALTERNATIVE / "golden.npz",
            golden_of(models[alternative], splits.test.first(2)),
        )
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What TFLite Micro predicts of the validation and the test windows, and how good that is."""

    judge: Judge
    golden: dict[str, Golden]
    scores: dict[str, AnyMetrics]


def _judged(task: Task, model: bytes, splits: Splits) -> _Judged:
    windows = {split: w for split, w in splits.items() if split != "train"}
    golden = {split: golden_of(model, w) for split, w in windows.items()}
    judge = int8_judge(task, model, golden["val"], splits.val)
    scores = {
        split: judge.metrics(golden[split].inputs[0], golden[split].outputs[0], w.truth)
        for split, w in windows.items()
    }
    return _Judged(judge=judge, golden=golden, scores=scores)


def _better_int8(
    recipe: Recipe, task: Task, judged: Mapping[str, _Judged], warning: str
) -> tuple[str, str]:
    """(the better of the int8 models, why)."""
    if warning:
        return "ptq", "the QAT export is not the graph that was trained"
    if recipe.quantisation.choice in judged:
        return recipe.quantisation.choice, "the recipe's quantisation.choice"
    best = max(judged, key=lambda name: task.preference(judged[name].scores["val"]))
    return best, task.rule


def _rule_of_int16(recipe: Recipe, task: Task, drop: float) -> str:
    if recipe.quantisation.choice == "int16":
        return "the recipe's quantisation.choice"
    return (
        f"int8 loses {drop:.3g} {task.measure} on the validation groups, more than "
        f"quantisation.max_drop = {recipe.quantisation.max_drop:g}"
    )


def _drop(task: Task, floats: AnyMetrics, judged: _Judged) -> float:
    return float(task.measured(floats) - task.measured(judged.scores["val"]))


def _check_drop(
    recipe: Recipe,
    task: Task,
    judged: Mapping[str, _Judged],
    chosen: str,
    floats: AnyMetrics,
    no_int16: str,
) -> None:
    drop = _drop(task, floats, judged[chosen])
    if drop <= recipe.quantisation.max_drop:
        return
    tried = ", ".join(
        f"{TITLES[name]} {task.measured(one.scores['val']):.3f}" for name, one in judged.items()
    )
    missing = f"; there are no int16 activations of this network: {no_int16}" if no_int16 else ""
    raise QuantizeError(
        f"{recipe.name}: quantisation.max_drop: float has {task.measured(floats):.3f} "
        f"{task.measure} on the validation groups, {tried}; expected a drop of at most "
        f"{recipe.quantisation.max_drop:g}, got {drop:.3g}{missing}; raise "
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
