"""Metrics of each task; those of classes hold for any balance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionMetrics:
    """Scores of one regression on one split; each target in its own unit."""

    mean_r2: float  # of the targets
    r2: dict[str, float]  # 1: exact; 0: no better than the mean of the split
    mae: dict[str, float]  # mean absolute error
    rmse: dict[str, float]  # root mean square error
    largest: dict[str, float]  # error


def evaluate_regression(
    truth: npt.NDArray[Any], told: npt.NDArray[Any], targets: tuple[str, ...]
) -> RegressionMetrics:
    """Compare [windows, targets] in units.

    Raises ValueError for a target that is the same in all windows: its R2 is not defined.
    """
    error = told.astype(np.float64) - truth
    spread = ((truth - truth.mean(axis=0, dtype=np.float64)) ** 2).sum(axis=0)
    if not spread.all():
        same = [targets[i] for i in np.flatnonzero(spread == 0)]
        raise ValueError(f"targets {same} do not vary; R2 is not defined")
    r2 = 1 - (error**2).sum(axis=0) / spread

    def named(values: npt.NDArray[Any]) -> dict[str, float]:
        return dict(zip(targets, map(float, values), strict=True))

    return RegressionMetrics(
        mean_r2=float(r2.mean()),
        r2=named(r2),
        mae=named(np.abs(error).mean(axis=0)),
        rmse=named(np.sqrt((error**2).mean(axis=0))),
        largest=named(np.abs(error).max(axis=0)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MultilabelMetrics:
    """Scores of one multi-label classifier on one split."""

    macro_f1: float  # mean of the labels' F1
    average_precision: float  # mean of the labels' areas under precision over recall
    exact_share: float  # of windows with all labels right
    f1: dict[str, float]
    precision: dict[str, float]  # 0 where the label is never given
    found: dict[str, float]  # recall
    average_precision_by_label: dict[str, float]


def evaluate_labels(
    truth: npt.NDArray[Any],
    given: npt.NDArray[np.bool_],
    scores: npt.NDArray[Any],
    labels: tuple[str, ...],
) -> MultilabelMetrics:
    """Compare [windows, labels]: 0 or 1, what is given, and the scores that it is given by.

    Raises ValueError for a label that holds in no window: its recall is not defined.
    """
    from sklearn.metrics import average_precision_score

    holds = truth > 0
    if not holds.any(axis=0).all():
        missing = [labels[i] for i in np.flatnonzero(~holds.any(axis=0))]
        raise ValueError(f"labels {missing} hold in no window; recall is not defined")
    right = (holds & given).sum(axis=0)
    area = [float(average_precision_score(h, s)) for h, s in zip(holds.T, scores.T, strict=True)]
    f1 = 2 * right / (holds.sum(axis=0) + given.sum(axis=0))

    def named(values: Iterable[float]) -> dict[str, float]:
        return dict(zip(labels, map(float, values), strict=True))

    return MultilabelMetrics(
        macro_f1=float(f1.mean()),
        average_precision=float(np.mean(area)),
        exact_share=float((holds == given).all(axis=1).mean()),
        f1=named(f1),
        precision=named(right / np.maximum(given.sum(axis=0), 1)),
        found=named(right / holds.sum(axis=0)),
        average_precision_by_label=named(area),
    )


AnyMetrics = Metrics | RegressionMetrics | MultilabelMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The one number that stands for a network's scores; higher is better, 1 is all right."""

    name: str
    value: float

    @property
    def text(self) -> str:
        """As a reader of tables expects it."""
        return f"{self.value:.3f}" if self.name == "R2" else f"{self.value * 100:.1f} %"


def headline(metrics: Mapping[str, Any]) -> Headline:
    """Of the metrics of any task as their file has them."""
    if "mean_r2" in metrics:
        return Headline(name="R2", value=metrics["mean_r2"])
    if "macro_f1" in metrics:
        return Headline(name="macro F1", value=metrics["macro_f1"])
    return Headline(name="balanced accuracy", value=metrics["balanced_accuracy"])
