"""tinyproof new"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import click

from host_tools.new_project import make_project
from host_tools.options import File, option
from model.recipe import recipe_names


@click.command(
    help="Make a project in the new folder NAME: a recipe, a data folder, a README.",
    short_help="make a project of your own",
)
@click.argument("name", type=File(), envvar="TINYPROOF_NAME")
@option(
    "--example",
    type=click.Choice(recipe_names()),
    help="begin with a recipe that comes with tinyproof, and its data",
)
def command(name: Path, example: str | None) -> None:
    """The folder, and what to type next."""
    folder = make_project(name, example)
    program = "tinyproof" if shutil.which("tinyproof") else str(Path(sys.argv[0]).absolute())
    print(
        f"{folder}: a project; next: cd {shlex.quote(os.path.relpath(folder))} && "
        f"{shlex.quote(program)} demo"
    )
