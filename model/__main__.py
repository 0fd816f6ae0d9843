"""python -m model list|check|train|cross-validate"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from model import tracking
from model.checks import check_recordings, check_schema, usable
from model.checks.base import FAILED, PASSED, WARNED, CheckResult
from model.command import at_least, end
from model.datasets import load_dataset
from model.errors import DataError
from model.features import Splits, Windows, device_samples, split_groups, split_windows
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.files import write_arrays, write_json
from model.npz import read_arrays
from model.recipe import Recipe, load_recipe, recipe_names
from model.tasks import task_of, trained_part

if TYPE_CHECKING:
    from model.train import Progress

BUILD = Path("build")
MAX_PROBLEMS = 5  # of a check, on the terminal
FIELDS = ("features", "feature_scale", "y", "group")  # of a split in features.npz
console = Console()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m model", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the recipes that come with the project")
    for name, text in (
        ("check", "check the data and cut it into windows"),
        ("train", "train the float network and the baselines"),
        ("cross-validate", "train and test once for each fold of the groups"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("recipe", help="a recipe's name, or the path of a .toml file")
        sub.add_argument("--build", type=Path, help=f"folder of results; default: {BUILD}")
        if name == "cross-validate":
            sub.add_argument("--folds", type=at_least(2), default=5)
            sub.add_argument("--repeats", type=at_least(1), default=3, help="seeds a fold")
            sub.add_argument(
                "--held-out",
                action="store_true",
                help="without the recipe's test groups, so that settings may be chosen by it",
            )
    return parser


def check(recipe: Recipe, out_dir: Path) -> None:
    """Run the data checks; write data.html and, without errors, what training reads."""
    from model.data_page import write_page  # lazy: draws

    dataset, splits = load_dataset(recipe.dataset), None
    task = task_of(recipe, dataset.labels)
    extractor = Extractor(recipe_front_end(recipe))
    results = check_schema(dataset, recipe.checks)
    if usable(results):
        splits = split_windows(dataset, recipe.dataset, extractor)
        splits = dataclasses.replace(splits, train=trained_part(splits.train, task))
        results += check_recordings(dataset, splits, recipe, task)
    _print_checks(results)
    page = out_dir / "data.html"
    write_page(page, recipe, dataset, splits, results)
    console.print(f"details and plots: {page}", soft_wrap=True)
    failed = [r for r in results if r.state == FAILED]
    if failed or splits is None:
        raise DataError(
            f"{recipe.name}: {len(failed)} of {len(results)} data checks failed: "
            + "; ".join(f"{r.name}: {r.problems[0]}" for r in failed)
            + f"; see {page}"
        )
    arrays = {
        f"{name}_{field}": np.asarray(getattr(windows, field))
        for name, windows in splits.items()
        for field in FIELDS
    }
    write_arrays(out_dir / "features.npz", arrays)
    test = split_groups(dataset, recipe.dataset)["test"]
    write_arrays(out_dir / "samples.npz", device_samples(dataset, extractor, test))
    classes = len(dataset.labels)
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
            "splits": {
                name: {
                    "windows": len(w.x),
                    "groups": [dataset.group_title(g) for g in sorted(set(w.group.tolist()))],
                    "per_class": np.bincount(w.y, minlength=classes).tolist(),
                }
                for name, w in splits.items()
            },
            "checks": [dataclasses.asdict(r) for r in results],
        },
    )


def load_splits(out_dir: Path) -> Splits:
    """The windows that `check` wrote; DataError when they are missing or something else."""
    path = out_dir / "features.npz"
    try:
        stored = read_arrays(path)
        parts = {
            name: Windows(
                features=stored[f"{name}_features"],
                feature_scale=float(stored[f"{name}_feature_scale"]),
                y=stored[f"{name}_y"],
                group=stored[f"{name}_group"],
            )
            for name in ("train", "val", "test")
        }
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not the features file: {error}; run `make check`") from error
    return Splits(**parts)


def _print_checks(results: list[CheckResult]) -> None:
    table = Table("data check", "result", "", title_justify="left")
    colours = {FAILED: "[red]failed[/]", WARNED: "[yellow]warning[/]", PASSED: "ok"}
    for result in results:
        shown = list(result.problems[:MAX_PROBLEMS])
        if more := len(result.problems) - len(shown):
            shown.append(f"and {more} more, all in data.html")
        found = Text("\n".join(shown) or result.summary)  # no markup: has file names
        table.add_row(result.name, colours[result.state], found)
    console.print(table)


@contextmanager
def training_progress(title: str, steps: int) -> Iterator[Progress]:
    """A progress bar on a terminal, a line at each validation elsewhere."""
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=steps)

        def advance(step: int, loss: float, score: float | None) -> None:
            bar.update(task, completed=step)
            if score is not None:
                text = f"{title} {step}/{steps}: loss {loss:.3f}, validation {score:.3f}"
                bar.update(task, description=text)
                if not console.is_terminal and step % (steps // 4 or 1) == 0:
                    console.print(text)

        yield advance


def train(recipe: Recipe, out_dir: Path) -> None:
    """Train the network and the baselines; write float.weights.h5 and train.json."""
    from model import train as training

    begun = tracking.begin(recipe.name, recipe.as_dict())
    dataset, splits = load_dataset(recipe.dataset), load_splits(out_dir)
    task = task_of(recipe, dataset.labels)
    with training_progress("training", recipe.train.steps) as progress:
        started = time.monotonic()
        groups = set(splits.train.group.tolist())
        network, history = training.train_network(
            recipe, dataset, task, groups, recipe.train.seed, progress, splits.val
        )
        seconds = time.monotonic() - started
    judge = task.judge(splits.val, splits.val.x, training.predict(network, splits.val), None)
    scores = {
        name: judge.metrics(w.x, training.predict(network, w), w.y)
        for name, w in (("val", splits.val), ("test", splits.test))
    }
    training.check_floor(recipe, task, scores["val"])
    baselines = task.baselines(splits)
    training.save_network(network, out_dir / "float.weights.h5")
    result: dict[str, Any] = {
        "seed": recipe.train.seed,
        "steps": recipe.train.steps,
        "parameters": int(network.count_params()),
        "seconds": round(seconds, 1),
        "history": dataclasses.asdict(history),
        "metrics": {name: dataclasses.asdict(m) for name, m in scores.items()},
        "baselines": {name: dataclasses.asdict(m) for name, m in baselines.items()},
    }
    write_json(out_dir / "train.json", result)
    tracking.start(out_dir, begun)
    rows = {"network, float": scores["test"], **baselines}
    table = Table("held-out test groups", "balanced accuracy", "accuracy", "G-mean")
    for name, m in rows.items():
        values = (m.balanced_accuracy, m.accuracy, m.g_mean)
        table.add_row(name, *(f"{v:.3f}" for v in values))
    console.print(table)


def cross_validate(
    recipe: Recipe, out_dir: Path, folds: int, repeats: int, *, held_out: bool
) -> None:
    """Train once for each fold and seed; write cross_validation.json.

    Raises ConfigError for more folds than groups and for another task than classification.
    """
    from model import train as training

    with training_progress("fold", recipe.train.steps) as progress:
        results = training.cross_validate(recipe, folds, repeats, progress, held_out=held_out)
    table = Table("test groups", "seed", "network", "accuracy", "random forest")
    for r in results:
        scores = (
            r.network.balanced_accuracy,
            r.network.accuracy,
            r.random_forest.balanced_accuracy,
        )
        groups = ", ".join(map(str, r.test_groups))
        table.add_row(groups, str(r.seed), *(f"{score:.3f}" for score in scores))
    console.print(table)
    network = np.array([r.network.balanced_accuracy for r in results])
    forest = np.array([r.random_forest.balanced_accuracy for r in results])
    write_json(
        out_dir / "cross_validation.json",
        {
            "settings": recipe.as_dict(),
            "held_out": held_out,
            "folds": [dataclasses.asdict(r) for r in results],
            "mean_balanced_accuracy": float(network.mean()),
            "std": float(network.std()),
            "mean_accuracy": float(np.mean([r.network.accuracy for r in results])),
            "mean_random_forest": float(forest.mean()),
        },
    )
    console.print(
        f"mean balanced accuracy {network.mean():.3f} (standard deviation {network.std():.3f}) "
        f"over {folds} folds by group and {repeats} seeds; random forest {forest.mean():.3f}"
    )


def _run(args: argparse.Namespace) -> int:
    if args.command == "list":
        for name in recipe_names():
            print(f"{name}: {load_recipe(name).title}")
        return 0
    recipe = load_recipe(args.recipe)
    out_dir = (args.build or BUILD) / recipe.name
    if args.command == "check":
        check(recipe, out_dir)
        return 0
    if args.command == "train":
        train(recipe, out_dir)
    else:
        cross_validate(recipe, out_dir, args.folds, args.repeats, held_out=args.held_out)
    tracking.record(out_dir)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors become one message and an exit code."""
    args = _parser().parse_args(arguments)
    return end(lambda: _run(args))


if __name__ == "__main__":
    sys.exit(main())
