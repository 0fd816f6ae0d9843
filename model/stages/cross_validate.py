"""Train and test once for each fold of the groups."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from model import train as training
from model.cluster import open_jobs
from model.evaluate import AnyMetrics, headline
from model.files import write_json
from model.progress import training_progress
from model.recipe import Recipe

console = Console()


def cross_validate(
    recipe: Recipe,
    out_dir: Path,
    folds: int,
    repeats: int,
    *,
    held_out: bool,
    int8_scores: training.Int8Scores | None = None,
) -> None:
    """Train once for each fold and seed; write cross_validation.json.

    Raises ConfigError for more folds than groups and for the task 'anomaly'.
    """
    finished = 0

    def done(scores: list[training.Score]) -> None:
        nonlocal finished
        finished += 1
        mean = np.mean([_score(score.network) for score in scores])
        groups = ", ".join(map(str, scores[0].test_groups))
        console.print(f"fold {finished} of {folds}, tested on {groups}: {mean:.3f}", markup=False)

    with open_jobs() as jobs, training_progress("fold", recipe.train.steps) as progress:
        results = training.cross_validate(
            recipe,
            folds,
            repeats,
            progress,
            held_out=held_out,
            int8_scores=int8_scores,
            jobs=jobs,
            done=done,
        )
    kinds = list(results[0].int8)
    console.print(_table(results, kinds))
    int8 = {k: float(np.mean([_score(r.int8[k]) for r in results])) for k in kinds}
    network = np.array([_score(r.network) for r in results])
    forest = np.array([_score(r.random_forest) for r in results])
    measure = headline(dataclasses.asdict(results[0].network)).name
    write_json(
        out_dir / "cross_validation.json",
        {
            "settings": recipe.as_dict(),
            "held_out": held_out,
            "folds": [dataclasses.asdict(r) for r in results],
            "measure": measure,
            "mean_score": float(network.mean()),
            "std": float(network.std()),
            "mean_int8": int8,
            "mean_random_forest": float(forest.mean()),
        },
    )
    console.print(
        f"mean {measure} {network.mean():.3f} (standard deviation {network.std():.3f}) "
        f"over {folds} folds by group and {repeats} seeds; random forest {forest.mean():.3f}"
    )
    for kind, score in int8.items():
        console.print(f"int8 {kind}: {score:.4f}, float {network.mean():.4f}")


def _score(metrics: AnyMetrics) -> float:
    return headline(dataclasses.asdict(metrics)).value


def _table(results: list[training.Score], kinds: list[str]) -> Table:
    measure = headline(dataclasses.asdict(results[0].network)).name
    table = Table("test groups", "seed", f"network, {measure}", *kinds, "random forest")
    for r in results:
        found = (r.network, *(r.int8[kind] for kind in kinds), r.random_forest)
        groups = ", ".join(map(str, r.test_groups))
        table.add_row(groups, str(r.seed), *(f"{_score(m):.3f}" for m in found))
    return table
