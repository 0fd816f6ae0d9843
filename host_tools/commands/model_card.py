"""tinyproof model-card"""

from __future__ import annotations

import re
from pathlib import Path

import click

from host_tools.errors import UsageError
from host_tools.options import File, folder_options, option
from host_tools.report.card import FILE, model_card
from host_tools.stages.graph import Source
from host_tools.stages.lock import locked
from model.files import write_text

LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")  # as hubs write them: apache-2.0, mit, other


@click.command(
    "model-card",
    help="Write the model's card: Markdown with the metadata that hubs of models read, of what has "
    "been measured; what has not is named.",
    short_help="write the model's card for a hub of models",
)
@option("--license", "licence", make="LICENSE", metavar="ID", help="as apache-2.0; default: none")
@option("--out", type=File(), help=f"default: {FILE} of the results; a hub's name is README.md")
@folder_options
def command(source: Source, licence: str | None, out: Path | None) -> None:
    """The file."""
    if licence is not None and not LICENCE.fullmatch(licence):
        raise UsageError(
            f"--license {licence!r} (LICENSE=): expected an identifier in small letters, as "
            "apache-2.0, mit, cc-by-4.0 or other"
        )
    with locked(source.folder):
        text = model_card(source.folder, licence)
    path = out or source.folder / FILE
    write_text(path, text)
    print(path)
