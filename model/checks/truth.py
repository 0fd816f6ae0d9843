"""Checks of what a regression or a multi-label network is to tell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from model.checks.base import Finding, recording_title
from model.checks.similar import too_short
from model.datasets.base import Dataset
from model.features import Splits
from model.recipe import CheckConfig, Recipe
from model.recipe_tables import RegressionConfig

OUTSIDE = 0.02  # share of a split's windows that may lie beyond the training windows' values


def targets(dataset: Dataset, splits: Splits, recipe: Recipe) -> Finding:
    """Every target is a number everywhere, and varies in every split."""
    config = recipe.regression
    assert config is not None
    if short := too_short(dataset, recipe.features.window):
        return Finding(summary="", problems=(short,))
    problems = list(_no_numbers(dataset))
    for name, windows in splits.items() if not problems else ():
        for i, target in enumerate(config.targets):
            values = windows.truth[:, i] if len(windows.y) else np.zeros(0)
            if len(set(values.tolist())) < 2:
                told = f"is {values[0]:g} in all" if len(values) else "has no"
                problems.append(
                    f"target {target} {told} {name} windows; expected at least two values, so "
                    "change the groups of the split, record other values or remove the target"
                )
    columns = ("target", "split", "smallest", "mean", "largest", "unit")
    return Finding(
        summary=", ".join(f"{t} in {u}" for t, u in zip(config.targets, config.units, strict=True)),
        problems=tuple(problems),
        columns=columns if not problems else (),
        rows=tuple(_table(splits, config)) if not problems else (),
    )


def _no_numbers(dataset: Dataset) -> Iterator[str]:
    for i, recording in enumerate(dataset.recordings):
        values = recording.targets
        assert values is not None
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0].tolist()
            yield (
                f"{recording_title(dataset, i)}, sample {row}: target {dataset.labels[column]} is "
                f"{values[row, column]}, expected a number; correct it or remove the recording"
            )


def _table(splits: Splits, config: RegressionConfig) -> Iterator[tuple[str, ...]]:
    for i, (target, unit) in enumerate(zip(config.targets, config.units, strict=True)):
        for name, windows in splits.items():
            values = windows.truth[:, i]
            numbers = (values.min(), values.mean(), values.max())
            yield (target, name, *(f"{v:.4g}" for v in numbers), unit)


def target_ranges(splits: Splits, recipe: Recipe) -> Finding:
    """Validation and test windows have values that training windows have too."""
    config = recipe.regression
    assert config is not None
    if not len(splits.train.y) or not np.isfinite(splits.train.truth).all():
        return Finding(summary="not run: there are no training windows with numbers")
    low, high = splits.train.truth.min(axis=0), splits.train.truth.max(axis=0)
    problems = []
    for name, windows in (("val", splits.val), ("test", splits.test)):
        for i, target in enumerate(config.targets if len(windows.y) else ()):
            values, unit = windows.truth[:, i], config.units[i]
            outside = float(((values < low[i]) | (values > high[i])).mean())
            if outside > OUTSIDE:
                problems.append(
                    f"{name}: {outside:.0%} of the windows have a {target} outside of {low[i]:.4g} "
                    f"to {high[i]:.4g} {unit}, which is all that training has; expected at most "
                    f"{OUTSIDE:.0%}, so record more values for training"
                )
    return Finding(summary="training has the values of the other splits", problems=tuple(problems))


def labels(dataset: Dataset, splits: Splits, window: int) -> Finding:
    """Every label holds in some windows of every split and does not in others."""
    if short := too_short(dataset, window):
        return Finding(summary="", problems=(short,))
    problems = []
    for name, windows in splits.items():
        for i, label in enumerate(dataset.labels):
            holds = windows.truth[:, i] > 0 if len(windows.y) else np.zeros(0, bool)
            if not holds.any() or holds.all():
                told = "every one" if len(holds) and holds.all() else "none"
                problems.append(
                    f"label {label} holds in {told} of {len(holds)} {name} windows; expected some "
                    "and not all, so change the groups of the split or record more"
                )
    return Finding(
        summary=f"{len(dataset.labels)} labels in every split",
        problems=tuple(problems),
        columns=("label", *(name for name, _ in splits.items())),
        rows=tuple(
            (label, *(f"{w.truth[:, i].mean():.0%}" for _, w in splits.items()))
            for i, label in enumerate(dataset.labels)
        )
        if not problems
        else (),
    )


def label_balance(dataset: Dataset, splits: Splits, config: CheckConfig) -> Finding:
    """Windows of the most frequent label over those of the rarest."""
    problems, told = [], []
    for name, windows in splits.items():
        counts = windows.truth.sum(axis=0) if len(windows.y) else np.zeros(len(dataset.labels))
        most, least = int(counts.argmax()), int(counts.argmin())
        told.append(
            f"{name} {len(windows.y)} windows, {counts[least]:g} to {counts[most]:g} a label"
        )
        if counts[least] and counts[most] > config.max_class_ratio * counts[least]:
            problems.append(
                f"{name}: {dataset.labels[most]} holds in {counts[most]:g} windows, "
                f"{dataset.labels[least]} in {counts[least]:g}; expected a ratio of at most "
                f"{config.max_class_ratio:g}, so record more of the rare one"
            )
    return Finding(summary="; ".join(told), problems=tuple(problems))
