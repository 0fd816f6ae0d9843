"""The options of commands that run on one board or on many."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from host_tools.farm.run import LIMIT_S, Farm
from host_tools.options import (
    COUNT,
    SEVERAL,
    BoardName,
    F,
    File,
    emulator_options,
    option,
    repeated,
)


def farm_options(function: F) -> F:
    """Where firmware runs; gives the command a Farm as `farm`."""

    @functools.wraps(function)
    def run(
        *arguments: Any,
        board: str | None,
        emulator: str | None,
        port: tuple[str, ...],
        junit: Path | None,
        time_limit: int | None,
        **options: Any,
    ) -> Any:
        farm = Farm(
            board=board,
            emulator=emulator,
            ports=port,
            junit=junit,
            limit_s=time_limit,
            again=repeated(),
        )
        return function(*arguments, farm=farm, **options)

    added: Any = emulator_options(run)
    for add in (
        option(
            "--time-limit",
            type=COUNT,
            metavar="SECONDS",
            help=f"of each board; default: {LIMIT_S} where there are several",
        ),
        option("--junit", type=File(), metavar="FILE", help="write JUnit XML, for CI systems"),
        option(
            "--port",
            multiple=True,
            help="serial port of a real board, or an address as socket://host:port or "
            "rfc2217://host:port; usb: the one with its USB identity; auto: every connected board "
            "and those of farm.toml; may be repeated",
        ),
        option(
            "--board",
            type=BoardName(several=True),
            multiple=True,
            callback=lambda ctx, param, value: SEVERAL.join(value) or None,
            help="default: qemu_m4; several with commas between, or repeated; all: each that can "
            "be emulated",
        ),
    ):
        added = add(added)
    return added  # type: ignore[no-any-return]
