"""Train and test once for each fold of the groups."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from model import train as training
from model.evaluate import headline
from model.files import write_json
from model.progress import training_progress
from model.recipe import Recipe

console = Console()


def cross_validate(
    recipe: Recipe, out_dir: Path, folds: int, repeats: int, *, held_out: bool
) -> None:
    """Train once for each fold and seed; write cross_validation.json.

    Raises ConfigError for more folds than groups and for the task 'anomaly'.
    """
    with training_progress("fold", recipe.train.steps) as progress:
        results = training.cross_validate(recipe, folds, repeats, progress, held_out=held_out)
    found = [
        tuple(headline(dataclasses.asdict(m)) for m in (r.network, r.random_forest))
        for r in results
    ]
    measure = found[0][0].name
    table = Table("test groups", "seed", f"network, {measure}", "random forest")
    for r, scores in zip(results, found, strict=True):
        groups = ", ".join(map(str, r.test_groups))
        table.add_row(groups, str(r.seed), *(f"{score.value:.3f}" for score in scores))
    console.print(table)
    network, forest = np.array([[score.value for score in scores] for scores in found]).T
    write_json(
        out_dir / "cross_validation.json",
        {
            "settings": recipe.as_dict(),
            "held_out": held_out,
            "folds": [dataclasses.asdict(r) for r in results],
            "measure": measure,
            "mean_score": float(network.mean()),
            "std": float(network.std()),
            "mean_random_forest": float(forest.mean()),
        },
    )
    console.print(
        f"mean {measure} {network.mean():.3f} (standard deviation {network.std():.3f}) "
        f"over {folds} folds by group and {repeats} seeds; random forest {forest.mean():.3f}"
    )
