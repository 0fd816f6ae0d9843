"""Make a recorded experiment again from its settings, and compare what comes out byte for byte."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from host_tools.errors import UsageError
from host_tools.experiments.listing import SHORT, find
from host_tools.stages.engine import Stage, run
from host_tools.stages.graph import Source
from host_tools.stages.lock import locked
from host_tools.terminal import plain
from host_tools.trust import require_trust
from model import __version__
from model.files import write_bytes
from model.network_config import OWN
from model.network_files import network_digest
from model.recipe import Recipe
from model.recipe_file import load_recipe
from model.results import FINGERPRINTED, OF_DATA, digests, fingerprints, matches
from model.store import (
    FINGERPRINTS,
    RECIPE,
    Experiment,
    artifact,
    artifact_names,
    experiments,
)
from model.tracking import code_version, describe_code

MANIFEST = "gen/ref/manifest.json"
NETWORK = "network.json"
DATA = "dataset.json"  # whose row compares the hash of the data


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One file, or the data: what was recorded and what came out now; '' for nothing."""

    stage: str
    name: str
    recorded: str
    now: str


def reproduce(wanted: str, build: Path) -> int:
    """Make the experiment again in build/reproduce-<id>; 0 when every file is equal, else 1.

    Raises UsageError for an experiment without a recipe, and what a stage raises.
    """
    experiment = find(wanted, experiments())
    names = artifact_names(experiment.id)
    if RECIPE not in names:
        raise UsageError(
            f"experiment {experiment.id[:SHORT]}: no recipe is recorded, the model "
            f"{experiment.name} was made elsewhere; there is nothing to repeat"
        )
    folder = build / f"reproduce-{experiment.id[:SHORT]}"
    with locked(folder):
        return _again(experiment, names, folder)


def _again(experiment: Experiment, names: Collection[str], folder: Path) -> int:
    """The same, with the lock of `folder`."""
    recorded = _recorded(experiment, FINGERPRINTS)
    out_dir = folder / "again"
    shutil.rmtree(out_dir, ignore_errors=True)
    write_bytes(folder / RECIPE, artifact(experiment.id, RECIPE))
    manifest = _recorded(experiment, MANIFEST) if MANIFEST in names else {}
    recipe = load_recipe(str(folder / RECIPE))
    _same_network(recipe, _recorded(experiment, NETWORK) if NETWORK in names else {}, experiment)
    source = Source(
        folder=out_dir,
        name=recipe.name,
        recipe=recipe,
        constants_bytes=manifest.get("constants_budget_bytes"),
        ram_bytes=manifest.get("ram_budget_bytes"),
    )
    stages = source.stages()
    last = max((at for at, stage in enumerate(stages) if _recorded_of(stage, recorded)), default=-1)
    for stage in stages[: last + 1]:
        run(stage)
    now = fingerprints(digests(out_dir))
    if data := experiment.tags.get("data_sha256"):
        recorded[DATA], now[DATA] = data, _data(out_dir)
    else:  # the folder held the check of other data then; this one's hash is in the recipe
        now = {name: digest for name, digest in now.items() if name not in OF_DATA}
    rows = compare(recorded, now)
    _print(experiment, rows)
    if different := [row for row in rows if row.recorded != row.now]:
        first = different[0]
        print(
            f"error: {len(different)} of {len(rows)} files differ, first in the stage "
            f"{first.stage!r}: {first.name}; compare {folder}",
            file=sys.stderr,
        )
        return 1
    print(f"all {len(rows)} files equal those of experiment {experiment.id[:SHORT]}: {folder}")
    return 0


def _recorded_of(stage: Stage, recorded: Collection[str]) -> bool:
    """Whether a file that `stage` makes is recorded."""
    return any(matches(name, FINGERPRINTED[stage.name]) for name in recorded)


def _same_network(recipe: Recipe, recorded: dict[str, Any], experiment: Experiment) -> None:
    """UsageError unless the project's own file of the network is the recorded one.

    No code comes from a record: what runs is the project's, which the user has allowed.
    """
    if recipe.network.kind not in OWN:
        return
    now, was = network_digest(recipe.network), recorded.get("sha256")
    if now != was:
        raise UsageError(
            f"experiment {experiment.id[:SHORT]}: its network is of {recipe.network.options.file} "
            f"with the SHA-256 {str(was)[:12]}; that of this project has {str(now)[:12]}: bring "
            "the file of then back, for one from version control"
        )
    require_trust(recipe.network)


def _recorded(experiment: Experiment, name: str) -> dict[str, Any]:
    """The JSON object that an experiment has recorded; UsageError when it is damaged."""
    try:
        content = json.loads(artifact(experiment.id, name))
        if isinstance(content, dict):
            return content
        what = f"a {type(content).__name__}, not an object"
    except ValueError as error:
        what = str(error)
    raise UsageError(
        f"experiment {experiment.id[:SHORT]}: its {name} is damaged ({what}); "
        "take another experiment (`make runs`)"
    )


def _data(out_dir: Path) -> str:
    """SHA-256 of the data, as the data check found it."""
    return str(json.loads((out_dir / DATA).read_text("utf-8"))["sha256"])


def compare(recorded: dict[str, str], now: dict[str, str]) -> list[Comparison]:
    """A row for each file of either side, in the order of the stages."""
    return [
        Comparison(stage=stage, name=name, recorded=recorded.get(name, ""), now=now.get(name, ""))
        for stage, patterns in FINGERPRINTED.items()
        for name in sorted({*recorded, *now})
        if matches(name, patterns) or (name == DATA and stage == "check")
    ]


def _print(experiment: Experiment, rows: list[Comparison]) -> None:
    console = Console()
    table = Table("stage", "file", "recorded", "now", "")
    for row in rows:
        cells = (row.stage, row.name, row.recorded[:12] or "none", row.now[:12] or "none")
        table.add_row(*map(plain, cells), "equal" if row.recorded == row.now else "DIFFERS")
    console.print(table)
    code = describe_code(code_version(), __version__)
    console.print(plain(f"code: recorded {experiment.tags.get('code')}, now {code}"))
