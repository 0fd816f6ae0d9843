"""Metrics that hold for imbalanced classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyMetrics(Metrics):
    """Scores of one detector on one split; as a classifier it has two classes, the normal first."""

    auc: float  # chance that an anomaly scores higher than a normal window
    partial_auc: float  # the same for false alarm rates up to 10 %, 0.5 by chance (McClish 1989)
    false_alarm_rate: float  # share of normal windows above the threshold
    threshold: float
    normal_error: float  # mean score of normal windows, in squared units of the input
    detection: dict[str, float]  # label -> share of its windows above the threshold
    auc_by_label: dict[str, float]  # label -> AUC of its windows against the normal ones


def evaluate_anomalies(
    scores: npt.NDArray[Any],
    y: npt.NDArray[np.integer],
    labels: tuple[str, ...],
    normal: int,
    threshold: float,
    step: float,
) -> AnomalyMetrics:
    """Judge the scores [n] of windows with labels y [n]; `step` is one of score in input units.

    Raises ValueError without normal windows or without anomalies.
    """
    from sklearn.metrics import roc_auc_score

    anomaly, alarm = y != normal, scores > threshold
    binary = evaluate(anomaly.astype(np.int64), alarm.astype(np.int64), 2)
    present = [i for i in np.unique(y).tolist() if i != normal]
    return AnomalyMetrics(
        accuracy=binary.accuracy,
        balanced_accuracy=binary.balanced_accuracy,
        g_mean=binary.g_mean,
        recall=binary.recall,
        confusion=binary.confusion,
        auc=float(roc_auc_score(anomaly, scores)),
        partial_auc=float(roc_auc_score(anomaly, scores, max_fpr=0.1)),
        false_alarm_rate=float(alarm[~anomaly].mean()),
        threshold=threshold,
        normal_error=float(scores[~anomaly].mean() * step),
        detection={labels[i]: float(alarm[y == i].mean()) for i in present},
        auc_by_label={
            labels[i]: float(
                roc_auc_score(anomaly[~anomaly | (y == i)], scores[~anomaly | (y == i)])
            )
            for i in present
        },
    )


def curve(scores: npt.NDArray[Any], anomaly: npt.NDArray[np.bool_]) -> list[list[float]]:
    """The ROC curve as at most about 200 pairs of false alarm rate and detection rate."""
    from sklearn.metrics import roc_curve

    false, found, _ = roc_curve(anomaly, scores)
    rows = np.stack([false, found], axis=1)
    every = -(-len(rows) // 200)
    return [[float(a), float(b)] for a, b in [*rows[:-1:every], rows[-1]]]
