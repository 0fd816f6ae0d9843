"""Metrics that hold for imbalanced classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Scores of one classifier on one split."""

    accuracy: float
    balanced_accuracy: float  # mean of the recalls
    g_mean: float  # geometric mean of the recalls
    recall: tuple[float, ...]  # per class
    confusion: tuple[tuple[int, ...], ...]  # [true][predicted]


def evaluate(
    truth: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer], classes: int
) -> Metrics:
    """Compare two label vectors [n]; every class needs at least one true label."""
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    support = confusion.sum(axis=1)
    if not support.all():
        missing = np.flatnonzero(support == 0).tolist()
        raise ValueError(f"classes {missing} have no true label; recall is not defined")
    recall = confusion.diagonal() / support
    return Metrics(
        accuracy=float(confusion.diagonal().sum() / confusion.sum()),
        balanced_accuracy=float(recall.mean()),
        g_mean=float(np.prod(recall) ** (1 / classes)),
        recall=tuple(float(r) for r in recall),
        confusion=tuple(tuple(int(v) for v in row) for row in confusion),
    )
