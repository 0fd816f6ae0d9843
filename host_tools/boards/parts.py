"""Parts of the application that an image can do without; what is left out costs nothing."""

from __future__ import annotations

from host_tools.errors import UsageError

WITHOUT = "-without-"  # behind a board's name, before the parts
PARTS = {
    "text": "commands and lines for people",
    "golden": "golden vectors and the self-test",
    "layers": "cost and output of single layers",
    "stream": "samples, recording and live",
    "drift": "counts of what the model sees",
}


def lacking(board: str, after: str, without: str | None) -> str:
    """The name of `board`, which ends with `after`, without the parts named in `without`.

    UsageError names a part that does not exist. The order of the parts makes no difference.
    """
    if not without:
        return board
    parts = read_parts(without, ",", f"--without {without!r}")
    return f"{board.removesuffix(after)}{WITHOUT}{'-'.join(parts)}{after}"


def read_parts(text: str, between: str, where: str) -> tuple[str, ...]:
    """The parts that `text` lists, in the order of PARTS; UsageError tells `where` it is wrong."""
    named = [part.strip() for part in text.split(between)]
    for part in named:
        if part == "link":
            raise UsageError(
                f"{where}: without its link an application is a program of your own around the "
                "model: tinyproof library writes that, which is the model and its kernels only"
            )
        if part not in PARTS:
            known = ", ".join(f"{name} ({what})" for name, what in PARTS.items())
            raise UsageError(f"{where}: no part {part!r} to leave out; expected some of {known}")
    return tuple(part for part in PARTS if part in named)
