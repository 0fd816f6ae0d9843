"""python -m quantize run|golden|emit"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from model.errors import ModelSideError
from model.files import write_bytes
from model.recipe import load_recipe, recipe_names
from quantize.emit_c import safe_name
from quantize.errors import ModelError, QuantizeError
from quantize.golden import load_golden, make_golden, random_inputs, save_golden
from quantize.manifest import compile_model
from quantize.reference import compile_graph
from quantize.tflite.reader import read_model

BUILD = Path("build")
SEED = 1  # of the random inputs for a model made elsewhere


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m quantize", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="quantise a trained recipe, both ways")
    run.add_argument("recipe")
    golden = commands.add_parser("golden", help="take over a .tflite made elsewhere")
    golden.add_argument("model", type=Path)
    golden.add_argument("--cases", type=int, default=100)
    emit = commands.add_parser("emit", help="write C, the TFLite Micro array and the manifest")
    emit.add_argument("name", help="recipe or model name: the folder in build/")
    return parser


def run(recipe_name: str) -> None:
    """Quantise a trained recipe and print how the two ways compare."""
    from quantize.choose import quantise_recipe

    recipe = load_recipe(recipe_name)
    result = quantise_recipe(recipe, BUILD / recipe.name)
    table = Table("int8", "validation", "test groups", "bytes", "")
    for name, candidate in result["candidates"].items():
        scores = [f"{candidate[s]['balanced_accuracy']:.3f}" for s in ("val", "test")]
        mark = "chosen" if name == result["chosen"] else ""
        table.add_row(name, *scores, str(candidate["bytes"]), mark)
    console = Console()
    console.print(table)
    fidelity = result["fidelity"]
    console.print(
        f"QAT export against the trained graph: {fidelity['equal_share']:.1%} of outputs equal, "
        f"largest difference {fidelity['max_lsb']} LSB, mean {fidelity['mean_lsb']:.3f}"
    )


def golden(path: Path, cases: int) -> None:
    """Check a model made elsewhere, and ask TFLite Micro for its answers to random inputs."""
    if cases < 1:
        raise ModelError(f"CASES={cases}: expected at least 1")
    graph = read_model(path)
    compile_graph(graph)  # refuse before anything is written
    out_dir = BUILD / safe_name(path.stem)
    model = path.read_bytes()
    result = make_golden(model, random_inputs(graph, cases, SEED))
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", result)


def emit(name: str) -> None:
    """Compile build/<name>/model.tflite into build/<name>/gen."""
    out_dir = BUILD / name
    path = out_dir / "model.tflite"
    if not path.exists():
        raise ModelError(f"{path}: no model; run `make quantise RECIPE={name}` first")
    recipe = load_recipe(name) if name in recipe_names() else None
    labels: list[str] = []
    if recipe is not None:
        from model.datasets import load_dataset

        labels = list(load_dataset(recipe.dataset).labels)
    manifest = compile_model(
        path.read_bytes(),
        load_golden(out_dir / "golden.npz"),
        out_dir / "gen",
        name=name,
        settings=recipe.as_dict() if recipe else {},
        labels=labels,
    )
    print(
        f"{name}: {manifest['macs']} MACs, {manifest['weight_bytes']} bytes of constants, arena "
        f"{manifest['arena_bytes']} bytes (no plan is below {manifest['arena_lower_bound']}), "
        f"run {manifest['run_id']}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors become one message and an exit code."""
    args = _parser().parse_args(arguments)
    try:
        if args.command == "run":
            run(args.recipe)
        elif args.command == "golden":
            golden(args.model, args.cases)
        else:
            emit(args.name)
        return 0
    except (QuantizeError, ModelSideError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
