"""A network that does not know one class of its recipe, for which that class is a new one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from host_tools.boards.board import Board
from host_tools.stages.engine import update
from host_tools.stages.graph import Source, build_stage
from host_tools.stages.session import announce
from model.recipe import Recipe


def firmware_without(recipe: Recipe, label: str, folder: Path, board: Board) -> Path:
    """Train `recipe` without the class `label` and build `board`; returns the folder of results.

    What `folder` already has of it is taken. Raises what a stage raises, as when int8 costs more
    than the recipe allows.
    """
    left_out = (*recipe.dataset.leave_out, label)
    dataset = dataclasses.replace(recipe.dataset, leave_out=left_out)
    source = Source(
        folder=folder,
        name=recipe.name,
        recipe=dataclasses.replace(recipe, dataset=dataset),
    )
    update([*source.stages(), build_stage(folder, board)], announce)
    return folder
