"""What a network is for: which windows train it, and how its predictions are judged.

A Task belongs to a recipe; its Judge turns predictions into metrics. Training, quantisation and
parity know these two interfaces only.

Anomaly: an autoencoder sees normal windows alone, and a window that it cannot rebuild is an alarm.
The score of a float network is the mean of (output - input)^2. The score of an int8 model is an
integer that a device can compute as it is (IntegerError), and the threshold is one of its values:
the smallest that at least the share `quantile` of the normal validation windows does not exceed.
Faults of the validation groups serve the floor min_auc and max_drop, and choose nothing.

model.regression and model.multilabel have the other two tasks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from model import multilabel, regression
from model.baselines import anomaly_baselines, evaluate_baselines
from model.errors import ConfigError, DataError
from model.evaluate import (
    AnomalyMetrics,
    AnyMetrics,
    Metrics,
    curve,
    evaluate,
    evaluate_anomalies,
)
from model.features import Splits, Windows
from model.grid import Grid, flat
from model.multilabel import LabelsJudge, Multilabel
from model.recipe import Recipe
from model.regression import Regression, RegressionJudge, Units

Array = npt.NDArray[Any]
OWN_COMPONENTS = 8  # of PCA beside a network whose narrowest layer is not known
RECORD = "anomaly.json"
# Task -> what parity needs to judge a device, and the report to draw.
RECORDS = {"anomaly": RECORD, "regression": regression.RECORD, "multilabel": multilabel.RECORD}


class Judge(Protocol):
    """Judges predictions: inputs and outputs [windows, ...] by Windows.truth [windows, ...]."""

    def is_correct(
        self, inputs: Array, outputs: Array, truth: Array
    ) -> npt.NDArray[np.bool_] | None:
        """Which windows [windows] were predicted right; None where that is a matter of degree."""

    def metrics(self, inputs: Array, outputs: Array, truth: Array) -> AnyMetrics:
        """The scores of all windows of a split."""

    def files(self, inputs: Array, outputs: Array, truth: Array) -> dict[str, Any]:
        """Name and content of what to keep besides the metrics."""


class Task(Protocol):
    """One kind of experiment."""

    @property
    def predictions(self) -> tuple[str, ...]:
        """The names of what a window can be predicted to be, or of the numbers that are told."""

    @property
    def measure(self) -> str:
        """What floors and drops are stated in."""

    @property
    def rule(self) -> str:
        """How quantisation is chosen, without the test groups."""

    def fitted(self, train: Windows) -> Task:
        """The task with what it learns of the training windows before there is a network."""

    def trains_on(self, label: int) -> bool:
        """Whether windows of this class may train the network."""

    def calibration(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """What sets int8 ranges, from representative training inputs [n, ...]."""

    def judge(self, windows: Windows, inputs: Array, outputs: Array, grid: Grid | None) -> Judge:
        """The judge of one network, from its predictions for the validation split.

        `grid` says how int8 inputs and outputs are scaled; None for a float network.
        """

    def measured(self, metrics: AnyMetrics) -> float:
        """The number that `measure` names."""

    def preference(self, metrics: AnyMetrics) -> float:
        """Higher is better, by `rule`."""

    def shortfalls(self, metrics: AnyMetrics) -> list[str]:
        """Which of the recipe's limits the validation split misses: found, expected and key."""

    def baselines(self, splits: Splits) -> Mapping[str, AnyMetrics]:
        """What a network has to beat, on the test split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassJudge:
    """The largest output is the class."""

    classes: int

    def is_correct(self, inputs: Array, outputs: Array, y: Array) -> npt.NDArray[np.bool_]:
        """Which windows got their own class."""
        return np.asarray(flat(outputs).argmax(axis=1) == y)

    def metrics(self, inputs: Array, outputs: Array, y: Array) -> Metrics:
        """Recall, confusion and the like."""
        return evaluate(y, flat(outputs).argmax(axis=1), self.classes)

    def files(self, inputs: Array, outputs: Array, y: Array) -> dict[str, Any]:
        """Nothing."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatError:
    """Mean of (output - input)^2 over a window."""

    @property
    def step(self) -> float:
        """One of score in squared units of the input."""
        return 1.0

    def scores(self, inputs: Array, outputs: Array) -> npt.NDArray[np.float64]:
        """[windows] from float arrays."""
        difference = flat(outputs).astype(np.float64) - flat(inputs)
        return np.asarray((difference**2).mean(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerError:
    """The sum over a window's elements of (multiplier (o - zero_out) - 4096 (q - zero_in))^2.

    o is the int8 output, q the int8 input. multiplier = round(4096 scale_out / scale_in), so the
    difference is the dequantised one in steps of scale_in / 4096, and nothing is rounded on the
    way: an exact 64-bit integer, one multiplication and one multiply-accumulate an element.
    """

    multiplier: int
    zero_in: int
    zero_out: int
    step: float  # one of score in squared units of the input, the mean over a window

    @classmethod
    def of(cls, grid: Grid, elements: int) -> IntegerError:
        """ConfigError where the sum could pass 63 bits."""
        multiplier = round(4096 * grid.scale_out / grid.scale_in)
        if not 1 <= multiplier < 1 << 16 or elements > 1 << 14:
            raise ConfigError(
                f"anomaly: the output's scale is {grid.scale_out / grid.scale_in:g} times the "
                f"input's in a window of {elements} elements; expected less than 16 times and at "
                "most 16384 elements; scale the features"
            )
        return cls(
            multiplier=multiplier,
            zero_in=grid.zero_in,
            zero_out=grid.zero_out,
            step=(grid.scale_in / 4096) ** 2 / elements,
        )

    def scores(self, inputs: Array, outputs: Array) -> npt.NDArray[np.int64]:
        """[windows] from int8 arrays."""
        rebuilt = self.multiplier * (flat(outputs).astype(np.int64) - self.zero_out)
        difference = rebuilt - 4096 * (flat(inputs).astype(np.int64) - self.zero_in)
        return np.asarray((difference**2).sum(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyJudge:
    """A score above the threshold is an alarm."""

    labels: tuple[str, ...]
    normal: int  # the label that is none
    error: FloatError | IntegerError
    threshold: float  # a score; an integer where scores are

    def is_correct(self, inputs: Array, outputs: Array, y: Array) -> npt.NDArray[np.bool_]:
        """Which anomalies gave an alarm, and which normal windows gave none."""
        return np.asarray(
            (self.error.scores(inputs, outputs) > self.threshold) == (y != self.normal)
        )

    def metrics(self, inputs: Array, outputs: Array, y: Array) -> AnomalyMetrics:
        """AUC, false alarms, detection by label."""
        return evaluate_anomalies(
            self.error.scores(inputs, outputs), y, self.labels, self.normal, self.threshold,
            self.error.step,
        )  # fmt: skip

    def files(self, inputs: Array, outputs: Array, y: Array) -> dict[str, Any]:
        """anomaly.json: this judge, and the scores as histogram and ROC curve."""
        scores = self.error.scores(inputs, outputs).astype(np.float64)
        normal = y == self.normal
        edges = np.geomspace(max(scores.min(), 1.0), max(scores.max(), 2.0), 41)
        counts = {
            kind: np.histogram(np.clip(scores[which], edges[0], edges[-1]), edges)[0].tolist()
            for kind, which in (("normal", normal), ("anomaly", ~normal))
        }
        return {
            RECORD: {
                "judge": {
                    "labels": list(self.labels),
                    "normal": self.normal,
                    "threshold": self.threshold,
                    "error": asdict(self.error),
                },
                "histogram": {"edges": edges.tolist(), **counts},
                "roc": curve(scores, ~normal),
            }
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """One class a window."""

    recipe: Recipe
    predictions: tuple[str, ...]
    measure: str = "balanced accuracy"
    rule: str = "the higher balanced accuracy on the validation groups; post-training on a tie"

    def fitted(self, train: Windows) -> Classification:
        """Nothing is learned from the training windows."""
        return self

    def trains_on(self, label: int) -> bool:
        """Every class."""
        return True

    def calibration(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The inputs themselves."""
        return inputs

    def judge(self, windows: Windows, inputs: Array, outputs: Array, grid: Grid | None) -> Judge:
        """Nothing is learned from the predictions."""
        return ClassJudge(classes=len(self.predictions))

    def measured(self, metrics: AnyMetrics) -> float:
        """Balanced accuracy."""
        assert isinstance(metrics, Metrics)
        return metrics.balanced_accuracy

    def preference(self, metrics: AnyMetrics) -> float:
        """Balanced accuracy."""
        return self.measured(metrics)

    def shortfalls(self, metrics: AnyMetrics) -> list[str]:
        """As the recipe's training has it."""
        floor = self.recipe.train.min_balanced_accuracy or 0.0
        return _below(self, metrics, floor, "train.min_balanced_accuracy")

    def baselines(self, splits: Splits) -> Mapping[str, AnyMetrics]:
        """Majority, logistic regression, random forest."""
        return evaluate_baselines(
            splits.train, splits.test, len(self.predictions), self.recipe.train.seed
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """Normal or not."""

    recipe: Recipe
    labels: tuple[str, ...]
    normal: int
    predictions: tuple[str, ...]
    measure: str = "AUC"
    rule: str = (
        "the smaller reconstruction error of the normal windows of the validation groups, which "
        "needs no anomalies; post-training on a tie"
    )

    def fitted(self, train: Windows) -> Anomaly:
        """Nothing is learned from the training windows."""
        return self

    def trains_on(self, label: int) -> bool:
        """Normal windows alone."""
        return label == self.normal

    def calibration(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The inputs, and the same `headroom` times as large.

        Where input and output both end at the same value, what is beyond looks well rebuilt.
        """
        assert self.recipe.anomaly is not None
        if self.recipe.anomaly.headroom == 1:
            return inputs
        return np.concatenate([inputs, inputs * np.float32(self.recipe.anomaly.headroom)])

    def judge(self, windows: Windows, inputs: Array, outputs: Array, grid: Grid | None) -> Judge:
        """The threshold is a quantile of the scores of normal windows."""
        error = IntegerError.of(grid, flat(outputs).shape[1]) if grid else FloatError()
        normal = windows.y == self.normal
        return AnomalyJudge(
            labels=self.labels,
            normal=self.normal,
            error=error,
            threshold=self._threshold(error.scores(inputs[normal], outputs[normal])),
        )

    def _threshold(self, scores: Array) -> float:
        assert self.recipe.anomaly is not None
        return threshold(scores, self.recipe.anomaly.quantile)

    def measured(self, metrics: AnyMetrics) -> float:
        """Area under the ROC curve."""
        assert isinstance(metrics, AnomalyMetrics)
        return metrics.auc

    def preference(self, metrics: AnyMetrics) -> float:
        """A small error of normal windows."""
        assert isinstance(metrics, AnomalyMetrics)
        return -metrics.normal_error

    def shortfalls(self, metrics: AnyMetrics) -> list[str]:
        """As the recipe's table [anomaly] has it."""
        assert self.recipe.anomaly is not None
        return _below(self, metrics, self.recipe.anomaly.min_auc, "anomaly.min_auc")

    def baselines(self, splits: Splits) -> Mapping[str, AnyMetrics]:
        """PCA, Mahalanobis distance and isolation forest, each with the same rule of threshold."""
        units = getattr(self.recipe.network.options, "units", (OWN_COMPONENTS,))
        found = anomaly_baselines(splits, units[-1], self.recipe.train.seed)
        normal = splits.val.y == self.normal
        return {
            name: evaluate_anomalies(
                test, splits.test.y, self.labels, self.normal, self._threshold(val[normal]), 1.0
            )
            for name, (val, test) in found.items()
        }


def _below(task: Task, metrics: AnyMetrics, floor: float, key: str) -> list[str]:
    score = task.measured(metrics)
    if score >= floor:
        return []
    return [f"{task.measure} {score:.3f}, expected at least {floor:.3f} ({key})"]


def threshold(scores: Array, quantile: float) -> float:
    """The smallest of `scores` [n] that at least the share `quantile` of them does not exceed."""
    value = np.quantile(scores, quantile, method="inverted_cdf")
    return int(value) if scores.dtype.kind == "i" else float(value)


def task_of(recipe: Recipe, labels: Sequence[str]) -> Task:
    """The recipe's task on data with these labels.

    Raises ConfigError when the data do not have the label that is said to be normal.
    """
    if recipe.task == "regression":
        return Regression(recipe=recipe, predictions=tuple(labels))
    if recipe.task == "multilabel":
        return Multilabel(recipe=recipe, predictions=tuple(labels))
    if recipe.anomaly is None:
        return Classification(recipe=recipe, predictions=tuple(labels))
    name = recipe.anomaly.normal
    if name not in labels:
        raise ConfigError(
            f"anomaly.normal = {name!r}: no such label; the data have: {', '.join(labels)}"
        )
    return Anomaly(
        recipe=recipe,
        labels=tuple(labels),
        normal=list(labels).index(name),
        predictions=(name, "anomaly"),
    )


def outputs_of(task: str, classes: int, inputs: int) -> int:
    """How many numbers a network of the task answers with."""
    return inputs if task == "anomaly" else classes


def trained_part(windows: Windows, task: Task) -> Windows:
    """The windows that may train the network."""
    keep = np.array([task.trains_on(int(label)) for label in windows.y], bool)
    return windows.chosen(keep)


def load_judge(out_dir: Path, settings: Mapping[str, Any], classes: int) -> Judge:
    """The judge of a folder's int8 model, by the settings that its manifest has.

    Raises DataError for a record that is missing or has another shape.
    """
    task = settings.get("task", "classification")
    if task == "classification":
        return ClassJudge(classes=classes)
    path = out_dir / RECORDS[task]
    try:
        return _stored_judge(task, json.loads(path.read_text("utf-8"))["judge"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not the record of how outputs are read: {error!r}; run `make quantise`"
        ) from error


def _stored_judge(task: str, stored: dict[str, Any]) -> Judge:
    if task == "anomaly":
        return AnomalyJudge(
            labels=tuple(stored["labels"]),
            normal=int(stored["normal"]),
            threshold=int(stored["threshold"]),
            error=IntegerError(**stored["error"]),
        )
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
    if task == "regression":
        units = Units(**fields)
        np.broadcast_arrays(units.targets, units.units, units.mean, units.deviation)
        return RegressionJudge(units=units)
    judge = LabelsJudge(**fields)
    np.broadcast_arrays(judge.labels, judge.thresholds)
    return judge
