"""tinyproof runs-ui"""

from __future__ import annotations

import click

from host_tools.experiments.listing import serve
from host_tools.options import COUNT, in_project, option


@click.command(
    help="MLflow's pages of the experiments, in a browser of this computer.",
    short_help="show MLflow's pages of the experiments",
)
@option("--http-port", type=COUNT, help="of this computer; default: 5000")
@in_project
def command(http_port: int | None) -> None:
    """Until Ctrl+C."""
    serve(http_port)
