"""How often a reading alarms without a reason, and after how many windows with one."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from host_tools.boards.board import Board, load_board
from host_tools.drift.compare import counts_of, feed
from host_tools.drift.data import NONE, changes, held_out_inputs
from host_tools.drift.statistics import (
    ALPHA,
    CONFIDENCE,
    Counts,
    Usual,
    count_recordings,
    draw_mixed,
    draw_streams,
    judge,
    learn_usual,
    psi_of,
    rate_bound,
    row_names,
)
from host_tools.errors import HostToolsError, UsageError
from host_tools.link.target import Target, check_identity, choose_target, open_device
from host_tools.report.results import read_manifest
from model.datasets import load_dataset
from model.files import write_json
from model.recipe import Recipe
from model.recipe_file import recipe_of
from quantize.drift import (
    Bytes,
    CountedRecording,
    Profile,
    answers,
    load_profile,
    make_plan,
    recording_inputs,
)
from quantize.tflite.reader import parse_model
from tests.studies.drift_classes import firmware_without

LENGTHS = (16, 32, 64, 96, 128, 192, 256, 384, 512)  # windows of a reading
STARTS = 200  # streams of each group, length and change
SHARES = {1.0: "alone", 0.5: "1 in 2", 0.25: "1 in 4"}  # of a reading's windows: the new class
NAIVE_STARTS = 20
ON_BOARD = 64  # windows of each change that run on the board
SEED = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Windows:
    """The windows of one recording."""

    group: str
    label: int
    inputs: Bytes
    outputs: Bytes


Shares = npt.NDArray[np.float64]
Draw = Callable[[str, int], Counts]  # group, windows of a reading -> STARTS readings


def run_study(
    recipe: Recipe, out_dir: Path, board: Board, target: Target, *, new_classes: bool
) -> dict[str, Any]:
    """Measure both for `recipe`, whose results are in `out_dir`, on a built board.

    False alarms are counted on each group of the data in turn, with a profile (edges, counts and
    what is usual) of the others. Changes are made to the held-out groups. With `new_classes` a
    network is trained without each class in turn, for which that class is new. Some windows of each
    run on the board, whose counts must be the host's: HostToolsError when they are not. UsageError
    for new classes of a recipe that has less than three or another task.
    """
    labels = load_dataset(recipe.dataset).labels
    if new_classes and (recipe.task != "classification" or len(labels) < 3):
        raise UsageError(
            f"{recipe.name}: --new-classes: expected a classification of at least three classes, "
            f"got the task {recipe.task!r} with {len(labels)} classes"
        )
    model = (out_dir / "model.tflite").read_bytes()
    profile = load_profile(out_dir / "profile.json")
    usual = {length: learn_usual(profile, length) for length in LENGTHS}
    changed = {name: _held_out(recipe, model, name) for name in changes(recipe)}
    result: dict[str, Any] = {
        "model_sha256": profile.model_sha256,
        "alpha": ALPHA,
        "confidence": CONFIDENCE,
        "lengths": list(LENGTHS),
        "starts": STARTS,
        "groups": len({r.group for r in profile.recordings}),
        "tests": list(row_names(profile.plan)),
        "false_alarms": _false_alarms(recipe, model),
        "changes": [_changed(n, profile, usual, windows) for n, windows in changed.items()],
        "new_classes": [],
        "board": {
            "board": board.id,
            "target": target.name,
            "windows": _on_board(out_dir, board, target, profile, changed),
        },
    }
    if new_classes:
        result["new_classes"], counted = _new_classes(recipe, labels, out_dir, board, target)
        result["board"]["windows"] += counted
    write_json(out_dir / "drift_study.json", result)
    return result


def print_study(study: dict[str, Any]) -> None:
    """Both tables; a share is one of readings that alarm."""
    lengths = [str(length) for length in study["lengths"]]
    table = Table("change", "accuracy", "caught after", "most often by", *lengths)
    for row in (*study["changes"], *study["new_classes"]):
        accuracy = "" if row["accuracy"] is None else f"{row['accuracy']:.0%}"
        caught = "" if row["caught"] is None else str(row["caught"])
        shares = [f"{share:.0%}" for share in row["shares"]]
        table.add_row(row["change"], accuracy, caught, row["most_often"] or "", *shares)
    at_most = f"at most, {study['confidence']:.0%} sure"
    for title, key in (
        ("false alarms", "share"),
        (at_most, "at_most"),
        ("if independent", "naive_share"),
    ):
        table.add_row(title, "", "", "", *(f"{row[key]:.1%}" for row in study["false_alarms"]))
    console = Console()
    Console(width=console.width if console.is_terminal else 150).print(table)
    board = study["board"]
    print(
        f"Columns: windows of a reading, {study['starts']} starts for each group. False alarms: "
        f"every group against a profile of the others, asked for {study['alpha']:.0%}. "
        f"{board['board']}: counts of {board['windows']} windows equal the host's."
    )


def _count(profile: Profile, windows: Sequence[_Windows]) -> list[CountedRecording]:
    found = []
    for w in windows:
        codes, classes = profile.plan.count(w.inputs, w.outputs)
        found.append(CountedRecording(group=w.group, codes=codes, classes=classes))
    return found


def _held_out(recipe: Recipe, model: bytes, change: str) -> list[_Windows]:
    return [
        _Windows(group=group, label=label, inputs=inputs, outputs=answers(model, inputs))
        for group, label, inputs in held_out_inputs(recipe, model, change)
    ]


def _alarms(profile: Profile, usual: Usual, drawn: Counts) -> tuple[float, list[int]]:
    """(share of readings with an alarm, how often each test alarms)."""
    psi = psi_of(drawn, count_recordings(profile.plan, profile.recordings))
    alarms = usual.p_values(psi) <= ALPHA
    return float(alarms.any(axis=1).mean()), alarms.sum(axis=0).tolist()


def _false_alarms(recipe: Recipe, model: bytes) -> list[dict[str, Any]]:
    """A row for each length, over all groups, each against a profile of the others."""
    dataset, graph = load_dataset(recipe.dataset), parse_model(model)
    windows = [
        _Windows(
            group=str(dataset.group_title(recording.group)),
            label=recording.label,
            inputs=inputs,
            outputs=answers(model, inputs),
        )
        for recording in dataset.recordings
        if len(inputs := recording_inputs(dataset, recipe, model, recording))
    ]
    groups = sorted({w.group for w in windows})
    rng = np.random.default_rng(SEED)
    shares: dict[int, list[float]] = {length: [] for length in LENGTHS}
    naive: dict[int, list[float]] = {length: [] for length in LENGTHS}
    for group in groups:
        others = [w for w in windows if w.group != group]
        sides = (
            np.concatenate([w.inputs for w in others]),
            np.concatenate([w.outputs for w in others]),
        )
        plan = make_plan(recipe, dataset, graph, *sides)
        blank = Profile(plan=plan, model_sha256="", labels=tuple(dataset.labels), recordings=())
        profile = dataclasses.replace(blank, recordings=tuple(_count(blank, others)))
        own = _count(profile, [w for w in windows if w.group == group])
        for length in LENGTHS:
            usual = learn_usual(profile, length)
            drawn = draw_streams(profile.plan, own, length, STARTS, rng)
            shares[length].append(_alarms(profile, usual, drawn)[0])
            naive[length].append(_naive(profile, usual, drawn))
    return [
        {
            "windows": length,
            "share": float(np.mean(shares[length])),
            "at_most": rate_bound(float(np.mean(shares[length])), len(groups)),
            "by_group": dict(zip(groups, shares[length], strict=True)),
            "naive_share": float(np.mean(naive[length])),
        }
        for length in LENGTHS
    ]


def _naive(profile: Profile, usual: Usual, drawn: Counts) -> float:
    """False alarms of G-tests for independent windows, corrected by the number of tests."""
    alarms = 0
    for k in range(NAIVE_STARTS):
        counts = Counts(bins=drawn.bins[k], classes=drawn.classes[k])
        rows = judge(profile, counts, usual).rows
        alarms += min(row.naive_p for row in rows) * len(rows) <= ALPHA
    return alarms / NAIVE_STARTS


def _changed(
    name: str, profile: Profile, usual: dict[int, Usual], windows: Sequence[_Windows]
) -> dict[str, Any]:
    """The row of a change made to all windows."""
    recordings = _count(profile, windows)
    rng = np.random.default_rng(SEED)

    def draw(group: str, length: int) -> Counts:
        own = [r for r in recordings if r.group == group]
        return draw_streams(profile.plan, own, length, STARTS, rng)

    right = [r.classes == w.label for r, w in zip(recordings, windows, strict=True)]
    accuracy = float(np.concatenate(right).mean()) if profile.plan.classes > 1 else None
    found = _detection(profile, usual, sorted({w.group for w in windows}), draw)
    return _row(name, profile, [found]) | {"accuracy": accuracy}


def _detection(
    profile: Profile, usual: dict[int, Usual], groups: Sequence[str], draw: Draw
) -> tuple[Shares, Shares]:
    """(share of readings of each length that alarm, how often each test does at the last)."""
    shares, often = [], np.zeros(0)
    for length in LENGTHS:
        found = [_alarms(profile, usual[length], draw(group, length)) for group in groups]
        shares.append(float(np.mean([share for share, _ in found])))
        often = np.sum([by_test for _, by_test in found], axis=0, dtype=float)
    return np.array(shares), often


def _row(name: str, profile: Profile, found: Sequence[tuple[Shares, Shares]]) -> dict[str, Any]:
    """The mean of detections; `caught` is the first length at which half of the readings alarm."""
    shares = np.mean([shares for shares, _ in found], axis=0).tolist()
    often = np.sum([often for _, often in found], axis=0)
    caught = [length for length, share in zip(LENGTHS, shares, strict=True) if share >= 0.5]
    return {
        "change": name,
        "accuracy": None,
        "shares": shares,
        "caught": caught[0] if caught else None,
        "most_often": row_names(profile.plan)[int(np.argmax(often))] if often.any() else None,
    }


def _new_classes(
    recipe: Recipe, labels: Sequence[str], out_dir: Path, board: Board, target: Target
) -> tuple[list[dict[str, Any]], int]:
    """Rows of each class as a new one, alone and among the others; windows that the board counted.

    The last rows say what is not due to newness: a known class in the new one's place, the mean
    over all of them and all networks.
    """
    rows: list[dict[str, Any]] = []
    known: dict[float, list[tuple[Shares, Shares]]] = {share: [] for share in SHARES}
    counted = 0
    for new, label in enumerate(labels):
        folder = firmware_without(recipe, label, out_dir / "new_class" / str(new), board)
        model = (folder / "model.tflite").read_bytes()
        profile = load_profile(folder / "profile.json")
        usual = {length: learn_usual(profile, length) for length in LENGTHS}
        windows = _held_out(recipe, model, NONE)
        name = f"new class {label}"
        fed = {name: [w for w in windows if w.label == new]}
        counted += _on_board(folder, board, target, profile, fed)
        for share, title in SHARES.items():
            for one in range(len(labels)):
                found = _mixed(profile, usual, windows, one, new, share)
                if one == new:
                    rows.append(_row(f"{name}, {title}", profile, [found]))
                else:
                    known[share].append(found)
    rows += [_row(f"a known class, {SHARES[s]}", profile, found) for s, found in known.items()]
    return rows, counted


def _mixed(
    profile: Profile,
    usual: dict[int, Usual],
    windows: Sequence[_Windows],
    one: int,
    new: int,
    share: float,
) -> tuple[Shares, Shares]:
    """The detection of readings with a share of the class `one`; the rest knows no class `new`."""
    rng = np.random.default_rng(SEED)
    first = _count(profile, [w for w in windows if w.label == one])
    rest = _count(profile, [w for w in windows if w.label not in (one, new)])

    def draw(group: str, length: int) -> Counts:
        own, others = ([r for r in side if r.group == group] for side in (first, rest))
        return draw_mixed(profile.plan, own, others, share, length, STARTS, rng)

    return _detection(profile, usual, sorted({w.group for w in windows}), draw)


def _on_board(
    out_dir: Path,
    board: Board,
    target: Target,
    profile: Profile,
    changed: dict[str, list[_Windows]],
) -> int:
    """Run windows of each change on the board, whose counts must be the host's; how many."""
    manifest = read_manifest(board, out_dir)
    total = 0
    with open_device(target, board, out_dir / board.folder) as device:
        check_identity(device, manifest, board)
        for name, windows in changed.items():
            rows = np.concatenate([w.inputs for w in windows])[:ON_BOARD]
            outputs = np.concatenate([w.outputs for w in windows])[:ON_BOARD]
            codes, classes = profile.plan.count(rows, outputs)
            alone = CountedRecording(group="", codes=codes, classes=classes)
            expected = count_recordings(profile.plan, [alone])
            device.drift(reset=True)
            feed(device, rows)
            got = counts_of(device.drift(), profile)
            if not (
                np.array_equal(got.bins, expected.sum(axis=0))
                and np.array_equal(got.classes, expected[:, 0].sum(axis=1))
            ):
                raise HostToolsError(
                    f"board {board.id}, change {name!r}: its counts of {len(rows)} windows differ "
                    "from the host's; build it again, and if that does not help report the model"
                )
            total += len(rows)
    return total


def main() -> None:
    """`python -m tests.studies.drift_study FOLDER BOARD [--new-classes]`, after tinyproof build."""
    out_dir, board = Path(sys.argv[1]), load_board(sys.argv[2])
    manifest = read_manifest(board, out_dir)
    recipe = recipe_of(manifest["settings"], f"{out_dir}: the manifest's settings")
    target = choose_target(board, None, None)
    new_classes = "--new-classes" in sys.argv[3:]
    print_study(run_study(recipe, out_dir, board, target, new_classes=new_classes))


if __name__ == "__main__":
    main()
