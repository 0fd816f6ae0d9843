"""Where recordings come from: one module a source."""

from __future__ import annotations

from collections.abc import Callable

from model.datasets import seglearn_watch
from model.datasets.base import Dataset
from model.errors import ConfigError
from model.recipe import DatasetConfig

SOURCES: dict[str, Callable[[str], Dataset]] = {
    "seglearn_watch": seglearn_watch.load,
}


def load_dataset(config: DatasetConfig) -> Dataset:
    """All recordings of a source, whose file must have the recipe's SHA-256."""
    if config.source not in SOURCES:
        raise ConfigError(
            f"dataset.source: unknown source {config.source!r}; known: {', '.join(SOURCES)}"
        )
    return SOURCES[config.source](config.sha256)
