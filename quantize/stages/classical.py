"""Train a classical model of a quantised recipe and write its C."""

from __future__ import annotations

from pathlib import Path

from model.recipe import Recipe
from quantize.classical import compile_classical


def classical(recipe: Recipe, kind: str, exporter: str, network_dir: Path, out_dir: Path) -> None:
    """Write what compile_classical writes; raises as it does."""
    name = f"{recipe.name}-{kind}-{exporter}"
    result = compile_classical(recipe, kind, exporter, network_dir, out_dir)
    same = result["scikit_learn"]
    size = f", {result['trees']} trees of {result['nodes']:,} decisions" if result["trees"] else ""
    print(
        f"{name}: {result['features']} features{size}; balanced accuracy "
        f"{result['val']['balanced_accuracy']:.1%} on validation groups, "
        f"{result['test']['balanced_accuracy']:.1%} on test groups"
    )
    print(
        f"{name}: the C on this computer is equal to scikit-learn {same['version']}: "
        f"{same['equal']} of {same['cases']} test cases"
    )
    if result["unchanged"] is not None:
        print(
            f"{name}: with scikit-learn's own thresholds everywhereml decides as it in "
            f"{result['unchanged']} of {same['cases']}; it was given others, the same for integers"
        )
