"""tinyproof fleet"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import click

from host_tools.errors import HostToolsError, UsageError
from host_tools.fleet.mqtt import is_broker, readings_of_broker
from host_tools.fleet.page import fleet_content, print_fleet, totals_failed, write_fleet
from host_tools.fleet.sources import STREAM, readings_of
from host_tools.fleet.store import Store
from host_tools.options import File, Positive, in_project, option
from host_tools.project import BUILD


@click.command(
    help="Sum up drift readings of many boards: which boards, which channel, since when. "
    "READINGS is a folder (.json, .jsonl), a file, - for lines on standard input, or "
    "mqtt://host/topic. tinyproof drift --json prints such a reading.",
    short_help="tell which of many boards drift, in which channel, since when",
)
@option("--readings", metavar="PLACE", help="folder, file, - or mqtt://host/topic")
@option("--seconds", type=Positive(), default=60.0, help="how long a broker is listened to")
@option("--out", type=File(), help="folder of fleet.html and fleet.json; default: build/fleet")
@in_project
def command(readings: str | None, seconds: float, out: Path | None) -> None:
    """1 when a board drifts or a line is no reading."""
    if readings is None:
        raise UsageError("READINGS= is missing: a folder, a file, - or mqtt://host/topic")
    now = datetime.now(timezone.utc)
    place = readings if is_broker(readings) or readings == STREAM else str(Path(readings))
    found = readings_of_broker(place, seconds) if is_broker(place) else readings_of(place)
    with Store() as store:
        store.take(found, now)
        if not (store.totals.readings or store.totals.bad):
            raise UsageError(f"{place}: no reading")
        store.summary()
        content = fleet_content(store, now)
        page = write_fleet(content, out or BUILD / "fleet")
        print_fleet(content)
        print(f"All of it: {page}")
        if failed := totals_failed(store.totals):
            raise HostToolsError(f"fleet: {'; '.join(failed)}")
