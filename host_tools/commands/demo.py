"""tinyproof demo"""

from __future__ import annotations

import click

from host_tools.options import plan_options, source_options
from host_tools.report.summary import print_summary
from host_tools.stages.graph import Source, demo_stages
from host_tools.stages.session import make

BOARDS = ("nano33", "esp32", "qemu_m4", "qemu_xtensa", "native")


@click.command(
    help="The main job: data, training, int8, firmware for both boards, parity, report. With a "
    "model made elsewhere: from its file on.",
    short_help="do everything, from data to the report: the main job",
)
@source_options
@plan_options
def command(source: Source, dry_run: bool, why: bool) -> None:
    """Every stage, and the closing table."""
    make(source, demo_stages(source, BOARDS), dry_run=dry_run, why=why)
    if not (dry_run or why):
        print_summary(source.folder)
