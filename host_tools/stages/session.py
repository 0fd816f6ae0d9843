"""Bring a folder of results up to date, tell what is done and why, and record the experiment."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from host_tools.stages.engine import Stage, plan, update
from host_tools.stages.graph import Source
from host_tools.stages.lock import locked
from model.recording import record
from model.results import EXPERIMENT
from model.tracking import begin, generated_settings, load, start

REASONS = 3  # that are printed before a stage runs


def show_plan(stages: Sequence[Stage], *, why: bool) -> None:
    """Print what would run; with `why` everything that differs."""
    plans = plan(stages)
    if not plans:
        print("everything is up to date")
    for item in plans:
        if not item.reasons:
            print(f"{item.stage.name}: may run, after {', '.join(item.after)}")
        elif why:
            print("\n  ".join([f"{item.stage.name}:", *item.reasons]))
        else:
            print(f"{item.stage.name}: would run")


def announce(stage: Stage, reasons: Sequence[str]) -> None:
    """One line, before a stage runs."""
    told = "; ".join(reasons[:REASONS])
    more = f"; and {len(reasons) - REASONS} more (--why)" if len(reasons) > REASONS else ""
    print(f"[{stage.name}] runs: {told}{more}", file=sys.stderr, flush=True)


@contextmanager
def up_to_date(source: Source, stages: Sequence[Stage], *, force: str = "") -> Iterator[None]:
    """The folder's lock, with `stages` up to date in it; recorded at the end, failed or not."""
    with locked(source.folder):
        try:
            update(stages, announce, force)
            source.remember()
            yield
        finally:
            _begin_experiment(source)
            record(source.folder)


def _begin_experiment(source: Source) -> None:
    """Code generated with other settings than the experiment's begins one: no training did."""
    if source.recipe is None or not (source.folder / EXPERIMENT).is_file():
        return
    settings = json.loads(json.dumps(source.recipe.as_dict()))
    if load(source.folder)["settings"] != settings == generated_settings(source.folder):
        start(source.folder, begin(source.name, settings))


def make(
    source: Source, stages: Sequence[Stage], *, dry_run: bool, why: bool, force: str = ""
) -> None:
    """Bring stages up to date, or only print what would run."""
    if dry_run or why:
        show_plan(stages, why=why)
        return
    with up_to_date(source, stages, force=force):
        pass
