"""The random generators of all operators, from the files that hold them.

A key is an operator's name; one with other types than int8 ends in _INT16, _INT4 or _FLOAT. What
stands behind __ tells a form of it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests import factory
from tests.constant_cases import CASES, whole

GENERATORS: dict[str, Callable[[np.random.Generator], bytes]] = dict(factory.GENERATORS)
for path in sorted(Path(__file__).parent.glob("factory_*.py")):
    GENERATORS |= importlib.import_module(f"tests.{path.stem}").GENERATORS

# What hostile files start from: also one model for each operator that is evaluated in constants.
SEEDS: dict[str, Callable[[np.random.Generator], bytes]] = GENERATORS | {
    f"{case[0]}__CONSTANT": lambda _, case=case: whole(case)[0] for case in reversed(CASES)
}


def operator_of(key: str) -> str:
    """The operator that the generator `key` draws."""
    return re.sub(r"(__.*|_(INT16|INT4|FLOAT))$", "", key)
