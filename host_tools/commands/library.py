"""tinyproof library"""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.library.make import make_library
from host_tools.library.write import write_library
from host_tools.options import File, option, plan_options, source_options
from host_tools.stages.graph import Source
from host_tools.stages.session import show_plan, up_to_date
from model.text import printable


@click.command(
    help="Write the model as a library for a program of your own: one folder and one .zip for "
    "Arduino, PlatformIO, ESP-IDF, Zephyr and CMake.",
    short_help="write the model as a library for your own program",
)
@option("--out-dir", type=File(), help="where to; default: library/ of the results")
@source_options
@plan_options
def command(source: Source, out_dir: Path | None, dry_run: bool, why: bool) -> None:
    """Everything up to generated C, then the library."""
    if dry_run or why:
        show_plan(source.stages(), why=why)
        return
    with up_to_date(source, source.stages()):
        library = make_library(source.folder)
        folder, archive = write_library(library, out_dir or source.folder / "library")
    print(
        f"{library.values['title']}\n"
        f"  folder   {printable(str(folder))}\n"
        f"  .zip     {printable(str(archive))} ({archive.stat().st_size:,} bytes)\n"
        f"  include  {library.name}.h; README.md there says where the folder goes"
    )
