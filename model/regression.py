"""The task 'regression': a network tells one or several numbers in units.

A network learns (target - mean) / deviation, both of the training windows, so that targets of all
units weigh alike and share one int8 output. `Units.values` is the one place that turns outputs back
into units. One step of the int8 output is `Units.steps` of a unit: nothing finer can be told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.baselines import regression_baselines
from model.errors import DataError
from model.evaluate import AnyMetrics, RegressionMetrics, evaluate_regression
from model.features import Splits, Windows
from model.grid import Grid, flat
from model.recipe import Recipe

Array = npt.NDArray[Any]
RECORD = "regression.json"
POINTS = 400  # windows of the report's plot


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """How a network's outputs become numbers in units."""

    targets: tuple[str, ...]
    units: tuple[str, ...]
    mean: tuple[float, ...]  # of the training windows
    deviation: tuple[float, ...]
    scale: float = 1.0  # of an int8 output; a float network's is 1 and 0
    zero: int = 0

    def values(self, outputs: Array) -> npt.NDArray[np.float64]:
        """[windows, ...] outputs -> [windows, targets] in units."""
        normal = self.scale * (flat(outputs).astype(np.float64) - self.zero)
        return np.asarray(normal * self.deviation + self.mean)

    @property
    def steps(self) -> tuple[float, ...]:
        """What one step of the int8 output is in each target's unit."""
        return tuple(self.scale * deviation for deviation in self.deviation)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionJudge:
    """Errors in units."""

    units: Units

    def is_correct(self, inputs: Array, outputs: Array, truth: Array) -> None:
        """A number is near or far, not right or wrong."""

    def metrics(self, inputs: Array, outputs: Array, truth: Array) -> RegressionMetrics:
        """R2 and errors of each target."""
        return evaluate_regression(truth, self.units.values(outputs), self.units.targets)

    def files(self, inputs: Array, outputs: Array, truth: Array) -> dict[str, Any]:
        """regression.json: this judge, and some windows for a plot."""
        some = np.linspace(0, len(truth) - 1, min(POINTS, len(truth))).astype(int)
        told = self.units.values(outputs[some])
        return {
            RECORD: {
                "judge": asdict(self.units),
                "steps": dict(zip(self.units.targets, self.units.steps, strict=True)),
                "points": {
                    target: {
                        "truth": [float(f"{v:.5g}") for v in truth[some, i].tolist()],
                        "told": [float(f"{v:.5g}") for v in told[:, i].tolist()],
                    }
                    for i, target in enumerate(self.units.targets)
                },
            }
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """One or several numbers a window."""

    recipe: Recipe
    predictions: tuple[str, ...]  # the targets
    mean: tuple[float, ...] = ()  # of the training windows, once fitted
    deviation: tuple[float, ...] = ()
    measure: str = "R2"
    rule: str = "the higher mean R2 on the validation groups; post-training on a tie"

    def fitted(self, train: Windows) -> Regression:
        """With the mean and deviation of the training windows' targets.

        Raises DataError for a target that does not vary.
        """
        values = train.truth.astype(np.float64)
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        if constant := np.flatnonzero(deviation <= 1e-6 * np.abs(mean)).tolist():
            raise DataError(
                f"target {self.predictions[constant[0]]!r} is {mean[constant[0]]:g} in all "
                "training windows; there is nothing to learn, so record other values or remove the "
                "target"
            )
        return dataclasses.replace(
            self, mean=tuple(mean.tolist()), deviation=tuple(deviation.tolist())
        )

    def trains_on(self, label: int) -> bool:
        """Every recording."""
        return True

    def calibration(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The inputs themselves."""
        return inputs

    def judge(self, windows: Windows, inputs: Array, outputs: Array, grid: Grid | None) -> Any:
        """Nothing is learned from the predictions."""
        assert self.recipe.regression is not None
        units = Units(
            targets=self.predictions,
            units=self.recipe.regression.units,
            mean=self.mean,
            deviation=self.deviation,
            scale=grid.scale_out if grid else 1.0,
            zero=grid.zero_out if grid else 0,
        )
        return RegressionJudge(units=units)

    def measured(self, metrics: AnyMetrics) -> float:
        """The mean of the targets' R2."""
        assert isinstance(metrics, RegressionMetrics)
        return metrics.mean_r2

    def preference(self, metrics: AnyMetrics) -> float:
        """The same."""
        return self.measured(metrics)

    def shortfalls(self, metrics: AnyMetrics) -> list[str]:
        """By max_mae and min_r2 of the recipe's table [regression]."""
        assert isinstance(metrics, RegressionMetrics) and self.recipe.regression is not None
        config = self.recipe.regression
        limits = zip(config.targets, config.units, config.max_mae, strict=False)
        found = [
            f"mean absolute error of {target} {metrics.mae[target]:.4g} {unit}, expected at most "
            f"{limit:g} {unit} (regression.max_mae)"
            for target, unit, limit in limits
            if metrics.mae[target] > limit
        ]
        if metrics.mean_r2 < config.min_r2:
            found.append(
                f"R2 {metrics.mean_r2:.3f}, expected at least {config.min_r2:.3f} "
                "(regression.min_r2)"
            )
        return found

    def baselines(self, splits: Splits) -> Mapping[str, AnyMetrics]:
        """The mean, ridge regression, random forest."""
        found = regression_baselines(splits.train, splits.test, self.recipe.train.seed)
        return {
            name: evaluate_regression(splits.test.truth, told, self.predictions)
            for name, told in found.items()
        }
