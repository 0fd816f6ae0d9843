"""The summary of a fleet: a table at the terminal, fleet.html and fleet.json."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from host_tools.fleet.store import Store, Totals
from host_tools.terminal import plain, wide_console
from model.files import write_json, write_text
from model.page import environment
from model.text import counted, printable

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = 20  # boards at the terminal, and bad lines
TOP = 12  # channels, models and reasons
NO_NAME = "(no name)"

Json = dict[str, Any]


def fleet_content(store: Store, made: datetime) -> Json:
    """What fleet.json says, for a store with its summary."""
    totals = store.totals
    content = asdict(totals)
    for name in ("reasons", "models", "channels"):
        content[name] = _top(getattr(totals, name))
    return {
        **content,
        "made": made.isoformat(timespec="seconds"),
        "listed": store.boards(),
    }


def write_fleet(content: Json, folder: Path) -> Path:
    """Write fleet.json and fleet.html; returns the path of the page."""
    page = environment(TEMPLATES).get_template("fleet.html.jinja")
    rows = [_texts(board) for board in content["listed"]]
    write_json(folder / "fleet.json", content)
    write_text(
        folder / "fleet.html",
        page.render(
            {**content, "headline": headline(content), "notes": notes(content), "rows": rows}
        ),
    )
    return folder / "fleet.html"


def print_fleet(content: Json) -> None:
    """The boards that drift, then one line that sums all up, then what is to know besides."""
    table = Table()
    for title in ("board", "model", "channel", "since (UTC)", "PSI/usual", "latest", "readings"):
        table.add_column(title, overflow="fold")
    drifting = [board for board in content["listed"] if board["current"] and board["channels"]]
    for board in drifting[:SHOWN]:
        texts = _texts(board)
        for number, channel in enumerate(texts["channels"]):
            own = (texts["name"], texts["model"]) if number == 0 else ("", "")
            rest = (texts["last"], texts["readings"]) if number == 0 else ("", "")
            cells = (*own, channel["told"], channel["since"], channel["ratio"], *rest)
            table.add_row(*map(plain, cells))
    if drifting:
        wide_console().print(table)
    if content["drifting"] > SHOWN:
        print(f"and {content['drifting'] - SHOWN:,} more boards; fleet.html lists them")
    print(headline(content))
    for note in notes(content):
        print(f"  {note}")
    for bad in content["bad_lines"][:SHOWN]:
        print(f"  {bad['file']}:{bad['line']}: {bad['why']}")
    if content["bad"] > SHOWN:
        print(f"  and {content['bad'] - SHOWN:,} more")


def headline(content: Json) -> str:
    """One sentence."""
    boards = counted(content["boards"], "board")
    found = f"{content['drifting']:,} of {boards} drift" if content["drifting"] else ""
    told = f"{found or f'no drift on {boards}'} in {counted(content['readings'], 'reading')}"
    if content["bad"]:
        told += f"; {counted(content['bad'], 'line')} could not be read and may be of any board"
    return told


def notes(content: Json) -> list[str]:
    """What a reader has to know to judge the headline."""
    told = []
    if content["bad"]:
        told.append(f"left out because they are no readings: {counted(content['bad'], 'line')}")
    if content["duplicates"]:
        told.append(f"came again and count once: {counted(content['duplicates'], 'reading')}")
    if content["former"]:
        told.append(
            "of a model that its board runs no more, which does not count for what is now: "
            + counted(content["former"], "reading")
        )
    if content["clock_back"]:
        told.append(
            "earlier than the one that came before of the same board, whose clock was set back or "
            f"which came out of order; sorted by time: {counted(content['clock_back'], 'reading')}"
        )
    if content["unnamed"]:
        told.append(
            f"of a board without a name, so that several may be behind a row '{NO_NAME}': "
            + counted(content["unnamed"], "reading")
        )
    if content["boards"] > len(content["listed"]):
        told.append(f"the first {len(content['listed']):,} boards are listed, drifting ones first")
    return told


def totals_failed(totals: Totals) -> list[str]:
    """Why the command is to fail; empty when all is well."""
    why = []
    if totals.drifting:
        why.append(f"{counted(totals.drifting, 'board')} drifted")
    if totals.bad:
        why.append(f"{counted(totals.bad, 'line')} could not be read")
    return why


def _texts(board: Json) -> Json:
    """A summary as printable texts."""
    return {
        "name": printable(board["device"]) or NO_NAME,
        "board": printable(board["board"]),
        "model": board["model"][:8],
        "state": ("drift" if board["channels"] else "passed") if board["current"] else "former",
        "channels": [
            {
                "told": printable(
                    f"{channel['channel']}: {', '.join(channel['tests'])}"
                    if channel["tests"]
                    else channel["channel"]
                ),
                "since": channel["since"],
                "ratio": f"{channel['ratio']:,.1f}",
            }
            for channel in board["channels"]
        ],
        "first": board["first"],
        "last": board["last"],
        "readings": f"{board['readings']:,}",
        "windows": f"{board['windows']:,}",
        "clock_back": board["clock_back"],
    }


def _top(counter: Counter[str]) -> list[list[str | int]]:
    """The most frequent names with their counts."""
    ordered = sorted(counter.items(), key=lambda one: (-one[1], one[0]))
    return [[printable(name), number] for name, number in ordered[:TOP]]
