"""tinyproof doctor"""

from __future__ import annotations

import click

from host_tools.doctor import install, run_doctor
from host_tools.doctor_boards import udev_rules
from host_tools.options import switch


@click.command(
    help="List every prerequisite, what is there of it, and how to get the rest.",
    short_help="list prerequisites and how to get them",
)
@switch("--json", "as_json", make="JSON", help="for programs")
@switch(
    "--install", "install_", make="INSTALL", help="install missing system packages with apt-get"
)
@switch("--udev", make="UDEV", help="print udev rules for the ports of boards, and nothing else")
def command(as_json: bool, install_: bool, udev: bool) -> int:
    """0 when all is there."""
    if udev:
        print(udev_rules(), end="")
        return 0
    if install_:
        install()
    return run_doctor(as_json=as_json)
