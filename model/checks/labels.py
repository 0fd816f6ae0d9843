"""Labels that a quick model, which has not seen the group, confidently disagrees with."""

from __future__ import annotations

import numpy as np

from model.baselines import window_statistics
from model.checks.base import Finding, cut_windows, recording_title
from model.datasets.base import Dataset
from model.recipe import Recipe

MAX_WINDOWS = 5_000
FOLDS = 5
TREES = 100
LISTED = 20  # candidates in the table
SEED = 0


def label_doubts(dataset: Dataset, recipe: Recipe) -> Finding:
    """Recordings whose label looks wrong, by out-of-fold predictions of a forest, by group.

    A recording's doubt is the mean probability of another class minus that of its label.
    """
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import GroupKFold, cross_val_predict

    everyone = range(len(dataset.recordings))
    cut = cut_windows(dataset, everyone, recipe.features.window, recipe.features.hop, MAX_WINDOWS)
    groups = np.array([dataset.recordings[i].group for i in cut.recording])
    labels = np.array([dataset.recordings[i].label for i in cut.recording])
    folds = min(FOLDS, len(set(groups.tolist())))
    if folds < 2 or len(set(labels.tolist())) < 2:
        return Finding(summary="not run: it needs two groups and two classes")
    forest = ExtraTreesClassifier(TREES, min_samples_leaf=2, random_state=SEED)
    with np.errstate(over="ignore", invalid="ignore"):  # of values that the ranges refuse
        parts = [window_statistics(part) for part in np.array_split(cut.x, 1 + len(cut.x) // 500)]
    statistics = np.nan_to_num(np.concatenate(parts))
    share = np.zeros((len(labels), len(dataset.labels)))
    share[:, sorted(set(labels.tolist()))] = cross_val_predict(
        forest, statistics, labels, groups=groups, cv=GroupKFold(folds), method="predict_proba"
    )
    found = []
    for i in sorted(set(cut.recording.tolist())):
        rows = np.flatnonzero(cut.recording == i)
        label, mean = dataset.recordings[i].label, share[rows].mean(axis=0)
        guess = int(mean.argmax())
        if guess != label:
            clearest = rows[(share[rows, guess] - share[rows, label]).argmax()]
            found.append((float(mean[guess] - mean[label]), i, int(cut.start[clearest]), guess))
    found.sort(reverse=True)
    agreed = float((share.argmax(axis=1) == labels).mean())
    rows_of_table = tuple(
        (
            recording_title(dataset, i),
            f"{start / dataset.sample_rate_hz:g} s",
            dataset.labels[dataset.recordings[i].label],
            dataset.labels[guess],
            f"{doubt:.2f}",
        )
        for doubt, i, start, guess in found[:LISTED]
    )
    problems = tuple(
        f"{row[0]} at {row[1]}: labelled {row[2]}, looks like {row[3]} (doubt {row[4]}, expected "
        f"at most {recipe.checks.max_label_doubt:g}); look at it, and correct the label or keep it"
        for (doubt, *_), row in zip(found, rows_of_table, strict=False)
        if doubt > recipe.checks.max_label_doubt
    )
    return Finding(
        summary=f"a forest agrees with {agreed:.0%} of the windows; the largest doubt about a "
        f"recording is {found[0][0] if found else 0.0:.2f}",
        problems=problems,
        columns=("recording", "clearest at", "label", "guess", "doubt"),
        rows=rows_of_table,
    )
