"""Quantise a trained recipe, and print how the two ways compare."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from model.evaluate import headline
from model.recipe import Recipe
from quantize.pipeline import quantise_recipe
from quantize.scheme import TITLES


def quantise(recipe: Recipe, out_dir: Path) -> None:
    """Write what quantise_recipe writes; raises as it does."""
    result = quantise_recipe(recipe, out_dir)
    measure = headline(result["candidates"][result["chosen"]]["val"]).name
    table = Table("quantised", f"validation, {measure}", "test groups", "bytes", "")
    for name, candidate in result["candidates"].items():
        scores = [f"{headline(candidate[s]).value:.3f}" for s in ("val", "test")]
        mark = "chosen" if name == result["chosen"] else ""
        table.add_row(TITLES[name], *scores, str(candidate["bytes"]), mark)
    console = Console()
    console.print(table)
    if result["no_int16"]:
        console.print(f"int16 activations: not possible: {result['no_int16']}", markup=False)
    elif "int16" in result["candidates"]:
        console.print(f"int16 activations were tried: {result['rule']}", markup=False)
    if fidelity := result["fidelity"]:
        if fidelity["warning"]:
            console.print(f"warning: {fidelity['warning']}", style="yellow", markup=False)
        console.print(
            f"QAT export against the trained graph: {fidelity['equal_share']:.1%} of outputs "
            f"equal, largest difference {fidelity['max_lsb']} LSB, mean {fidelity['mean_lsb']:.3f}"
        )
