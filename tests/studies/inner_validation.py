"""python -m tests.studies.inner_validation RECIPE [SEEDS]: a score to choose settings by.

The folds are those of `tinyproof train --cv 5`. For each one the network is trained on the groups
of neither this fold nor the next, and scored on the next fold's: what is chosen by it has not seen
how any fold scores in the cross-validation. RECIPE is a name or the path of a changed .toml file.
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np

from model.datasets import load_dataset
from model.datasets.truth import truth_of
from model.evaluate import headline
from model.features import make_windows
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.recipe_file import load_recipe
from model.tasks import task_of
from model.train import fold_groups, silent, train_network, validate

FOLDS = 5


def main(name: str, seeds: int = 1) -> None:
    """Print the score of each fold, and their mean, for every seed."""
    recipe = load_recipe(name, write_lock=False)
    dataset = load_dataset(recipe.dataset, truth_of(recipe))
    task, extractor = task_of(recipe, dataset.labels), Extractor(recipe_front_end(recipe))
    groups = {r.group for r in dataset.recordings}
    folds = fold_groups(groups, FOLDS)
    means = []
    for seed in range(recipe.train.seed, recipe.train.seed + seeds):
        scores = []
        for fold, following in zip(folds, [*folds[1:], folds[0]], strict=True):
            train_groups = groups - fold - following
            fitted = task.fitted(make_windows(dataset, extractor, train_groups))
            network, _ = train_network(recipe, dataset, fitted, train_groups, seed, silent)
            metrics = validate(network, make_windows(dataset, extractor, following), fitted)
            scores.append(headline(dataclasses.asdict(metrics)).value)
        means.append(np.mean(scores))
        print(f"{name}, seed {seed}:", *(f"{s:.3f}" for s in scores), f"mean {means[-1]:.4f}")
    print(f"{name}: mean {np.mean(means):.4f} over {FOLDS} folds and {seeds} seeds")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
