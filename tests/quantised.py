"""What `tinyproof quantise` has made of a network's file."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

needs_quantiser = pytest.mark.skipif(
    importlib.util.find_spec("litert_quantizer") is None,
    reason="litert-quantizer is not installed; run make setup",
)


def result(project: Path) -> tuple[str, dict[str, Any]]:
    """The name and quantise.json of the only model."""
    (made,) = (project / "build" / "models").iterdir()
    return made.name, json.loads((made / "quantise.json").read_text())
