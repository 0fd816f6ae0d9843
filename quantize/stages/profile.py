"""Write what a network sees on its recipe's data, which drift is measured against."""

from __future__ import annotations

from pathlib import Path

from model.recipe import Recipe
from quantize.drift import make_profile


def profile(recipe: Recipe, out_dir: Path) -> None:
    """Write profile.json; raises as make_profile does."""
    made = make_profile(recipe, out_dir)
    windows = sum(len(recording.codes) for recording in made.recordings)
    groups = len({recording.group for recording in made.recordings})
    print(
        f"{recipe.name}: profile of {windows} windows of {groups} groups, {len(made.plan.tests)} "
        f"tests: {', '.join(made.plan.tests)}"
    )
