"""python -m quantize inspect|run|profile|golden|emit|classical|candidates"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from model import tracking
from model.command import at_least, end
from model.files import write_bytes, write_text
from model.recipe import NAME, load_recipe, recipe_names
from quantize.candidate import serve
from quantize.errors import ModelError
from quantize.float_outputs import save_float_outputs
from quantize.float_reference import reference_outputs
from quantize.golden import load_golden, load_inputs, make_golden, random_inputs, save_golden
from quantize.lowering import KERNEL_SETS
from quantize.manifest import compile_sets
from quantize.reference import compile_graph
from quantize.tflite.reader import read_model

BUILD = Path("build")
MAX_CASE_BYTES = 512 << 20  # of all random inputs and their outputs
SEED = 1  # of the random inputs for a model made elsewhere


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m quantize", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    inspect = commands.add_parser("inspect", help="layers, costs, problems and fit of a .tflite")
    inspect.add_argument("model", type=Path)
    inspect.add_argument("--json", action="store_true")
    run = commands.add_parser("run", help="quantise a trained recipe, both ways")
    run.add_argument("recipe", help="a recipe's name, or the path of a .toml file")
    profile = commands.add_parser("profile", help="what the network sees on the recipe's data")
    profile.add_argument("recipe", help="a recipe's name, or the path of a .toml file")
    golden = commands.add_parser("golden", help="take over a .tflite made elsewhere")
    golden.add_argument("model", type=Path)
    golden.add_argument("--name", help="in build/; default: the file's name")
    golden.add_argument("--cases", type=int, default=100, help="random cases; default 100")
    golden.add_argument("--inputs", type=Path, help=".npz with one array a model input, in order")
    golden.add_argument("--float", type=Path, help="the float network: .tflite, .keras or .h5")
    emit = commands.add_parser("emit", help="write C, the TFLite Micro array and the manifest")
    emit.add_argument("name", help="recipe (or path of a .toml file) or model name")
    emit.add_argument("--flash", type=at_least(1), metavar="BYTES", help="for the constants")
    for sub in (run, profile, emit):
        sub.add_argument("--build", type=Path, help=f"folder of results; default: {BUILD}")
    classical = commands.add_parser("classical", help="a model without a network, for its firmware")
    classical.add_argument("recipe")
    classical.add_argument("kind", help="forest, logistic or svm")
    commands.add_parser("candidates", help="train what a search asks for, a line of JSON each")
    return parser


def inspect(path: Path, *, json: bool) -> int:
    """Print what a .tflite file needs; 0 when we compile it, 1 when not."""
    from quantize.inspect import as_json, inspect_model, print_inspection

    found = inspect_model(path)
    if json:
        print(as_json(found))
    else:
        console = Console()
        width = console.width if console.is_terminal else 140
        print_inspection(found, Console(width=width))
    return 0 if found.supported else 1


def run(recipe_name: str, build: Path) -> None:
    """Quantise a trained recipe and print how the two ways compare."""
    from quantize.pipeline import quantise_recipe

    recipe = load_recipe(recipe_name)
    result = quantise_recipe(recipe, build / recipe.name)
    table = Table("int8", "validation", "test groups", "bytes", "")
    for name, candidate in result["candidates"].items():
        scores = [f"{candidate[s]['balanced_accuracy']:.3f}" for s in ("val", "test")]
        mark = "chosen" if name == result["chosen"] else ""
        table.add_row(name, *scores, str(candidate["bytes"]), mark)
    console = Console()
    console.print(table)
    if fidelity := result["fidelity"]:
        console.print(
            f"QAT export against the trained graph: {fidelity['equal_share']:.1%} of outputs "
            f"equal, largest difference {fidelity['max_lsb']} LSB, mean {fidelity['mean_lsb']:.3f}"
        )
    tracking.record(build / recipe.name)


def profile(recipe_name: str, build: Path) -> None:
    """Write the profile that drift is measured against."""
    from quantize.drift import make_profile

    recipe = load_recipe(recipe_name)
    made = make_profile(recipe, build / recipe.name)
    windows = sum(len(recording.codes) for recording in made.recordings)
    groups = len({recording.group for recording in made.recordings})
    print(
        f"{recipe.name}: profile of {windows} windows of {groups} groups, {len(made.plan.tests)} "
        f"tests: {', '.join(made.plan.tests)}"
    )


def golden(
    path: Path, name: str | None, cases: int, inputs: Path | None, original: Path | None = None
) -> None:
    """Check a model made elsewhere, and ask TFLite Micro for its answers.

    The inputs are the user's own, [cases, *shape] for each model input, or edge cases and random
    ones. Raises ModelError for a model that does not compile, for inputs that are not its own, and
    for another float network than the one that it was made from, `original`.
    """
    name = name or re.sub(r"[^A-Za-z0-9._-]", "_", path.stem)
    if not NAME.fullmatch(name):
        raise ModelError(
            f"NAME={name[:80]}: expected up to 64 letters, digits, '_', '.' and '-', because "
            "results go to build/<name>"
        )
    begun = tracking.begin(name, {})
    graph = read_model(path)
    compile_graph(graph)  # refuse before anything is written
    most = MAX_CASE_BYTES // sum(graph.tensors[i].bytes for i in (*graph.inputs, *graph.outputs))
    if not 1 <= cases <= most:
        raise ModelError(f"CASES={cases}: expected 1 to {most}")
    out_dir = BUILD / name
    model = path.read_bytes()
    values = load_inputs(inputs) if inputs else random_inputs(graph, cases, SEED)
    result = make_golden(model, values)
    floats = None
    if original:
        floats = reference_outputs(original, graph, result, random_inputs=inputs is None)
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", result)
    if floats:
        save_float_outputs(out_dir / "float.npz", floats)
    else:
        (out_dir / "float.npz").unlink(missing_ok=True)
    tracking.start(out_dir, begun)


def emit(name: str, build: Path, flash_bytes: int | None) -> None:
    """Compile build/<name>/model.tflite into build/<name>/gen/<set>, for every set of kernels."""
    recipe = load_recipe(name) if name in recipe_names() or name.endswith(".toml") else None
    name = recipe.name if recipe else name
    out_dir = build / name
    path = out_dir / "model.tflite"
    if not path.exists():
        raise ModelError(f"{path}: no model; run `make quantise RECIPE={name}` first")
    labels: list[str] = []
    drift: dict[str, str] = {}
    if recipe is not None:
        from model.datasets import load_dataset
        from model.tasks import task_of

        labels = list(task_of(recipe, load_dataset(recipe.dataset).labels).predictions)
    if recipe is not None and (out_dir / "profile.json").exists():
        from quantize.drift import emit_drift, load_profile

        drift = emit_drift(load_profile(out_dir / "profile.json"), path.read_bytes(), name)
    manifests = compile_sets(
        path.read_bytes(),
        load_golden(out_dir / "golden.npz"),
        {kernels: out_dir / "gen" / kernels for kernels in KERNEL_SETS},
        name=name,
        settings=recipe.as_dict() if recipe else {},
        labels=labels,
        flash_bytes=flash_bytes,
        recipe=recipe,
    )
    for kernels, manifest in manifests.items():
        for file, text in drift.items():
            write_text(out_dir / "gen" / kernels / file, text)
        print(
            f"{name}, kernels {kernels}: {manifest['macs']} MACs, {manifest['weight_bytes']} bytes "
            f"of constants, arena {manifest['arena_bytes']} bytes (no plan is below "
            f"{manifest['arena_lower_bound']}), run {manifest['run_id']}"
        )
    tracking.record(out_dir)


def classical(recipe_name: str, kind: str) -> None:
    """Train a classical model of a quantised recipe and write its C into build/<recipe>-<kind>."""
    from quantize.classical import compile_classical

    recipe = load_recipe(recipe_name)
    name = f"{recipe.name}-{kind}"
    result = compile_classical(recipe, kind, BUILD / recipe.name, BUILD / name)
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


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors become one message and an exit code."""
    args = _parser().parse_args(arguments)
    return end(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.command == "inspect":
        return inspect(args.model, json=args.json)
    if args.command == "run":
        run(args.recipe, args.build or BUILD)
    elif args.command == "candidates":
        serve(sys.stdin, sys.stdout)
    elif args.command == "profile":
        profile(args.recipe, args.build or BUILD)
    elif args.command == "golden":
        golden(args.model, args.name, args.cases, args.inputs, args.float)
    elif args.command == "classical":
        classical(args.recipe, args.kind)
    else:
        emit(args.name, args.build or BUILD, args.flash)
    return 0


if __name__ == "__main__":
    sys.exit(main())
