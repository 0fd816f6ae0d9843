"""What is measured now, out of the results of a project, with what each figure is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from host_tools.boards.board import load_board
from host_tools.build.tools import compiler_version
from host_tools.gate.baseline import Group
from host_tools.report.collect import INCOMPLETE, NOT_RUN, STALE, collect, most_compared, runs_on
from host_tools.report.results import right_shape
from model.evaluate import headline

JsonObject = dict[str, Any]

NETWORK = "network"  # the group of what has no board
COUNTED = ("instructions", "cycles")  # units that a gate can hold; nanoseconds here vary
SIZES = {"flash": "flash_bytes", "code": "code_bytes", "constants": "weight_bytes",
         "ram": "ram_bytes", "arena": "arena_bytes"}  # fmt: skip


def measured(out_dir: Path, boards: Iterable[str]) -> dict[str, Group]:
    """Place -> its figures; a place that has not been measured with this model is left out.

    Raises UsageError where nothing has been run, or a result file is damaged.
    """
    with right_shape(out_dir):
        return figures_of(collect(out_dir), boards)


def figures_of(content: JsonObject, boards: Iterable[str]) -> dict[str, Group]:
    """The same of what a report is made of."""
    every = {**content["boards"], **content["interpreted"]}
    groups: dict[str, Group] = {}
    if network := _network(content):
        groups[NETWORK] = network
    for name in dict.fromkeys(boards):
        if name in every and (group := _board(content, name, every[name])):
            groups[name] = group
    return groups


def _network(content: JsonObject) -> Group | None:
    """The scores of the networks on the test split; of a model made elsewhere, with labels."""
    manifest, train, quantised = (content[k] for k in ("manifest", "train", "quantize"))
    if manifest is None:
        return None
    figures, score = {}, None
    if train and quantised:
        found = headline(train["metrics"]["test"])
        int8 = quantised["candidates"][quantised["chosen"]]["test"]
        figures = {"float_score": found.value, "score": headline(int8).value}
        score = found.name
    else:
        told = [b["parity"]["accuracy"] for b in content["boards"].values() if _counts(b)]
        if labelled := [found for found in told if found and found["cases"]]:
            best = max(labelled, key=lambda found: int(found["cases"]))
            figures, score = {"score": best["correct"] / best["cases"]}, "accuracy"
    if (compared := most_compared(content)) and compared["equal_decisions"] is not None:
        figures["as_float"] = compared["equal_decisions"] / compared["cases"]
    return Group(model_sha256=manifest["model_sha256"], score=score, figures=figures)


def _counts(board: JsonObject) -> bool:
    """Whether the board's parity is of this model and this image, and of all cases."""
    return bool(board["parity"]) and board["state"] not in (STALE, NOT_RUN, INCOMPLETE)


def _board(content: JsonObject, name: str, board: JsonObject) -> Group | None:
    if not _counts(board):
        return None
    parity, size = board["parity"], board["size"]
    figures = dict(_figures(board))
    drift = content["drift"]
    if drift and drift["board"] == parity["board"]:
        figures["drift_alarms"] = float(sum(bool(row["alarm"]) for row in drift["rows"]))
        if drift["measured"] is not None:
            figures["drift_false_alarms"] = drift["measured"]
    return Group(
        model_sha256=parity["model_sha256"],
        run_id=parity["run_id"],
        board=parity["board"],
        where=runs_on(parity),
        kernels=parity.get("kernels"),
        framework=parity.get("framework"),
        engine=parity.get("engine"),
        compiler=compiler_version(load_board(parity["board"])) if size else None,
        figures=figures,
    )


def _figures(board: JsonObject) -> Iterator[tuple[str, float]]:
    parity, bench, size, features = (board[k] for k in ("parity", "bench", "size", "features"))
    failures = parity["selftest"]["failures"]
    yield "unequal", float(parity["cases"] - parity["equal"] + failures)
    if features:
        yield "feature_lsb", float(features["max_difference"])
    if bench and bench["unit"] in COUNTED:
        yield bench["unit"], float(bench["counts"])
        if bench["stack_bytes"]:
            yield "stack", float(bench["stack_bytes"])
    if size:
        yield from ((measure, float(size[key])) for measure, key in SIZES.items())
