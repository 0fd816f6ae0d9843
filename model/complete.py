"""What a recipe leaves out, from its other keys and its data: a rule a key, in their order.

A rule that looks at the data gives the same for the same data and keys; the lock file beside the
recipe keeps its value, so that nothing is looked up twice (model/recipe_file.py).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from model.datasets.lists import choose_groups
from model.draft import AUDIO, Draft, Rule
from model.errors import ConfigError
from model.feature_rules import FEATURE_RULES
from model.network_config import KINDS
from model.recipe_rules import SOURCE_TABLES

MAX_LISTED = 100  # groups that are named; of more val_share and test_share are taken
HELD_SHARE = 0.1  # that each of these is then
FROZEN_SECONDS = 0.5


def _source(draft: Draft) -> str:
    tables = [name for name in SOURCE_TABLES if draft.get(f"dataset.{name}") is not None]
    if len(tables) != 1:
        raise ConfigError(
            f"dataset.source: expected it, or one table of a source; got the tables {tables}"
        )
    return tables[0]


def _from_data(name: str) -> Callable[[Draft], Any]:
    return lambda draft: getattr(draft.dataset, name)


def _units(draft: Draft) -> tuple[str, ...]:
    return draft.dataset.units or ("?",) * len(draft["dataset.channels"])


def _groups(key: str) -> Callable[[Draft], tuple[int | str, ...]]:
    def choose(draft: Draft) -> tuple[int | str, ...]:
        taken = {*draft.get("dataset.val_groups", ()), *draft.get("dataset.test_groups", ())}
        if len({r.group for r in draft.dataset.recordings}) > MAX_LISTED and not taken:
            return ()
        return choose_groups(draft.dataset, taken, f"dataset.{key}")

    return choose


def _names_groups(draft: Draft) -> bool:
    """No other way to hold out groups is in the recipe."""
    others = ("val_list", "test_list", "val_share", "test_share")
    return not any(draft.get(f"dataset.{key}") for key in others)


def _takes_shares(draft: Draft) -> bool:
    """The rules for names have found too many."""
    return all(draft.get(f"dataset.{split}_groups") == () for split in ("val", "test"))


def _limit(value: float) -> float:
    """The smallest of 1, 2, 5, 10, ... (and their parts) that leaves a tenth above `value`."""
    if value <= 0:
        return 1.0
    decade = 10.0 ** math.floor(math.log10(1.1 * value))
    return float(next(f"{m * decade:.6g}" for m in (1, 2, 5, 10) if m * decade >= 1.1 * value))


def _maximum(draft: Draft) -> tuple[float, ...]:
    if draft["dataset.source"] == AUDIO:
        return (1.0,) * len(draft["dataset.channels"])
    low, high = draft.limits
    return tuple(_limit(max(abs(a), abs(b))) for a, b in zip(low, high, strict=True))


def _minimum(draft: Draft) -> tuple[float, ...]:
    low, _ = draft.limits
    positive = bool((low >= 0).all())
    return tuple(0.0 if positive else -value for value in draft["checks.maximum"])


def _max_step(draft: Draft) -> tuple[float, ...]:
    pairs = zip(draft["checks.minimum"], draft["checks.maximum"], strict=False)
    return tuple(high - low for low, high in pairs)


def _network_kind(draft: Draft) -> str:
    if draft["task"] == "anomaly":
        return "autoencoder"
    return "dscnn" if draft["features.kind"] == "logmel" else "cnn1d"


def _is_of(kind: str) -> Callable[[Draft], bool]:
    return lambda draft: draft.get("network.kind") == kind


def _defaults(table: type[Any]) -> Callable[[Draft], dict[str, Any]]:
    return lambda draft: dataclasses.asdict(table())


def _classifies(draft: Draft) -> bool:
    return bool(draft["task"] == "classification")


def _is_csv(draft: Draft) -> bool:
    return draft.get("dataset.csv_folder") is not None


def _columns(name: str) -> Callable[[Draft], Any]:
    return lambda draft: getattr(draft.csv_columns, name)


def _label_column(draft: Draft) -> str:
    pattern: str = draft["dataset.csv_folder.pattern"]
    return "" if "(?P<label>" in pattern else draft.csv_columns.label


RULES: dict[str, Rule] = {
    "title": Rule(text="the recipe's name", value=lambda d: d["name"]),
    "task": Rule(text="'classification'", value=lambda d: "classification"),
    "dataset.source": Rule(text="the one whose table there is", value=_source),
    "dataset.csv_folder.time_column": Rule(
        text="one that is called so: time, timestamp, t, ms, ...",
        value=_columns("time"),
        when=_is_csv,
        data=True,
    ),
    "dataset.csv_folder.label_column": Rule(
        text="one that is called so: label, class, activity, ...; none where pattern has a label",
        value=_label_column,
        when=_is_csv,
        data=True,
    ),
    "dataset.csv_folder.time_unit": Rule(
        text="by the column's name, else by the rate, else the largest that gives at least 1 Hz",
        value=_columns("time_unit"),
        when=_is_csv,
        data=True,
    ),
    "dataset.channels": Rule(
        text="all that the files have", value=_from_data("channels"), data=True
    ),
    "dataset.sample_rate_hz": Rule(
        text="as the files say", value=_from_data("sample_rate_hz"), data=True
    ),
    "dataset.units": Rule(text="as the files say, else '?'", value=_units, data=True),
    "dataset.labels": Rule(
        text="all that occur, sorted; of a regression its targets",
        value=lambda d: d.source.labels,
        data=True,
    ),
    "dataset.test_groups": Rule(
        text="a fifth of the groups, the last by name that leave every class to train on; none of "
        f"more than {MAX_LISTED} groups, and with lists or shares",
        value=_groups("test_groups"),
        when=_names_groups,
        data=True,
    ),
    "dataset.val_groups": Rule(
        text="another fifth, chosen in the same way",
        value=_groups("val_groups"),
        when=_names_groups,
        data=True,
    ),
    **{
        f"dataset.{split}_share": Rule(
            text=f"{HELD_SHARE:g} of more than {MAX_LISTED} groups, unless some are named",
            value=lambda d: HELD_SHARE,
            when=_takes_shares,
        )
        for split in ("test", "val")
    },
    "checks.maximum": Rule(
        text="1 for audio; else 1, 2, 5, 10, ... above the largest amount",
        value=_maximum,
        data=True,
    ),
    "checks.minimum": Rule(
        text="0 where no value of any channel is below it, else -maximum", value=_minimum, data=True
    ),
    "checks.max_step": Rule(text="maximum - minimum: no limit", value=_max_step),
    "checks.max_frozen_samples": Rule(
        text=f"those of {FROZEN_SECONDS:g} s, at least 5; for audio those of 30 s",
        value=lambda d: max(
            5,
            round(
                (30 if d["dataset.source"] == AUDIO else FROZEN_SECONDS)
                * d["dataset.sample_rate_hz"]
            ),
        ),
    ),
    **FEATURE_RULES,
    "network.kind": Rule(
        text="'autoencoder' for anomalies, 'dscnn' for logmel, else 'cnn1d'", value=_network_kind
    ),
    **{
        f"network.{kind}": Rule(text="its defaults", value=_defaults(table), when=_is_of(kind))
        for kind, table in KINDS.items()
    },
    "augment.noise": Rule(text="none", value=lambda d: (0.0,) * len(d["dataset.channels"])),
    "train.label_smoothing": Rule(
        text="0.05 for classes, else 0",
        value=lambda d: 0.05 if _classifies(d) else 0.0,
    ),
    "quantisation": Rule(text="its defaults", value=lambda d: {}),
}


def complete(
    draft: Draft, kept: dict[str, Any], problems: list[str], *, allow_data: bool
) -> dict[str, Any] | None:
    """Give a draft every rule's value; returns those that came from the data.

    `kept` has values of an earlier look at the same data. None when a rule fails, which goes to
    `problems`, and when one needs the data without `allow_data`.
    """
    found: dict[str, Any] = {}
    for path, rule in RULES.items():
        if draft.get(path) is not None or not rule.when(draft):
            continue
        if rule.data and path in kept:
            value = kept[path]
        elif rule.data and not allow_data:
            return None
        else:
            try:
                value = rule.value(draft)
            except ConfigError as error:
                problems.append(str(error))
                return None
        draft.set(path, value)
        if rule.data:
            found[path] = value
    return found
