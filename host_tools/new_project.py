"""Make a project folder with a recipe that runs at once."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path

import jinja2
import numpy as np

from host_tools.errors import UsageError
from model.datasets.folder import folder_digest
from model.files import write_text
from model.recipe import NAME, RECIPES

PEOPLE, LABELS, TAKES = ("ann", "bob", "cleo", "dan"), ("circle", "rest", "wave"), 2
RATE_HZ, SECONDS = 50, 12
OWN_DATA = (
    "Your own data: replace the files in `data/` (a CSV a recording, named "
    "`label.person.number.csv`),\n"
    "correct labels, groups and channels in the recipe, and put in the hash that `check` tells."
)
EXAMPLE_DATA = (
    "The data come with tinyproof or from the place that the recipe names; `data/` is for your own."
)
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates" / "new"),
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)


def make_project(folder: Path, example: str | None) -> Path:
    """The folder with everything in it, or nothing; returns it.

    Raises UsageError for a name that no recipe can have and for a folder that has files.
    """
    name = folder.name
    if not NAME.fullmatch(name):
        raise UsageError(
            f"new {name!r}: expected up to 64 letters, digits, '_', '.' and '-', because the "
            "recipe and its results get this name"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: exists already; give the name of a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as place:
        made = Path(place) / name
        (made / "data").mkdir(parents=True)
        if example is None:
            _write_recordings(made / "data")
            recipe = _render(
                "recipe.toml", name=name, sha256=folder_digest(made / "data", (".csv",))
            )
        else:
            recipe = (RECIPES / f"{example}.toml").read_text("utf-8")
        write_text(made / f"{name}.toml", recipe)
        data = OWN_DATA if example is None else EXAMPLE_DATA
        write_text(made / "README.md", _render("README.md", name=name, data=data))
        write_text(made / ".gitignore", "build/\n.experiments/\n")
        if folder.exists():
            folder.rmdir()
        shutil.move(made, folder)
    return folder


def _render(template: str, **values: str) -> str:
    return _TEMPLATES.get_template(f"{template}.jinja").render(**values)


def _write_recordings(folder: Path) -> None:
    """Made-up takes of every label and person, the same every time."""
    rng = np.random.default_rng(1)
    for person in PEOPLE:
        tempo, size = rng.uniform(0.9, 1.1), rng.uniform(0.8, 1.2)
        for label in LABELS:
            for take in range(1, TAKES + 1):
                rows = _samples(label, tempo, size, rng)
                text = "ms,ax,ay,az\n" + "".join(
                    f"{i * 1000 // RATE_HZ},{x:.4f},{y:.4f},{z:.4f}\n"
                    for i, (x, y, z) in enumerate(rows)
                )
                write_text(folder / f"{label}.{person}.{take}.csv", text)


def _samples(
    label: str, tempo: float, size: float, rng: np.random.Generator
) -> list[tuple[float, float, float]]:
    """Acceleration in g: a circle at 1 Hz, a wave at 2.5 Hz, or rest, with noise."""
    found = []
    phase = rng.uniform(0, 2 * math.pi)
    for i in range(RATE_HZ * SECONDS):
        turn = 2 * math.pi * tempo * i / RATE_HZ + phase
        x, y = {
            "circle": (math.cos(turn), math.sin(turn)),
            "wave": (1.2 * math.sin(2.5 * turn), 0.1 * math.sin(2.5 * turn)),
            "rest": (0.0, 0.0),
        }[label]
        noise = rng.normal(0, 0.03, 3)
        found.append((size * x + noise[0], size * y + noise[1], 1 + noise[2]))
    return found
