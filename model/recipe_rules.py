"""What must hold between the keys of a recipe: every problem at once, in words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from model.network_config import HAVE_FILTERS, OWN, kind_problems
from model.recipe import TASKS, AugmentConfig, DatasetConfig, QuantConfig, Recipe
from model.recipe_tables import MAX_TARGETS, RegressionConfig, SearchConfig
from model.toml_reader import accept

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")  # of a folder in build/
CHOICES = ("validation", "ptq", "qat", "int16")
METHODS = ("linear", "nearest", "previous")  # of [dataset.resample]
UNITS_OF_TIME = ("s", "ms", "us", "ns", "iso8601")
# sources that have a table of their own in [dataset]
SOURCE_TABLES = sorted(
    f.name
    for f in dataclasses.fields(DatasetConfig)
    if f.default is None and f.name not in ("merge", "resample")
)
# what [search] may vary: numbers of these tables, but not how long is trained and from which seed
SEARCHED = ("features.", "augment.", "train.", "network.python.arguments.")
NOT_SEARCHED = ("train.steps", "train.seed")
FOLDERS = ("csv_folder", "edge_impulse", "wav_folder")  # sources of many files
PER_CHANNEL = (
    ("dataset", "units"),
    ("checks", "minimum"),
    ("checks", "maximum"),
    ("checks", "max_step"),
    ("features", "lsb"),
    ("augment", "noise"),
)


def problems(recipe: Recipe) -> Iterator[str]:
    """'<key>: expected ..., got ...' of each value that does not fit the others."""
    if not NAME.fullmatch(recipe.name):
        yield (
            f"name: expected up to 64 letters, digits, '_', '.' and '-', because results "
            f"go to build/recipes/<name>; got {recipe.name[:80]!r}; name the file so"
        )
    yield from _channels(recipe)
    if recipe.features.hop > recipe.features.window:
        yield (
            f"features.hop: expected at most the window, {recipe.features.window}, got "
            f"{recipe.features.hop}"
        )
    yield from kind_problems(recipe.network)
    yield from _task(recipe)
    yield from _teachers(recipe)
    if recipe.regression is not None:
        yield from _regression(recipe.regression)
    if recipe.multilabel is not None:
        yield from separator_problems(recipe.multilabel.separator)
    yield from _source(recipe.dataset)
    yield from _labels(recipe)
    yield from _choice(recipe.quantisation)
    if recipe.search is not None:
        yield from _search(recipe, recipe.search)
    yield from _augment(recipe.augment, len(recipe.dataset.channels))
    if recipe.augment.vocal_tract > 1 and recipe.features.kind != "logmel":
        yield (
            f"augment.vocal_tract: expected 1.0 for features.kind {recipe.features.kind!r}, got "
            f"{recipe.augment.vocal_tract:g}: it stretches the frequencies of 'logmel'"
        )
    yield from _background(recipe.augment, recipe.dataset.source)
    yield from _speech(recipe)
    yield from _groups(recipe.dataset)
    if recipe.compression is not None and recipe.compression.clusters == 1:
        yield "compression.clusters: expected 0 or 2 to 128, got 1"
    if recipe.classical is not None and recipe.classical.features not in ("statistics", "input"):
        yield (
            f"classical.features: unknown kind {recipe.classical.features!r}; known: "
            "statistics, input"
        )


def _channels(recipe: Recipe) -> Iterator[str]:
    channels, checks = recipe.dataset.channels, recipe.checks
    if not channels or len(set(channels)) < len(channels):
        yield f"dataset.channels: expected names, each once, got {list(channels)}"
    for section, field in PER_CHANNEL:
        got = len(getattr(getattr(recipe, section), field))
        if got != len(channels):
            yield (
                f"{section}.{field}: expected {len(channels)} values, one for each of "
                f"dataset.channels; got {got}"
            )
    for channel, low, high in zip(channels, checks.minimum, checks.maximum, strict=False):
        if low >= high:
            yield (
                f"checks: channel {channel!r}: expected a minimum below the maximum, got "
                f"{low:g} and {high:g}"
            )


def _groups(dataset: DatasetConfig) -> Iterator[str]:
    """Both splits have groups, in one of three ways, and none has another's."""
    ways = {
        way: tuple(bool(getattr(dataset, f"{split}_{way}")) for split in ("val", "test"))
        for way in ("groups", "list", "share")
    }
    used = [way for way, both in ways.items() if any(both)]
    if len(used) > 1:
        yield (
            "dataset: expected one of val_groups with test_groups, val_list with test_list, and "
            f"val_share with test_share, got {' and '.join(used)}; remove the others"
        )
    else:
        way = used[0] if used else "groups"
        for split, given in zip(("val", "test"), ways[way], strict=True):
            if not given:
                what = {"groups": "at least one group", "list": "a list file", "share": "a share"}
                yield f"dataset.{split}_{way}: expected {what[way]}, got none"
    if "list" in used and dataset.source not in FOLDERS:
        yield f"dataset.val_list: is of the sources {', '.join(FOLDERS)}; name groups instead"
    if both := set(dataset.val_groups) & set(dataset.test_groups):
        yield (
            f"dataset: groups {sorted(both, key=str)} are in val_groups and in "
            "test_groups; a group belongs to one split"
        )


