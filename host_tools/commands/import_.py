"""tinyproof import"""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.options import (
    ARRAY,
    CASES,
    FLOAT,
    INPUTS,
    File,
    budget_options,
    in_project,
    next_step,
    plan_options,
    tell_cases,
)
from host_tools.project import Import, import_model
from host_tools.stages.session import make


@click.command(
    name="import",
    help="Take over FILE, an int8 .tflite (or C source with one) made elsewhere: check it, ask "
    "TFLite Micro for its answers to random inputs or your own, and write C. Later commands take "
    "it by its name.",
    short_help="take over a .tflite made elsewhere",
)
@click.argument("file", type=File(), envvar="TINYPROOF_MODEL")
@ARRAY
@CASES
@INPUTS
@FLOAT
@budget_options
@plan_options
@in_project
def command(
    file: Path,
    array: str | None,
    cases: int | None,
    inputs: Path | None,
    float_model: Path | None,
    constants_bytes: int | None,
    ram_bytes: int | None,
    dry_run: bool,
    why: bool,
) -> None:
    """The stages 'golden' and 'emit' of a new folder."""
    how = Import(
        array=array,
        cases=cases,
        inputs=inputs,
        float_model=float_model,
        constants_bytes=constants_bytes,
        ram_bytes=ram_bytes,
        dry=dry_run or why,
    )
    source = import_model(file, how, anew=True, hold=click.get_current_context().with_resource)
    make(source, source.stages(), dry_run=dry_run, why=why)
    if not (dry_run or why):
        tell_cases(source, cases)
        print(next_step(source))
