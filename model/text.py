"""How text that somebody else has written is shown: a terminal must not follow it."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """`text` with what a terminal would act on as its escape: ESC as \\x1b, a newline as \\n.

    So are the other control characters, those that turn the direction of writing, and lone
    surrogates; `keep` are characters that stay.
    """
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def brief(text: object) -> str:
    """As much of a text as a message has room for: what other software says may hold a file."""
    return str(text)[:500]


def counted(number: int, word: str) -> str:
    """'no errors', '1 error', '2,000 errors'."""
    return f"{f'{number:,}' if number else 'no'} {word}{'' if number == 1 else 's'}"
