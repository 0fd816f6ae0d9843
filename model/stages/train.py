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
from model.datasets import load_dataset
from model.datasets.truth import truth_of
from model.files import write_json
from model.progress import training_progress
from model.recipe import Recipe
from model.stages.splits import load_splits
from model.tasks import task_of

console = Console()


def train(recipe: Recipe, out_dir: Path, settings: Mapping[str, object]) -> None:
    """Train the network and the baselines; write float.weights.h5 and train.json.

    `settings` are all of the recipe's, for the record of the experiment that begins here.
    """
    begun = tracking.begin(recipe.name, settings)
    dataset, splits = load_dataset(recipe.dataset, truth_of(recipe)), load_splits(out_dir)
    task = task_of(recipe, dataset.labels)
    with training_progress("training", recipe.train.steps) as progress:
        started = time.monotonic()
        groups = set(splits.train.group.tolist())
        network, history = training.train_network(
            recipe, dataset, task, groups, recipe.train.seed, progress, splits.val
        )
        seconds = time.monotonic() - started
    judge = task.judge(splits.val, splits.val.x, training.predict(network, splits.val), None)
    scores = {
        name: judge.metrics(w.x, training.predict(network, w), w.y)
        for name, w in (("val", splits.val), ("test", splits.test))
    }
    training.check_floor(recipe, task, scores["val"])
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
    write_json(out_dir / "train.json", result)
    tracking.start(out_dir, begun)
    rows = {"network, float": scores["test"], **baselines}
    table = Table("held-out test groups", "balanced accuracy", "accuracy", "G-mean")
    for name, m in rows.items():
        values = (m.balanced_accuracy, m.accuracy, m.g_mean)
        table.add_row(name, *(f"{v:.3f}" for v in values))
    console.print(table)
