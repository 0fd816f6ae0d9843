"""The terminal that tables are printed to, and what may stand in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.style import Style
from rich.text import Text

from model.text import printable


def wide_console(width: int = 120) -> Console:
    """Standard output; `width` characters where it is no terminal, which has a width of its own."""
    console = Console()
    return console if console.is_terminal else Console(width=width)


@contextlib.contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """Of a command that has no other end: Ctrl+C there is no interruption, and its code is 0."""
    with contextlib.suppress(KeyboardInterrupt):
        yield


def plain(text: str, style: str | Style = "") -> Text:
    """Anybody's text for a console or a cell: neither markup nor anything a terminal acts on."""
    return Text(printable(text, keep="\n\t"), style)
