"""tinyproof new"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import click

from host_tools.new_project import Look, make_project
from host_tools.options import File, Positive, option
from model.recipe_file import recipe_names


class Words(click.ParamType[tuple[str, ...]]):
    """Names with commas between."""

    name = "a,b,..."

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names, without spaces around them."""
        words = tuple(word.strip() for word in str(value).split(","))
        if not all(words):
            self.fail(f"expected names with commas between, got {value!r}", param, ctx)
        return words


@click.command(
    help="Make a project in the new folder NAME: a recipe, a README, and made-up data or yours.",
    short_help="make a project of your own",
)
@click.argument("name", type=File(), envvar="TINYPROOF_NAME")
@option(
    "--from",
    "data",
    make="FROM",
    type=File(),
    help="folder of CSV, WAV, Edge Impulse JSON or CBOR files, or an .npz: write its recipe",
)
@option(
    "--names",
    metavar="TEMPLATE",
    help="what file names are made of: '{label}/{group}_{}.wav', where {} is any text; or a "
    "regular expression with (?P<label>...)",
)
@option("--rate", type=Positive(), help="samples a second (Hz)")
@option("--channels", type=Words(), help="columns to read; default: all that are numbers")
@option("--units", type=Words(), help="unit of each channel")
@option(
    "--example",
    type=click.Choice(recipe_names()),
    help="begin with a recipe that comes with tinyproof, and its data",
)
def command(
    name: Path,
    data: Path | None,
    names: str | None,
    rate: float | None,
    channels: tuple[str, ...] | None,
    units: tuple[str, ...] | None,
    example: str | None,
) -> None:
    """The folder, and what to type next."""
    said = (names, rate, channels, units)
    if data is None and any(said):
        raise click.UsageError("--names, --rate, --channels and --units are for data of --from")
    if data is not None and example is not None:
        raise click.UsageError("expected one of --from and --example, got both")
    look = Look(names=names, sample_rate_hz=rate, channels=channels or (), units=units or ())
    ask = _ask if sys.stdin.isatty() and sys.stdout.isatty() else None
    folder = make_project(name, example=example, data=data, look=look, ask=ask)
    program = "tinyproof" if shutil.which("tinyproof") else str(Path(sys.argv[0]).absolute())
    begin = "check" if data is not None else "demo"
    print(
        f"{folder}: a project; next: cd {shlex.quote(os.path.relpath(folder))} && "
        f"{shlex.quote(program)} {begin}"
    )


def _ask(question: str, default: str) -> str:
    return str(click.prompt(question, default=default, show_default=bool(default)))
