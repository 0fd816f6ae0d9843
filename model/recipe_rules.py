"""What must hold between the keys of a recipe: every problem at once, in words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from model.network_config import HAVE_FILTERS, OWN, kind_problems
from model.recipe import AugmentConfig, DatasetConfig, QuantConfig, Recipe

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")  # of a folder in build/
CHOICES = ("validation", "ptq", "qat")
TASKS = ("classification", "anomaly")
METHODS = ("linear", "nearest", "previous")  # of [dataset.resample]
UNITS_OF_TIME = ("s", "ms", "us", "ns", "iso8601")
# sources that have a table of their own in [dataset]
SOURCE_TABLES = sorted(
    f.name
    for f in dataclasses.fields(DatasetConfig)
    if f.default is None and f.name not in ("merge", "resample")
)
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
    yield from _source(recipe.dataset)
    yield from _choice(recipe.quantisation)
    yield from _augment(recipe.augment, len(recipe.dataset.channels))
    if recipe.augment.vocal_tract > 1 and recipe.features.kind != "logmel":
        yield (
            f"augment.vocal_tract: expected 1.0 for features.kind {recipe.features.kind!r}, got "
            f"{recipe.augment.vocal_tract:g}: it stretches the frequencies of 'logmel'"
        )
    yield from _background(recipe.augment, recipe.dataset.source)
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
    anomaly, floor = recipe.task == "anomaly", recipe.train.min_balanced_accuracy
    for wrong, expected in (
        (recipe.network.kind not in OWN and anomaly != (recipe.network.kind == "autoencoder"),
         "network.kind 'autoencoder' and task 'anomaly' belong together"),
        (anomaly != (recipe.anomaly is not None), "a table [anomaly] for the task 'anomaly' only"),
        (anomaly and floor is not None, "train.min_balanced_accuracy for the task "
         "'classification' only; the floor of 'anomaly' is anomaly.min_auc"),
        (anomaly and recipe.train.label_smoothing, "train.label_smoothing = 0.0: a reconstruction "
         "has no labels"),
        (anomaly and recipe.augment.mixup, "augment.mixup = 0.0: a mixture of normal inputs need "
         "not be normal"),
        (anomaly and recipe.train.teachers, "train.teachers = 0: a reconstruction is learnt from "
         "the input"),
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


def _choice(quantisation: QuantConfig) -> Iterator[str]:
    if quantisation.choice not in CHOICES:
        yield (f"quantisation.choice: unknown {quantisation.choice!r}; known: {', '.join(CHOICES)}")
    if quantisation.choice == "qat" and not quantisation.qat_steps:
        yield ("quantisation.choice is 'qat', so quantisation.qat_steps must be at least 1, got 0")


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
    if augment.kind == "inertial" and augment.tilt:
        yield (
            f"augment.tilt: expected 0 for the kind 'inertial', got {augment.tilt:g}; use 'signal'"
        )


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
    if len(dataset.labels) < 2 or len(set(dataset.labels)) < len(dataset.labels):
        yield (
            f"dataset.labels: expected at least two different labels, got {list(dataset.labels)}"
        )
