"""tinyproof report"""

from __future__ import annotations

import click

from host_tools.options import cases_option, plan_options, source_options
from host_tools.stages.graph import Source, report_stage
from host_tools.stages.session import make


@click.command(
    help="Write report.html and report.json of what has been measured.",
    short_help="write report.html of what has been measured",
)
@source_options
@cases_option
@plan_options
def command(source: Source, cases: int | None, dry_run: bool, why: bool) -> None:
    """The stage 'report'."""
    make(source, [report_stage(source.folder)], dry_run=dry_run, why=why)
    if not (dry_run or why):
        print(source.folder / "report.html")
