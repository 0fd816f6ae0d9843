"""Check the data of a recipe and cut it into windows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from model.checks import check_recordings, check_schema, usable
from model.checks.base import ERROR, PASSED, WARNING, CheckResult
from model.data_page import write_page
from model.datasets import load_dataset
from model.datasets.lists import split_groups
from model.datasets.truth import truth_of
from model.errors import DataError
from model.features import Windows, device_samples, split_windows
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.files import write_arrays, write_json
from model.recipe import Recipe
from model.stages.splits import save_splits
from model.tasks import task_of, trained_part
from model.text import counted, printable

MAX_PROBLEMS = 5  # of a check, on the terminal
console = Console()


def check(recipe: Recipe, out_dir: Path) -> None:
    """Run the data checks; write data.html and, without errors, what training reads."""
    dataset, splits = load_dataset(recipe.dataset, truth_of(recipe)), None
    task = task_of(recipe, dataset.labels)
    extractor = Extractor(recipe_front_end(recipe))
    results = check_schema(dataset, recipe.checks)
    if usable(results):
        splits = split_windows(dataset, recipe.dataset, extractor)
        splits = dataclasses.replace(splits, train=trained_part(splits.train, task))
        results += check_recordings(dataset, splits, recipe, task)
    _print_checks(results)
    for note in dataset.notes:
        console.print(note, markup=False)
    page = out_dir / "data.html"
    write_page(page, recipe, dataset, splits, results)
    console.print(f"details and plots: {page}", soft_wrap=True)
    errors = [r for r in results if r.state == ERROR]
    if errors or splits is None:
        raise DataError(
            f"{recipe.name}: {len(results)} data checks, {counted(len(errors), ERROR)}: "
            + "; ".join(f"{r.name}: {r.problems[0]}" for r in errors)
            + f"; see {page}"
        )
    save_splits(out_dir, splits)
    test = split_groups(dataset, recipe.dataset)["test"]
    write_arrays(out_dir / "samples.npz", device_samples(dataset, extractor, test))
    write_json(
        out_dir / "dataset.json",
        {
            "recipe": recipe.name,
            "title": recipe.title,
            "source": recipe.dataset.source,
            "sha256": dataset.sha256,
            "sample_rate_hz": dataset.sample_rate_hz,
            "channels": list(dataset.channels),
            "labels": list(dataset.labels),
            "preparation": list(dataset.notes),
            "splits": {
                name: {
                    "windows": len(w.x),
                    "groups": [dataset.group_title(g) for g in sorted(set(w.group.tolist()))],
                    "per_class": _counts(w, len(dataset.labels)),
                }
                for name, w in splits.items()
            },
            "checks": [dataclasses.asdict(r) for r in results],
        },
    )


def _counts(windows: Windows, labels: int) -> list[int] | None:
    """Windows of each class or label; None of numbers."""
    if windows.targets is None:
        return list(map(int, np.bincount(windows.y, minlength=labels)))
    whole = np.isin(windows.targets, (0, 1)).all()
    return windows.targets.sum(axis=0).astype(int).tolist() if whole else None


def _print_checks(results: list[CheckResult]) -> None:
    table = Table("data check", "result", "", title_justify="left")
    colours = {ERROR: "red", WARNING: "yellow", PASSED: "default"}
    for result in results:
        shown = list(result.problems[:MAX_PROBLEMS])
        if more := len(result.problems) - len(shown) + result.more:
            shown.append(f"and {more} more, in data.html")
        found = Text(
            printable("\n".join(shown) or result.summary, keep="\n")
        )  # no markup: has file names
        table.add_row(result.name, Text(result.state, colours[result.state]), found)
    console.print(table)
