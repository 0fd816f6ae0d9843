"""Advice in the words of whoever asked: through make its targets, else the console command.

Messages are written for make: `make parity BOARD=esp32`, INPUTS=x.npz, or of what somebody gave
--cases 5 (CASES=). as_typed gives each reader one of the two: the option or the variable.
"""

from __future__ import annotations

import os
import pkgutil
import re

from host_tools import commands

GOALS = "TINYPROOF_GOALS"  # the targets on make's command line; make sets it
_VALUE = r"(?:'[^']*'|[^\s`,;)'])*"
_LINE = re.compile(rf"\bmake (?P<target>[a-z]+(?:-[a-z]+)*)(?P<values>(?: [A-Z_]+={_VALUE})*)")
_PAIR = re.compile(rf"(?P<name>[A-Z_]+)=(?P<value>{_VALUE})")
_ALONE = re.compile(
    r"(?<![^\s(`])(?P<name>[A-Z][A-Z_]+)=(?P<on>1\b)?(?P<valued>(?=\.*[^\s).,;:`]))?"
)
_BOTH = re.compile(r"--[a-z][a-z-]*(?P<value>(?:(?! --)[^\n])*?) \((?P<name>[A-Z_]+)=\)")
_NAMES = {"OUT_DIR": "out"}  # of options whose variable has another name
_PLACES = {("reproduce", "RUN"), ("new", "NAME")}  # and MODEL of every command
_OPTIONS: dict[str, tuple[str, bool]] = {}  # variable -> option, whether it is a switch


def know(variable: str, option: str, *, switch: bool) -> None:
    """An option of a command that is loaded, whose variable of make may stand alone in advice."""
    _OPTIONS[variable] = (option, switch)


def command_names() -> list[str]:
    """All commands, sorted."""
    modules = (module.name for module in pkgutil.iter_modules(commands.__path__))
    return sorted(name.removesuffix("_").replace("_", "-") for name in modules)


def as_typed(text: str) -> str:
    """`make parity BOARD=esp32` as `tinyproof parity --board esp32`, unless make was used."""
    if os.environ.get(GOALS):
        return _BOTH.sub(lambda m: f"{m['name']}={m['value'].strip()}", text)
    text = _BOTH.sub(lambda m: m[0].removesuffix(f" ({m['name']}=)"), text)
    return _ALONE.sub(_option, _LINE.sub(_line, text))


def _line(match: re.Match[str]) -> str:
    target = match["target"]
    if target not in command_names():
        return match[0]
    words = ["tinyproof", target]
    for pair in _PAIR.finditer(match["values"]):
        name, value = pair["name"], pair["value"]
        if name == "MODEL" or (target, name) in _PLACES:
            words.append(value)
        elif value == "1":  # a switch
            words.append(f"--{name.lower()}")
        else:
            words += [f"--{_NAMES.get(name, name.lower().replace('_', '-'))}", value]
    return " ".join(words)


def _option(match: re.Match[str]) -> str:
    option, switch = _OPTIONS.get(match["name"], (None, False))
    if option is None:
        return match[0]
    if match["on"]:
        return option if switch else f"{option} 1"
    return option + (" " if match["valued"] is not None else "")
