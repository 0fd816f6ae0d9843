"""Take over a model made elsewhere: its file, the user's inputs, and TFLite Micro's answers."""

from __future__ import annotations

from pathlib import Path

from model import tracking
from quantize.errors import ModelError
from quantize.golden import load_inputs, make_golden, random_inputs, save_golden
from quantize.reference import compile_graph
from quantize.tflite.reader import read_model

DEFAULT_CASES = 100
MAX_CASE_BYTES = 512 << 20  # of all random inputs and their outputs
SEED = 1  # of the random inputs


def golden(out_dir: Path, name: str, cases: int, inputs: str | None) -> None:
    """Check out_dir/model.tflite and write golden.npz.

    The inputs are those of out_dir/`inputs`, [cases, *shape] for each model input, or edge cases
    and random ones. Raises ModelError for a model that does not compile, and for inputs that are
    not its own.
    """
    begun = tracking.begin(name, {})
    path = out_dir / "model.tflite"
    graph = read_model(path)
    compile_graph(graph)  # refuse before anything is written
    case_bytes = sum(graph.tensors[i].bytes for i in (*graph.inputs, *graph.outputs))
    maximum = MAX_CASE_BYTES // case_bytes
    if not 1 <= cases <= maximum:
        raise ModelError(f"--cases {cases} (CASES=): expected 1 to {maximum}")
    values = load_inputs(out_dir / inputs) if inputs else random_inputs(graph, cases, SEED)
    save_golden(out_dir / "golden.npz", make_golden(path.read_bytes(), values))
    tracking.start(out_dir, begun)