def _task(recipe: Recipe) -> Iterator[str]:
    """Each task has its own network and its own floor, and no other task's."""
    if recipe.task not in TASKS:
        yield f"task: unknown task {recipe.task!r}; known: {', '.join(TASKS)}"
        return
    task, floor = recipe.task, recipe.train.min_balanced_accuracy
    anomaly, train = task == "anomaly", recipe.train
    for wrong, expected in (
        (recipe.network.kind not in OWN and anomaly != (recipe.network.kind == "autoencoder"),
         "network.kind 'autoencoder' and task 'anomaly' belong together"),
        *(((task == name) != (getattr(recipe, name) is not None),
           f"a table [{name}] for the task {name!r} only") for name in TASKS[1:]),
        (task != "classification" and floor is not None, "train.min_balanced_accuracy for the "
         "task 'classification' only; others: anomaly.min_auc, regression.max_mae and min_r2, "
         "multilabel.min_macro_f1"),
        (task in ("anomaly", "regression") and train.label_smoothing,
         "train.label_smoothing = 0.0: the network answers with numbers, not with labels"),
        (anomaly and recipe.augment.mixup, "augment.mixup = 0.0: a mixture of normal inputs need "
         "not be normal"),
        (anomaly and train.teachers, "train.teachers = 0: a reconstruction is learnt from "
         "the input"),
        (task != "classification" and recipe.decide is not None,
         "a table [decide] for the task 'classification' only"),
        (task in ("regression", "multilabel") and recipe.dataset.leave_out,
         "dataset.leave_out for classes only"),
        (task in ("regression", "multilabel") and recipe.dataset.merge is not None,
         "dataset.merge for classes only: dataset.labels is a list of the labels"),
    ):  # fmt: skip
        if wrong:
            yield f"task {recipe.task!r}: expected {expected}"


def _teachers(recipe: Recipe) -> Iterator[str]:
    """Only what is trained has teachers, and only what has filters has wider ones."""
    kind, train = recipe.network.kind, recipe.train
    if train.teachers and kind == "file":
        yield "train.teachers: expected 0 for network.kind 'file', which is trained already"
    elif train.teachers and train.teacher_width != 1 and kind not in HAVE_FILTERS:
        yield (
            f"train.teacher_width: expected 1.0 for network.kind {kind!r}, which has no filters, "
            f"got {train.teacher_width:g}; of {', '.join(HAVE_FILTERS)} teachers can be wider"
        )


def _labels(recipe: Recipe) -> Iterator[str]:
    """Classes or labels; of a regression the names of its targets."""
    labels, least = recipe.dataset.labels, 1 if recipe.task == "multilabel" else 2
    if recipe.task == "regression":
        if recipe.regression is not None and labels != recipe.regression.targets:
            yield (
                "dataset.labels: expected regression.targets for the task 'regression', got "
                f"{list(labels)}; remove it"
            )
    elif len(labels) < least or len(set(labels)) < len(labels):
        count = {1: "labels, each once", 2: "at least two different labels"}[least]
        yield f"dataset.labels: expected {count}, got {list(labels)}"


def target_problems(names: tuple[str, ...]) -> Iterator[str]:
    """Of regression.targets."""
    if not 1 <= len(names) <= MAX_TARGETS or len(set(names)) < len(names) or not all(names):
        yield (
            f"regression.targets: expected 1 to {MAX_TARGETS} names, each once, got {list(names)}"
        )


def separator_problems(separator: str) -> Iterator[str]:
    """Of multilabel.separator."""
    if len(separator) != 1:
        yield f"multilabel.separator: expected one character, got {separator!r}"


def _regression(config: RegressionConfig) -> Iterator[str]:
    """Each target has a unit and, if there are any, a limit."""
    names = config.targets
    yield from target_problems(names)
    for key in ("units", "max_mae"):
        got = len(getattr(config, key))
        if got != len(names) and (key == "units" or got):
            yield (
                f"regression.{key}: expected {len(names)} values, one for each of "
                f"regression.targets; got {got}"
            )
    if config.of_window not in ("mean", "last"):
        yield f"regression.of_window: unknown kind {config.of_window!r}; known: mean, last"


def _choice(quantisation: QuantConfig) -> Iterator[str]:
    if quantisation.choice not in CHOICES:
        yield (f"quantisation.choice: unknown {quantisation.choice!r}; known: {', '.join(CHOICES)}")
    if quantisation.choice == "qat" and not quantisation.qat_steps:
        yield ("quantisation.choice is 'qat', so quantisation.qat_steps must be at least 1, got 0")


