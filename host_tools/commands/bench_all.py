"""tinyproof bench-all"""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.bench.history import load_history, record
from host_tools.bench.suite import entries, find_models, run_suite, write_suite
from host_tools.errors import HostToolsError, UsageError
from host_tools.options import File, RecipeName, in_project, option, switch
from host_tools.project import BUILD, Import, open_source, require_checkout

BOARDS = "qemu_m4 qemu_xtensa nano33 esp32"
OTHERS = Path("..") / "shared" / "models"  # beside a project: models made elsewhere


@click.command(
    help="One table of all models on all emulated boards, and what has changed since the record.",
    short_help="measure many models on all emulated boards, in one table",
)
@option("--models-dir", type=File(), help=f"a folder with .tflite files; default: {OTHERS}, if any")
@option("--recipe", type=RecipeName(), help="a recipe whose int8 model is measured as well")
@option("--boards", default=BOARDS, help=f"default: {BOARDS}")
@switch("--record", "recorded", make="RECORD", help="append to docs/bench_history.json")
@option("--reason", help="why something has grown since the last record")
@in_project
def command(
    models_dir: Path | None, recipe: str | None, boards: str, recorded: bool, reason: str | None
) -> None:
    """build/bench/bench.json."""
    if recorded:
        require_checkout("bench-all --record")
    own = BUILD / "bench" / "models"
    others = models_dir or OTHERS
    models = find_models(
        [folder for folder in (own, others) if folder == models_dir or folder.is_dir()]
    )
    sources = [open_source(recipe, None, Import())] if recipe else []
    if not models and not sources:
        raise UsageError("nothing to measure: give --models-dir (MODELS_DIR=) or --recipe")
    rows = run_suite(sources, models, BUILD / "bench", boards.split())
    print(write_suite(BUILD / "bench", rows, load_history()))
    print(f"All of it: {BUILD / 'bench' / 'bench.json'}")
    if recorded:
        print(f"recorded for commit {record(entries(rows), reason).commit}")
    if not any(row.result for row in rows):
        raise HostToolsError("no model could be measured")
