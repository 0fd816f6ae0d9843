"""The scores of a report: float, int8, every device and the baselines, by the task's measure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from host_tools.report.collect import STALE, runs_on
from model.evaluate import headline
from quantize.scheme import TITLES

JsonObject = dict[str, Any]
Column = tuple[str, Callable[[JsonObject], str]]  # title, the cell of a row's test metrics
NO_VALUE = "–"


def score_rows(content: JsonObject) -> list[JsonObject]:
    """Float, int8, every device and the baselines, all on the test split."""
    train, quantised = content["train"], content["quantize"]
    rows: list[JsonObject] = []

    def add(kind: str, name: str, metrics: JsonObject | None, **more: Any) -> None:
        rows.append({"kind": kind, "name": name, "test": metrics, "val": None, "note": ""} | more)

    if train:
        metrics = train["metrics"]
        add("model", "float", metrics["test"], val=metrics["val"])
    for key, title in TITLES.items():
        candidate = (quantised or {"candidates": {}})["candidates"].get(key)
        if quantised and candidate:
            note = "chosen" if quantised["chosen"] == key else ""
            add("model", title, candidate["test"], val=candidate["val"], note=note)
    for name, board in content["boards"].items():
        parity = board["parity"]
        if not parity or board["state"] == STALE:
            continue
        if (answers := parity["accuracy"]) and answers["cases"]:
            correct, cases = answers["correct"], answers["cases"]
            note = f"{correct:,} of {cases:,} windows right, on {runs_on(parity)}"
            add("device", name, parity["metrics"], note=note, accuracy=correct / cases, cases=cases)
        elif parity["metrics"]:
            add("device", name, parity["metrics"], note=f"on {runs_on(parity)}")
    baselines = train["baselines"] if train else {}
    for name in sorted(baselines, key=lambda name: -headline(baselines[name]).value):
        add("baseline", name, baselines[name])
    return rows


def int8_metrics(content: JsonObject) -> tuple[str, JsonObject] | None:
    """Those of a device that ran every test case, else of the chosen model, with a title."""
    wide = (content["quantize"] or {}).get("chosen") == "int16"
    for row in score_rows(content):
        if row["kind"] == "device" and row["test"]:
            return f"{TITLES['int16'] if wide else 'int8'} on {row['name']}", row["test"]
    for row in score_rows(content):
        if row["kind"] == "model" and row["note"]:
            return row["name"], row["test"]
    return None


def score_table(content: JsonObject) -> JsonObject | None:
    """Columns and cells of the table of all scores."""
    rows = score_rows(content)
    measured = [row["test"] for row in rows if row["test"]]
    if not rows:
        return None
    columns = list(_columns(measured[0], _units(content))) if measured else []
    measure = headline(measured[0]).name if measured else ""
    return {
        "measure": measure,
        "columns": [f"test, {title}" for title, _ in columns],
        "rows": [
            row
            | {
                "cells": [cell(row["test"]) if row["test"] else NO_VALUE for _, cell in columns],
                "validation": headline(row["val"]).text if row["val"] else NO_VALUE,
            }
            for row in rows
        ],
    }


def _columns(metrics: JsonObject, units: dict[str, str]) -> Iterator[Column]:
    yield headline(metrics).name, lambda m: headline(m).text
    if "mean_r2" in metrics:
        for target, unit in units.items():
            yield f"MAE of {target}, {unit}", functools.partial(_error, "mae", target)
            yield f"RMSE of {target}, {unit}", functools.partial(_error, "rmse", target)
        return
    named = (
        {"average precision": "average_precision", "all labels right": "exact_share"}
        if "macro_f1" in metrics
        else {"accuracy": "accuracy", "G-mean": "g_mean"}
    )
    for title, key in named.items():
        yield title, functools.partial(_share, key)


def _error(key: str, target: str, metrics: JsonObject) -> str:
    return f"{metrics[key][target]:.4g}"


def _share(key: str, metrics: JsonObject) -> str:
    return f"{metrics[key] * 100:.1f} %"


def _units(content: JsonObject) -> dict[str, str]:
    found = content["regression"]
    if not found:
        return {}
    return dict(zip(found["judge"]["targets"], found["judge"]["units"], strict=True))


def target_table(content: JsonObject) -> JsonObject | None:
    """Each number of a regression: errors of int8 and float in units, step, limits."""
    found, int8, train = content["regression"], int8_metrics(content), content["train"]
    if not found or int8 is None or train is None:
        return None
    limits = ((content["manifest"] or {}).get("settings") or {}).get("regression", {})
    judge = found["judge"]
    most = limits.get("max_mae") or [None] * len(judge["targets"])
    return {
        "title": int8[0],
        "min_r2": limits.get("min_r2"),
        "rows": [
            {
                "name": target,
                "unit": judge["units"][i],
                "step": found["steps"][target],
                "mean": judge["mean"][i],
                "deviation": judge["deviation"][i],
                "limit": most[i],
                "int8": {key: int8[1][key][target] for key in ("mae", "rmse", "r2", "largest")},
                "float": {
                    key: train["metrics"]["test"][key][target] for key in ("mae", "rmse", "r2")
                },
            }
            for i, target in enumerate(judge["targets"])
        ],
    }


def label_table(content: JsonObject) -> JsonObject | None:
    """Each label of a multi-label network: how often it is found, and its threshold."""
    found, int8, train = content["multilabel"], int8_metrics(content), content["train"]
    if not found or int8 is None or train is None or content["dataset"] is None:
        return None
    test = content["dataset"]["splits"]["test"]
    keys = ("f1", "precision", "found", "average_precision_by_label")
    return {
        "title": int8[0],
        "windows": test["windows"],
        "rows": [
            {
                "name": label,
                "windows": test["per_class"][i],
                "threshold": found["thresholds"][label],
                "output": found["judge"]["thresholds"][i],
                "int8": [int8[1][key][label] for key in keys],
                "float": [train["metrics"]["test"][key][label] for key in keys],
            }
            for i, label in enumerate(found["judge"]["labels"])
        ],
    }


def width_table(content: JsonObject) -> list[JsonObject]:
    """Activations of int8 and int16 beside each other, where quantisation tried both.

    Accuracy, and for each board that measured both: bytes of constants and arena, and the count.
    """
    quantised = content["quantize"] or {}
    other = quantised.get("alternative")
    if not other:
        return []
    rows = []
    for key in (quantised["chosen"], other):
        candidate = quantised["candidates"][key]
        costs = [
            {"board": name, **board["bench" if key == quantised["chosen"] else "alternative"]}
            for name, board in content["boards"].items()
            if board["bench"]
            and board["alternative"]
            and board["alternative"]["model_sha256"] == quantised["candidates"][other]["sha256"]
        ]
        rows.append(
            {
                "name": TITLES[key],
                "chosen": key == quantised["chosen"],
                "val": headline(candidate["val"]).text,
                "test": headline(candidate["test"]).text,
                "costs": costs,
            }
        )
    return rows
