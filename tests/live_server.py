"""python -m tests.live_server FOLDER: serve the live page of the stub's firmware until Ctrl+C.

FOLDER is a project with the recipe mine.toml, whose data set takes the clips; in the folder above
it lies `gone` as long as the board cannot be started.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from host_tools.emulators.native import Native
from host_tools.errors import DeviceError
from host_tools.link.transport import Transport
from host_tools.live.dataset import ClipStore
from host_tools.live.server import serve
from host_tools.live.session import Session
from model.datasets import load_dataset
from model.datasets.truth import truth_of
from model.recipe_file import load_recipe
from tests.live_plan import sensor_file, stub_plan


def main(project: Path, elf: Path) -> None:
    """Print the page's address, and `ended` at the end."""
    os.chdir(project)
    recipe = load_recipe("mine.toml")
    dataset = load_dataset(recipe.dataset, truth_of(recipe))
    clips = ClipStore(recipe, dataset, "native", Path("build") / "recordings")

    def start(_: Path) -> Transport:
        if (project.parent / "gone").exists():
            raise DeviceError("no board: <img src=x onerror=\"document.title='broken'\">")
        return Native(replay=sensor_file()).start(elf)

    plan = stub_plan(
        project,
        start,
        open=lambda: start(elf),
        images=(elf,),
        where=clips.where,
        refuse=clips.refuse,
        save=clips.save,
        labels=recipe.dataset.labels,
        again="make live RECIPE=mine",
    )
    serve(Session(plan), None, lambda url: print(url, flush=True))
    print("ended", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
