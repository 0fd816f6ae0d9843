"""The random generators of all operators, from the files that hold them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests import factory

GENERATORS: dict[str, Callable[[np.random.Generator], bytes]] = dict(factory.GENERATORS)
for path in sorted(Path(__file__).parent.glob("factory_*.py")):
    GENERATORS |= importlib.import_module(f"tests.{path.stem}").GENERATORS
