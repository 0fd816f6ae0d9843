"""Advice in the words of whoever asked: through make its targets, else the console command."""

from __future__ import annotations

import os
import pkgutil
import re

from host_tools import commands

GOALS = "TINYPROOF_GOALS"  # the targets on make's command line; make sets it
_LINE = re.compile(r"\bmake (?P<target>[a-z]+(?:-[a-z]+)*)(?P<values>(?: [A-Z_]+=[^\s`,;)]*)*)")
_NAMES = {"OUT_DIR": "out"}  # of options whose variable has another name
_PLACES = {("import", "MODEL"), ("inspect", "MODEL"), ("reproduce", "RUN"), ("new", "NAME")}


def command_names() -> list[str]:
    """All commands, sorted."""
    modules = (module.name for module in pkgutil.iter_modules(commands.__path__))
    return sorted(name.removesuffix("_").replace("_", "-") for name in modules)


def as_typed(text: str) -> str:
    """`make parity BOARD=esp32` as `tinyproof parity --board esp32`, unless make was used."""
    if os.environ.get(GOALS):
        return text
    known = set(command_names())

    def said(match: re.Match[str]) -> str:
        target = match["target"]
        if target not in known:
            return match[0]
        words = ["tinyproof", target]
        for pair in match["values"].split():
            name, value = pair.split("=", 1)
            if (target, name) in _PLACES:
                words.append(value)
            elif value == "1":  # a switch
                words.append(f"--{name.lower()}")
            else:
                words += [f"--{_NAMES.get(name, name.lower().replace('_', '-'))}", value]
        return " ".join(words)

    return _LINE.sub(said, text)
