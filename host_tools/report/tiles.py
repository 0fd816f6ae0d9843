"""The few numbers of a report to see first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from host_tools.report.chips import chip_fits, chip_times
from host_tools.report.collect import EQUAL, make_variable, most_compared
from host_tools.report.scores import int8_metrics, score_rows, target_table
from host_tools.report.text import format_bytes, format_percent, spaced
from model.evaluate import headline
from model.text import counted

JsonObject = dict[str, Any]
Tile = tuple[str, str, str]  # value, what it is, detail

TARGETS = 2  # numbers of a regression that have a tile


def tiles(content: JsonObject) -> Iterator[Tile]:
    """How good, how fast, does it fit; then what is proved of it."""
    yield from _scores(content)
    if content["manifest"]:
        yield from chip_times(content)
        yield from chip_fits(content)
    equal = [b["parity"] for b in content["boards"].values() if b["state"] == EQUAL]
    if equal:
        cases = sum(parity["cases"] for parity in equal)
        yield f"{cases:,}", "inferences equal in every byte", counted(len(equal), "target")
    if (compared := most_compared(content)) and compared["equal_decisions"] is not None:
        share = compared["equal_decisions"] / compared["cases"]
        yield format_percent(share), "decisions as float", f"{compared['cases']:,} cases"
    if manifest := content["manifest"]:
        yield format_bytes(manifest["weight_bytes"]), "weights", f"{manifest['macs']:,} MACs"
        bound = format_bytes(manifest["arena_lower_bound"])
        yield format_bytes(manifest["arena_bytes"]), "arena", f"lower bound {bound}"


def _scores(content: JsonObject) -> Iterator[Tile]:
    """The task's measure of int8, of which data; errors in units where numbers are told."""
    if (int8 := int8_metrics(content)) is None or content["dataset"] is None:
        yield from _answers(content)
        return
    title, metrics = int8
    test = content["dataset"]["splits"]["test"]
    groups = counted(len(test["groups"]), "held-out group")
    data = f"{test['windows']:,} windows of {groups}"
    if table := target_table(content):
        for row in table["rows"][:TARGETS]:
            value = spaced(f"{row['int8']['mae']:.3g} {row['unit']}")
            detail = f"R2 {row['int8']['r2']:.3f}; float {row['float']['mae']:.3g}; {data}"
            yield value, f"mean absolute error of {row['name']}, {title}", detail
        return
    score, train = headline(metrics), content["train"]
    detail = f"float {spaced(headline(train['metrics']['test']).text)}; {data}" if train else data
    if "auc" in metrics:
        alarms = format_percent(metrics["false_alarm_rate"])
        detail = f"AUC {metrics['auc']:.3f}, false alarms {alarms}; {detail}"
    yield spaced(score.text), f"{score.name}, {title}", detail


def _answers(content: JsonObject) -> Iterator[Tile]:
    """Of a model made elsewhere: how many of its labelled inputs a board decides right."""
    rows = [row for row in score_rows(content) if "accuracy" in row]
    if rows:
        best = max(rows, key=lambda row: int(row["cases"]))
        data = f"{best['cases']:,} inputs with labels"
        yield format_percent(best["accuracy"]), f"accuracy, int8 on {best['name']}", data
    elif content["manifest"] and not content["dataset"]:
        how = f"make parity {make_variable(content)} INPUTS=<.npz>"
        yield "–", "accuracy", f"not known: `{how}` with an array labels"
