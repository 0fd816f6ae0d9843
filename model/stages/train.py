"""Train the float network of a recipe, and what it has to beat."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from model import tracking
from model import train as training
from model.background import describe, load_background
from model.datasets import load_dataset
from model.datasets.truth import truth_of
from model.evaluate import AnyMetrics, MultilabelMetrics, RegressionMetrics
from model.files import write_json
from model.progress import training_progress
from model.recipe import Recipe
from model.speech import describe as describe_speech
from model.speech import load_speech
from model.stages.splits import load_splits
from model.tasks import task_of

console = Console()


def train(recipe: Recipe, out_dir: Path, settings: Mapping[str, object]) -> None:
    """Train the network and the baselines; write float.weights.h5 and train.json.

    `settings` are all of the recipe's, for the record of the experiment that begins here.
    """
    begun = tracking.begin(recipe.name, settings)
    dataset, splits = load_dataset(recipe.dataset, truth_of(recipe)), load_splits(out_dir)
    task = task_of(recipe, dataset.labels).fitted(splits.train)
    speech = load_speech(recipe, dataset.sample_rate_hz)
    with training_progress("training", recipe.train.steps) as progress:
        started = time.monotonic()
        groups = set(splits.train.group.tolist())
        network, history = training.train_network(
            recipe, dataset, task, groups, recipe.train.seed, progress, splits.val
        )
        seconds = time.monotonic() - started
    judge = task.judge(splits.val, splits.val.x, training.predict(network, splits.val), None)
    scores = {
        name: judge.metrics(w.x, training.predict(network, w), w.truth)
        for name, w in (("val", splits.val), ("test", splits.test))
    }
    training.check_limits(recipe, task, scores["val"])
    baselines = task.baselines(splits)
    training.save_network(network, out_dir / "float.weights.h5")
    result: dict[str, Any] = {
        "seed": recipe.train.seed,
        "steps": recipe.train.steps,
        "parameters": int(network.count_params()),
        "seconds": round(seconds, 1),
        "history": dataclasses.asdict(history),
        "metrics": {name: dataclasses.asdict(m) for name, m in scores.items()},
        "baselines": {name: dataclasses.asdict(m) for name, m in baselines.items()},
    }
    if said := describe(recipe, load_background(recipe, dataset)):
        result["background"] = said
    if said := describe_speech(recipe, speech):
        result["speech"] = said
    write_json(out_dir / "train.json", result)
    tracking.start(out_dir, begun)
    rows = {"network, float": scores["test"], **baselines}
    table = Table("held-out test groups", *_columns(recipe, scores["test"]))
    for name, m in rows.items():
        table.add_row(name, *_columns(recipe, m).values())
    console.print(table)


def _columns(recipe: Recipe, metrics: AnyMetrics) -> dict[str, str]:
    """Title -> number of the few scores that a terminal shows."""
    if isinstance(metrics, RegressionMetrics):
        assert recipe.regression is not None
        units = dict(zip(recipe.regression.targets, recipe.regression.units, strict=True))
        errors = {f"MAE {t}, {units[t]}": f"{v:.4g}" for t, v in metrics.mae.items()}
        return {"R2": f"{metrics.mean_r2:.3f}", **errors}
    if isinstance(metrics, MultilabelMetrics):
        return {
            "macro F1": f"{metrics.macro_f1:.3f}",
            "average precision": f"{metrics.average_precision:.3f}",
            "all labels right": f"{metrics.exact_share:.3f}",
        }
    values = (metrics.balanced_accuracy, metrics.accuracy, metrics.g_mean)
    names = ("balanced accuracy", "accuracy", "G-mean")
    return {name: f"{value:.3f}" for name, value in zip(names, values, strict=True)}
