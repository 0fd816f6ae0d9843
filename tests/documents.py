"""What documents name in `code`: commands, paths, modules."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from host_tools.cli import group

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "DESIGN.md",
    ROOT / "boards/README.md",
    ROOT / "model/datasets/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"\s&&\s|\s\|\s|;\s")


def spans(text: str) -> list[str]:
    """Every `span`, on one line."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", _FENCE.sub("", text))]


def blocks(text: str) -> list[str]:
    """Every block of code without a language: commands, or a picture."""
    return [block for language, block in _FENCE.findall(text) if not language]


def _typed(text: str) -> Iterator[str]:
    """The lines of all blocks that may be commands: of a console's those behind its prompt."""
    for language, block in _FENCE.findall(text):
        for line in block.splitlines():
            if not language:
                yield line
            elif language == "console" and line.startswith("$ "):
                yield line.removeprefix("$ ")


def commands(text: str, program: str) -> Iterator[list[str]]:
    """The words behind `program` wherever it is called, without comments."""
    for line in [*_typed(text), *spans(text)]:
        for part in _SHELL.split(line):
            if call := re.search(rf"(?:^|[\s/]){program} (.+)", part):
                yield shlex.split(call[1], comments=True)


def wrong_commands(text: str) -> Iterator[str]:
    """Calls of `tinyproof` in a document that it would refuse, and why."""
    for name, *words in commands(text, "tinyproof"):
        command = group.get_command(click.Context(group), name)
        if name.startswith(("<", "-")):
            continue
        if command is None:
            yield f"tinyproof {name}: no such command"
            continue
        try:
            command.make_context(name, ["native" if w == "<id>" else w for w in words])
        except click.MissingParameter:
            pass  # a sentence need not say all of it
        except click.UsageError as error:
            yield f"tinyproof {name} {words}: {error.format_message()}"


def headings(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(text: str) -> Iterator[tuple[str, str]]:
    """(file, anchor) of every link within the project; '' for this file, or for no anchor."""
    for target in re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", text)):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            yield file, anchor
