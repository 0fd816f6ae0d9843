"""Read what a board has counted of its inputs and compare it with the recipe's profile."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO

import numpy as np
from rich.table import Table

from host_tools.boards.board import Board
from host_tools.drift.data import held_out_inputs
from host_tools.drift.statistics import MIN_WINDOWS, Counts, Verdict, judge, learn_usual
from host_tools.errors import DeviceError, UsageError
from host_tools.fleet.reading import reading_line
from host_tools.link.device import Device
from host_tools.link.protocol import DriftCounts
from host_tools.link.target import Target, check_identity, open_device
from host_tools.report.results import read_manifest, read_result
from host_tools.terminal import plain, wide_console
from model.files import write_json
from model.recipe import Recipe
from model.recipe_file import recipe_of
from quantize.drift import BINS, Bytes, Profile, load_profile

DEFAULT_WINDOWS = 256  # that an emulated board is fed with


def run_drift(
    out_dir: Path, board: Board, target: Target, *, windows: int | None, change: str, reset: bool
) -> Verdict:
    """Read a board's counts, judge them, write drift.json, the folder's and the board's own.

    A real board is read as it is, and forgets its counts afterwards with `reset`. An emulated one
    is fed with `windows` windows of the first held-out group (None: DEFAULT_WINDOWS, or all), with
    `change` (drift_data) made to them. Raises UsageError when too few windows were counted,
    DeviceError when the firmware is another one or silent.
    """
    profile = load_profile(out_dir / "profile.json")
    manifest = read_manifest(board, out_dir)
    stream: list[Bytes] = []
    if target.port is None:
        if windows is not None and windows < MIN_WINDOWS:
            raise UsageError(f"--cases {windows} (CASES=): expected at least {MIN_WINDOWS} windows")
        recipe = recipe_of(manifest["settings"], f"{out_dir}: the manifest's settings")
        stream = _stream(out_dir, recipe, windows, change)
    with open_device(target, board, out_dir / board.folder) as device:
        check_identity(device, manifest, board)
        if target.port is None:
            device.drift(reset=True)
            feed(device, stream)
        counts = counts_of(device.drift(), profile)
        verdict = judge(profile, counts, learn_usual(profile, int(counts.classes.sum())))
        if reset:
            device.drift(reset=True)
    source = None if target.port else change
    report = {
        **asdict(verdict),
        "alarm": verdict.alarm,
        "board": board.id,
        "target": target.name,
        "fed_with": source,
        "model_sha256": profile.model_sha256,
    }
    for path in (out_dir / board.folder / target.file("drift"), out_dir / "drift.json"):
        write_json(path, report)
    return verdict


def print_verdict(verdict: Verdict, where: str) -> None:
    """The table and one line that sums it up."""
    table = Table("test", "PSI", "usual PSI", "G", "p if independent", "p, all tests", "")
    for row in verdict.rows:
        values = (f"{row.psi:.3f}", f"{row.usual_psi:.3f}", f"{row.g:.1f}", f"{row.naive_p:.1e}")
        table.add_row(plain(row.test), *values, f"{row.p:.4f}", "ALARM" if row.alarm else "")
    wide_console(100).print(table)
    alarms = [row.test for row in verdict.rows if row.alarm]
    print(
        f"{where}: {f'drift in {len(alarms)} of' if alarms else 'no drift in'} "
        f"{len(verdict.rows)} tests over {verdict.windows} windows\n"
        f"false alarms of such a reading, all tests together: asked for {verdict.alpha:.0%}, "
        f"measured {verdict.measured:.1%} on {verdict.groups} groups, each judged by the others; "
        f"on new ones at most {verdict.at_most:.0%}, {verdict.confidence:.0%} sure"
    )


def print_reading(out_dir: Path, device: str | None, where: str, stream: TextIO) -> None:
    """drift.json as a line for tinyproof fleet; without `device` it is this computer's `where`."""
    name = device or f"{socket.gethostname()}:{where}"
    told = read_result(out_dir / "drift.json")
    print(reading_line(told, name, datetime.now(timezone.utc)), file=stream)


def _stream(out_dir: Path, recipe: Recipe, windows: int | None, change: str) -> list[Bytes]:
    """The first `windows` windows of the first held-out group."""
    model = (out_dir / "model.tflite").read_bytes()
    found = list(held_out_inputs(recipe, model, change))
    rows = np.concatenate([inputs for group, _, inputs in found if group == found[0][0]])
    wanted = min(DEFAULT_WINDOWS, len(rows)) if windows is None else windows
    if len(rows) < wanted:
        raise UsageError(
            f"--cases {wanted} (CASES=): the first held-out group has {len(rows)} windows; ask for "
            "at most so many"
        )
    return list(rows[:wanted])


def feed(device: Device, inputs: Iterable[Bytes]) -> None:
    """Run the model once on each window."""
    for row in inputs:
        device.run([row])


def counts_of(read: DriftCounts, profile: Profile) -> Counts:
    """A device's counts as arrays; DeviceError when they are of another profile."""
    plan = profile.plan
    shape = (len(plan.tests), BINS, plan.classes)
    told = (len(read.bins), len(read.bins[0]) if read.bins else 0, len(read.classes))
    if (read.profile, told) != (profile.number, shape):
        raise DeviceError(
            f"the firmware counts against profile {read.profile:08x} with {told} tests, bins and "
            f"classes; profile.json is {profile.number:08x} with {shape}: build and flash again"
        )
    return Counts(bins=np.array(read.bins, np.int64), classes=np.array(read.classes, np.int64))
