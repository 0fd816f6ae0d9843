"""tinyproof inspect"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from host_tools.options import ARRAY, RAM, File, in_project, switch
from host_tools.project import model_file
from host_tools.terminal import wide_console
from host_tools.wording import as_typed
from quantize.inspect import as_json, inspect_model, print_inspection


@click.command(
    help="Layers, costs, problems and fit of FILE: a .tflite, C source with one in an array, or "
    "the name of an imported one.",
    short_help="show layers, costs, problems and fit of a .tflite",
)
@click.argument("file", type=File(), envvar="TINYPROOF_MODEL")
@ARRAY
@switch("--json", "as_json_", make="JSON", help="for programs")
@RAM
@in_project
def command(file: Path, array: str | None, as_json_: bool, ram_bytes: int | None) -> int:
    """0 when we compile it, 1 when not."""
    found = inspect_model(model_file(file), array, ram_bytes)
    problems, warnings = ([*map(as_typed, lines)] for lines in (found.problems, found.warnings))
    found = replace(found, problems=problems, warnings=warnings)
    if as_json_:
        print(as_json(found))
    else:
        print_inspection(found, wide_console(140))
    return 0 if found.supported else 1
