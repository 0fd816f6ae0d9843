"""The terminal that tables are printed to."""

from __future__ import annotations

from rich.console import Console


def wide_console(width: int = 120) -> Console:
    """Standard output; `width` characters where it is no terminal, which has a width of its own."""
    console = Console()
    return console if console.is_terminal else Console(width=width)
