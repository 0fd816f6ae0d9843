"""A network that does not know one class of its recipe, for which that class is a new one."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from host_tools.boards.board import Board
from host_tools.build.firmware import build_firmware
from host_tools.experiments.reproduce import COMMANDS, run_stage
from model.files import write_text
from model.recipe import Recipe
from model.store import RECIPE
from model.toml_writer import to_toml

TRAINED = ("check", "train", "quantise")  # the stages up to golden.npz


def firmware_without(recipe: Recipe, label: str, folder: Path, board: Board) -> Path:
    """Train `recipe` without the class `label` and build `board`; returns the folder of results.

    A network of the same recipe that `folder` already has is taken; what follows it is made anew.
    Raises HostToolsError when a stage fails, as when int8 costs more than the recipe allows.
    """
    left_out = (*recipe.dataset.leave_out, label)
    text = to_toml(
        dataclasses.replace(
            recipe, dataset=dataclasses.replace(recipe.dataset, leave_out=left_out)
        ).as_dict()
    )
    path, out_dir = folder / RECIPE, folder / recipe.name
    known = path.exists() and path.read_text("utf-8") == text and (out_dir / "golden.npz").exists()
    if not known:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_text(path, text)
    for stage, command in COMMANDS.items():
        if not (known and stage in TRAINED):
            run_stage(stage, command, folder)
    build_firmware(board, board.gen_dir(out_dir), out_dir / board.folder)
    return out_dir
