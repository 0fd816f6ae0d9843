"""What a job needs of the project besides the recipe and the data: it goes with the job.

The file of a network of the user's own, and the background that is mixed in. Where the project is
not, on a machine of a cluster, `attached` puts the file into a temporary folder. What is sent is
code as well (kind 'python'): whoever sends it was allowed to run it (host_tools.trust), and a
worker trusts whoever reaches its scheduler.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model.background import given_background, load_background
from model.datasets.base import Dataset
from model.errors import ConfigError
from model.files import write_bytes
from model.network_config import OWN, NetworkConfig
from model.network_files import given_file, read_network_file
from model.processes import scratch_folder
from model.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    """As `attachments` reads them; None: the recipe needs none."""

    network: bytes | None
    background: Dataset | None


def attachments(recipe: Recipe, dataset: Dataset) -> Attachments:
    """Of a recipe of the project in the current folder; raises what reading them raises."""
    own = recipe.network.kind in OWN
    return Attachments(
        network=read_network_file(recipe.network)[1] if own else None,
        background=load_background(recipe, dataset),
    )


@contextlib.contextmanager
def attached(recipe: Recipe, found: Attachments) -> Iterator[None]:
    """Within, the recipe's network and background are those that were sent."""
    with contextlib.ExitStack() as stack:
        if found.background is not None:
            stack.enter_context(given_background(found.background))
        if found.network is not None and found.network != _here(recipe.network):
            folder = stack.enter_context(scratch_folder("network"))
            path = folder / Path(recipe.network.options.file).name
            write_bytes(path, found.network)
            stack.enter_context(given_file(path))
        yield


def _here(config: NetworkConfig) -> bytes | None:
    """What the file holds where this process runs; None where there is none."""
    try:
        return read_network_file(config)[1]
    except ConfigError:
        return None
