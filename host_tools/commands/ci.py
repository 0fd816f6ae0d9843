"""tinyproof ci"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from host_tools.boards.board import BOARDS, load_board
from host_tools.errors import UsageError
from host_tools.gate.baseline import baseline_path, load_baseline
from host_tools.gate.workflow import workflow_text, write_workflow
from host_tools.options import (
    DEFAULT_BOARD,
    FLOAT,
    INPUTS,
    MODEL,
    RECIPE,
    BoardName,
    File,
    SourceName,
    in_project,
    named_once,
    option,
)
from host_tools.project import Import, open_source
from host_tools.stages.graph import Source
from host_tools.wording import as_typed


@click.command(
    help="Write .github/workflows/tinyproof.yml into the project: emulated parity and all gates "
    "against the committed baseline on every push, the report as an artefact, the summary on the "
    "page of the run.",
    short_help="write a GitHub Actions workflow into the project",
)
@click.argument("source", type=SourceName(), required=False)
@RECIPE
@MODEL
@INPUTS
@FLOAT
@option("--baseline", type=File(), help="default: NAME.baseline.json in the project's folder")
@option("--install", metavar="SPEC", help="what pip installs; default: this release of tinyproof")
@option(
    "--board",
    "boards",
    make="BOARD",
    type=BoardName(),
    multiple=True,
    help="whose emulated parity is a step of its own; repeatable; default: those of the baseline",
)
@in_project
def command(
    source: str | None,
    recipe: str | None,
    model: Path | None,
    inputs: Path | None,
    float_model: Path | None,
    baseline: Path | None,
    install: str | None,
    boards: Sequence[str],
) -> None:
    """The file, and what to do next."""
    named = named_once(source, recipe, model)
    found = open_source(named, model, Import(dry=True))
    path = baseline or baseline_path(found.name, imported=found.recipe is None)
    record = f"make gate {found.says} RECORD=1"
    known = load_baseline(path, record) if path.exists() else None
    groups = known.groups if known else {}
    emulated = [name for name in groups if _is_board(name)]
    boards = boards or [name for name in emulated if name in BOARDS] or [DEFAULT_BOARD]
    counted = [name for name in emulated if "drift_alarms" in groups[name].figures]
    text = workflow_text(
        _named(found, named, model),
        path,
        boards,
        recipe=found.recipe is not None,
        drift_board=next(iter(counted), None),
        install=install,
        inputs=inputs,
        float_model=float_model,
    )
    written = write_workflow(text)
    print(f"{written}: emulated parity and gates on every push and pull request")
    if known is None:
        print(as_typed(f"next: `{record}` writes {os.path.relpath(path)}; commit both"))
    elif found.recipe is not None and not counted:
        drift = f"make drift {found.says} BOARD={boards[0]}"
        print(as_typed(f"without drift, which the baseline has not: `{drift}`, then `{record}`"))


def _is_board(place: str) -> bool:
    """Whether a place of a baseline, which anybody may have written, is one that is emulated."""
    try:
        load_board(place)
    except UsageError:
        return False
    return True


def _named(found: Source, source: str | None, model: Path | None) -> str:
    """A recipe's name, or the path of a model's own file: what is imported is not committed."""
    if found.recipe is not None:
        return found.name
    path = model or (Path(source) if source else None)
    if path is None or not path.is_file():
        raise UsageError(
            f"{found.folder}: an imported copy, which nobody commits; name the model's file in the "
            "project's folder, as in make ci MODEL=path/to/model.tflite"
        )
    return str(path)
