"""Markdown that may hold anybody's names: nothing in them is a link, a mention or a tag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from model.text import printable

PLAIN = " .,:;%+-/=–()'"  # besides letters and digits; none of them can be markup inside a line


def escape(text: str) -> str:
    """`text` as Markdown shows it, on one line: what could be markup is a character reference."""
    told = printable(text, keep="")
    return "".join(c if c.isalnum() or c in PLAIN else f"&#{ord(c)};" for c in told)


def code(text: str) -> str:
    """The same, set as code, in which hubs look for no mention and no reference either."""
    return f"<code>{escape(text)}</code>"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """A table of cells that are Markdown already; the columns `right` hold numbers."""
    numbers = set(right)
    lines = [titles, ["--:" if i in numbers else "---" for i in range(len(titles))], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
