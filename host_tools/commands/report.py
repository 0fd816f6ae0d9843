"""tinyproof report"""

from __future__ import annotations

import click

from host_tools.options import folder_options, plan_options
from host_tools.stages.graph import Source, report_stage
from host_tools.stages.session import make


@click.command(
    help="Write report.html and report.json of what has been measured.",
    short_help="write report.html of what has been measured",
)
@folder_options
@plan_options
def command(source: Source, dry_run: bool, why: bool) -> None:
    """The stage 'report'."""
    make(source, [report_stage(source.folder)], dry_run=dry_run, why=why)
    if not (dry_run or why):
        print(source.folder / "report.html")
