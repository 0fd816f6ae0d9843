"""tinyproof import"""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.options import COUNT, File, in_project, option, plan_options
from host_tools.project import Import, import_model
from host_tools.stages.session import make


@click.command(
    name="import",
    help="Take over FILE, an int8 .tflite made elsewhere: check it, ask TFLite Micro for its "
    "answers to random inputs or your own, and write C. Later commands take it by its name.",
    short_help="take over a .tflite made elsewhere",
)
@click.argument("file", type=File(), envvar="TINYPROOF_MODEL")
@option("--cases", type=COUNT, help="random cases; default 100")
@option("--inputs", type=File(), help=".npz with one array [cases, *shape] for each model input")
@option(
    "--float",
    "float_model",
    make="FLOAT",
    type=File(),
    help="the float original, to compare with: .tflite, .keras or .h5",
)
@option("--constants-bytes", type=COUNT, metavar="BYTES", help="budget of the model's constants")
@plan_options
@in_project
def command(
    file: Path,
    cases: int | None,
    inputs: Path | None,
    float_model: Path | None,
    constants_bytes: int | None,
    dry_run: bool,
    why: bool,
) -> None:
    """The stages 'golden' and 'emit' of a new folder."""
    how = Import(
        cases=cases, inputs=inputs, float_model=float_model, constants_bytes=constants_bytes
    )
    source = import_model(file, how, anew=not (dry_run or why))
    make(source, source.stages(), dry_run=dry_run, why=why)
    if not (dry_run or why):
        print(f"imported as {source.name}; next: tinyproof parity {source.name} --board native")