def _search(recipe: Recipe, config: SearchConfig) -> Iterator[str]:
    """Each key is a number that this recipe has, each value one that it can be."""
    for key, values in config.vary.items():
        own: Any = recipe
        for part in key.split("."):
            own = own.get(part) if isinstance(own, dict) else getattr(own, part, None)
        if not key.startswith(SEARCHED) or key in NOT_SEARCHED or type(own) not in (int, float):
            yield (
                f"search.vary: expected numbers that the recipe has in {', '.join(SEARCHED)} "
                f"without {' and '.join(NOT_SEARCHED)}, got {key!r}"
            )
            continue
        if not values or len(set(values)) < len(values):
            yield f"search.vary: {key}: expected values, each once, got {list(values)}"
        for value in values:
            nested: Any = value
            for part in reversed(key.split(".")):
                nested = {part: nested}
            found: list[str] = []
            accept(Recipe, nested, found)
            yield from (f"search.vary: {problem}" for problem in found)


def _augment(augment: AugmentConfig, channels: int) -> Iterator[str]:
    """What does not fit the channels is refused, not ignored."""
    if augment.kind not in ("inertial", "signal"):
        yield f"augment.kind: unknown kind {augment.kind!r}; known: inertial, signal"
    if augment.kind == "inertial" and channels != 6:
        yield (
            f"augment.kind: 'inertial' needs 6 channels, accelerometer x, y, z and "
            f"gyroscope x, y, z; got {channels}; use 'signal'"
        )
    if augment.kind == "signal" and (augment.mirror or augment.rotation_degrees):
        yield (
            "augment: mirror and rotation_degrees are for the kind 'inertial'; set "
            "mirror = false and rotation_degrees = 0.0"
        )
    for key in ("tilt", "room"):
        if augment.kind == "inertial" and (value := getattr(augment, key)):
            yield f"augment.{key}: expected 0 for the kind 'inertial', got {value:g}; use 'signal'"


def _background(augment: AugmentConfig, source: str) -> Iterator[str]:
    if augment.background and source not in FOLDERS:
        yield (
            f"augment.background: is of the sources {', '.join(FOLDERS)}, dataset.source is "
            f"{source!r}; remove it"
        )
    levels = augment.background_snr_db
    if len(levels) != 2 or levels[0] > levels[1]:
        yield (
            f"augment.background_snr_db: expected the lowest and the highest, as [5, 25], got "
            f"{list(levels)}"
        )


def _speech(recipe: Recipe) -> Iterator[str]:
    if (speech := recipe.augment.speech) is None:
        return
    where, channels = "augment.speech", len(recipe.dataset.channels)
    if recipe.task != "classification" or channels != 1:
        yield (
            f"{where}: is for the task 'classification' and one channel, of sound; got the task "
            f"{recipe.task!r} and {channels}; remove the table"
        )
    if not speech.words:
        yield f"{where}.words: expected a text for some classes, got none; remove the table"
    if unknown := sorted(set(speech.words) - set(recipe.dataset.labels)):
        yield (
            f"{where}.words: {unknown[0]!r} is no class; expected some of "
            f"{list(recipe.dataset.labels)}"
        )
    if empty := [label for label, text in speech.words.items() if not text.strip()]:
        yield f"{where}.words: {empty[0]!r}: expected a text, got none; remove the key"
    if not speech.languages:
        yield f'{where}.languages: expected at least one, as "en-us", got none'
    for key in ("languages", "accents"):
        for name in getattr(speech, key):
            if re.fullmatch(r"[A-Za-z0-9-]{1,40}", name) is None:
                yield f"{where}.{key}: expected eSpeak's names, as 'en-gb-scotland', got {name!r}"


def _source(dataset: DatasetConfig) -> Iterator[str]:
    """The table of the source, where it needs one, and no other source's."""
    if dataset.resample is not None and dataset.resample.method not in METHODS:
        yield (
            f"dataset.resample.method: unknown method {dataset.resample.method!r}; known: "
            f"{', '.join(METHODS)}"
        )
    if dataset.csv_folder is not None and dataset.csv_folder.time_unit not in UNITS_OF_TIME:
        yield (
            f"dataset.csv_folder.time_unit: unknown unit {dataset.csv_folder.time_unit!r}; known: "
            f"{', '.join(UNITS_OF_TIME)}"
        )
    for name in SOURCE_TABLES:
        table = getattr(dataset, name)
        if table is None and name == dataset.source:
            yield f"dataset: missing table [dataset.{name}] of the source"
        if table is not None and name != dataset.source:
            yield (
                f"[dataset.{name}] belongs to the source {name!r}, dataset.source is "
                f"{dataset.source!r}; remove the table or change the source"
            )
