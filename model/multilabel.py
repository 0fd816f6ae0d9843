"""The task 'multilabel': any number of labels hold in a window, none included.

A network has a sigmoid output for each label, which is given where the output is above the label's
threshold. Each threshold is chosen on the validation windows, of the network that it is for: in the
middle of the range in which the label's F1 is highest. An int8 model's is one of its integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.baselines import multilabel_baselines
from model.evaluate import AnyMetrics, MultilabelMetrics, evaluate_labels
from model.features import Splits, Windows
from model.grid import Grid, flat
from model.recipe import Recipe

Array = npt.NDArray[Any]
RECORD = "multilabel.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsJudge:
    """A label is given where its output is above its threshold."""

    labels: tuple[str, ...]
    thresholds: tuple[float, ...]  # integers where outputs are
    scale: float = 1.0  # of an int8 output; a float network's is 1 and 0
    zero: int = 0

    def given(self, outputs: Array) -> npt.NDArray[np.bool_]:
        """[windows, labels]."""
        return np.asarray(flat(outputs) > np.asarray(self.thresholds))

    def is_correct(self, inputs: Array, outputs: Array, truth: Array) -> npt.NDArray[np.bool_]:
        """Which windows got all of their labels and no other."""
        return np.asarray((self.given(outputs) == (truth > 0)).all(axis=1))

    def metrics(self, inputs: Array, outputs: Array, truth: Array) -> MultilabelMetrics:
        """F1, precision, recall and average precision of each label."""
        return evaluate_labels(truth, self.given(outputs), flat(outputs), self.labels)

    def files(self, inputs: Array, outputs: Array, truth: Array) -> dict[str, Any]:
        """multilabel.json: this judge, and the thresholds as shares."""
        shares = [self.scale * (threshold - self.zero) for threshold in self.thresholds]
        return {
            RECORD: {
                "judge": asdict(self),
                "thresholds": dict(zip(self.labels, shares, strict=True)),
            }
        }


def best_threshold(scores: Array, holds: npt.NDArray[np.bool_]) -> float:
    """In the middle of the range that parts the scores [n] of `holds` [n] with the highest F1.

    Of several such ranges the widest. Above the threshold the label is given; so a threshold below
    all scores gives it always.
    """
    whole = scores.dtype.kind == "i"
    wide = scores.astype(np.int64 if whole else np.float64)
    different = np.unique(wide)
    cuts = np.concatenate([different[:1] - 1, different])  # the label is given above one of these
    order = np.argsort(wide, kind="stable")
    below = np.searchsorted(wide[order], cuts, side="right")
    right = holds.sum() - np.concatenate([[0], np.cumsum(holds[order])])[below]
    f1 = 2 * right / np.maximum(holds.sum() + len(scores) - below, 1)
    best = np.flatnonzero(f1[:-1] == f1[:-1].max())  # above the last one nothing is given
    first = best[np.diff(best, prepend=-2) > 1]
    last = best[np.diff(best, append=len(f1) + 1) > 1]
    widest = int((cuts[last + 1] - cuts[first]).argmax())
    low, high = cuts[first[widest]], cuts[last[widest] + 1]
    return int((low + high) // 2) if whole else float((low + high) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Multilabel:
    """Any number of labels a window."""

    recipe: Recipe
    predictions: tuple[str, ...]
    measure: str = "macro F1"
    rule: str = "the higher macro F1 on the validation groups; post-training on a tie"

    def fitted(self, train: Windows) -> Multilabel:
        """Nothing is learned from the training windows."""
        return self

    def trains_on(self, label: int) -> bool:
        """Every recording."""
        return True

    def calibration(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The inputs themselves."""
        return inputs

    def judge(self, windows: Windows, inputs: Array, outputs: Array, grid: Grid | None) -> Any:
        """Thresholds of the validation windows."""
        return LabelsJudge(
            labels=self.predictions,
            thresholds=self._thresholds(flat(outputs), windows.truth),
            scale=grid.scale_out if grid else 1.0,
            zero=grid.zero_out if grid else 0,
        )

    def _thresholds(self, scores: Array, truth: Array) -> tuple[float, ...]:
        return tuple(best_threshold(s, t > 0) for s, t in zip(scores.T, truth.T, strict=True))

    def measured(self, metrics: AnyMetrics) -> float:
        """The mean of the labels' F1."""
        assert isinstance(metrics, MultilabelMetrics)
        return metrics.macro_f1

    def preference(self, metrics: AnyMetrics) -> float:
        """The same."""
        return self.measured(metrics)

    def shortfalls(self, metrics: AnyMetrics) -> list[str]:
        """By min_macro_f1 of the recipe's table [multilabel]."""
        assert self.recipe.multilabel is not None
        floor, found = self.recipe.multilabel.min_macro_f1, self.measured(metrics)
        if found >= floor:
            return []
        return [f"macro F1 {found:.3f}, expected at least {floor:.3f} (multilabel.min_macro_f1)"]

    def baselines(self, splits: Splits) -> Mapping[str, AnyMetrics]:
        """Each label's share, logistic regression, random forest; thresholds by the same rule."""
        return {
            name: LabelsJudge(
                labels=self.predictions, thresholds=self._thresholds(val, splits.val.truth)
            ).metrics(test, test, splits.test.truth)
            for name, (val, test) in multilabel_baselines(splits, self.recipe.train.seed).items()
        }
