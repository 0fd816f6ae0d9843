"""Checks of a dataset before anything is trained on it.

Errors stop the run, warnings are shown. Thresholds stand in the recipe's [checks].
"""

from __future__ import annotations

from collections.abc import Callable

from model.checks import labels, schema, series, similar, truth
from model.checks.base import (
    ERROR,
    MAX_PROBLEMS,
    PASSED,
    WARNING,
    CheckResult,
    Finding,
)
from model.datasets.base import Dataset
from model.features import Splits
from model.progress import item_progress
from model.recipe import CheckConfig, Recipe
from model.tasks import Task

SEVERITIES = {
    "channels and units": ERROR,
    "non-finite values": ERROR,
    "ranges": ERROR,
    "rate and length": ERROR,
    "jitter": WARNING,
    "sensor range": ERROR,
    "gaps": ERROR,
    "stuck channels": ERROR,
    "clipping": WARNING,
    "duplicates": ERROR,
    "leaks between splits": ERROR,
    "near-duplicates": WARNING,
    "classes": ERROR,
    "class balance": WARNING,
    "label doubts": WARNING,
    "targets": ERROR,
    "target ranges": WARNING,
    "labels": ERROR,
    "label balance": WARNING,
}


def check_schema(dataset: Dataset, config: CheckConfig) -> list[CheckResult]:
    """What has to hold before windows can be cut: the schema that the recipe declares.

    Without them nothing else can be checked, and the list ends there.
    """
    found = [_result("channels and units", schema.channels(dataset))]
    if not found[0].problems:
        finite, ranges = schema.values(dataset, config)
        found += [_result("non-finite values", finite), _result("ranges", ranges)]
    return found


def usable(results: list[CheckResult]) -> bool:
    """Whether the other checks can run: the channels are known and all values are finite."""
    return len(results) > 1 and not results[1].problems


def check_recordings(
    dataset: Dataset, splits: Splits, recipe: Recipe, task: Task
) -> list[CheckResult]:
    """All other checks, in the order in which their failures are most useful to read."""
    config = recipe.checks
    checks: dict[str, Callable[[], Finding]] = {
        "rate and length": lambda: series.rate_and_length(dataset, config),
        "jitter": lambda: series.jitter(dataset, config),
        "sensor range": lambda: series.sensor_range(dataset, recipe.features.lsb),
        "gaps": lambda: series.gaps(dataset, config),
        "stuck channels": lambda: series.stuck(dataset, config),
        "clipping": lambda: series.clipping(dataset, config),
        "duplicates": lambda: similar.duplicates(dataset, splits),
        "leaks between splits": lambda: similar.leaks(dataset, splits),
        "near-duplicates": lambda: similar.near_duplicates(dataset, splits, recipe),
        **_of_truth(dataset, splits, recipe, task),
    }
    names = item_progress([*checks], "data checks", work=len(dataset.recordings))
    return [_result(name, checks[name]()) for name in names]


def _of_truth(
    dataset: Dataset, splits: Splits, recipe: Recipe, task: Task
) -> dict[str, Callable[[], Finding]]:
    """What is looked at in the classes, labels or numbers that the task learns."""
    config, window = recipe.checks, recipe.features.window
    if recipe.task == "regression":
        return {
            "targets": lambda: truth.targets(dataset, splits, recipe),
            "target ranges": lambda: truth.target_ranges(splits, recipe),
        }
    if recipe.task == "multilabel":
        return {
            "labels": lambda: truth.labels(dataset, splits, window),
            "label balance": lambda: truth.label_balance(dataset, splits, config),
        }
    return {
        "classes": lambda: similar.classes(dataset, splits, task, window),
        "class balance": lambda: similar.balance(splits, config),
        "label doubts": lambda: labels.label_doubts(dataset, recipe),
    }


def _result(name: str, finding: Finding) -> CheckResult:
    return CheckResult(
        name=name,
        severity=SEVERITIES[name],
        state=SEVERITIES[name] if finding.problems else PASSED,
        summary=finding.summary,
        problems=finding.problems[:MAX_PROBLEMS],
        more=len(finding.problems[MAX_PROBLEMS:]),
        columns=finding.columns,
        rows=finding.rows,
    )
