"""tinyproof quantise"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from host_tools.options import (
    ARRAY,
    COUNT,
    INPUTS,
    RECIPE,
    File,
    SourceName,
    in_project,
    next_step,
    option,
    plan_options,
    require_recipe,
    switch,
)
from host_tools.project import Import, is_recipe_name, open_source
from host_tools.quantise_file import Given, quantise_file
from host_tools.stages.session import make


class NetworkName(SourceName):
    """A recipe's name or .toml, or the path of a network, also one that will be refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, or the absolute path of what is a file or folder."""
        text = super().convert(value, param, ctx)
        path = Path(text)
        if text.endswith(".toml") or is_recipe_name(text):
            return text
        return str(path.absolute()) if path.suffix or path.exists() else text


@click.command(
    help="Quantise a trained recipe, post-training and quantisation-aware; validation chooses. Or "
    "make an int8 model of SOURCE, a float network made elsewhere: a .tflite, .keras, .h5, "
    "PyTorch's .pt2 or the folder of a SavedModel. It needs representative inputs: --inputs, "
    "--data or --recipe. The result is imported, with the float network to compare it with.",
    short_help="make int8 of a recipe, or of a float network's file",
)
@click.argument("source", type=NetworkName(), required=False)
@RECIPE
@option("--model", type=File(), help="a float network's file or folder, in place of SOURCE")
@ARRAY
@INPUTS
@option("--data", type=File(), help="folder of .npy and .npz files with representative inputs")
@switch("--random", help="a trial without real inputs, marked as such; not for use")
@option("--cases", type=COUNT, help="how many of the inputs parity compares; default: 100")
@plan_options
@in_project
def command(
    source: str | None,
    recipe: str | None,
    model: Path | None,
    dry_run: bool,
    why: bool,
    **given: Any,
) -> None:
    """A recipe's stages up to 'quantise', or a network's file to an imported int8 model."""
    if source and model is not None:
        raise click.UsageError("expected one of SOURCE and --model, got both")
    network = model
    if source and not source.endswith(".toml") and not is_recipe_name(source):
        inputs = recipe or any(given[name] for name in ("inputs", "data", "random"))
        if inputs or Path(source).is_absolute():  # else the name of what is not there
            network = Path(source)
    if network is not None:
        made = quantise_file(network, Given(recipe=recipe, **given), dry=dry_run or why)
        if made is not None:
            print(next_step(made))
        return
    if source and recipe:
        raise click.UsageError("expected one of SOURCE and --recipe, got both")
    if used := [name for name, value in given.items() if value]:
        raise click.UsageError(
            f"{used[0].upper()}= is for a float network's file; a recipe has its own"
        )
    opened = require_recipe(open_source(source or recipe, None, Import(dry=dry_run or why)))
    make(opened, opened.stages_to("quantise"), dry_run=dry_run, why=why)
