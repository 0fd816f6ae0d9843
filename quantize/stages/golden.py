"""Take over a model made elsewhere: its file, the user's inputs, and TFLite Micro's answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model import tracking
from model.files import write_arrays
from quantize.errors import ModelError
from quantize.float_outputs import save_float_outputs
from quantize.float_reference import reference_outputs
from quantize.golden import (
    MAX_ABORTS,
    Aborted,
    Golden,
    Unanswered,
    load_inputs,
    make_golden,
    own_inputs,
    random_inputs,
    save_golden,
)
from quantize.pairing import LABELS, labels_misfit
from quantize.reference import compile_graph
from quantize.tflite.graph import Graph
from quantize.tflite.reader import read_model

MAX_CASE_BYTES = 512 << 20  # of all random inputs and their outputs
SEED = 1  # of the random inputs
SEQUENCE = 10  # cases that a model with a state gets in a row


def golden(
    out_dir: Path, name: str, cases: int, inputs: str | None, float_model: str | None
) -> None:
    """Check out_dir/model.tflite and write golden.npz, and float.npz of its float original.

    The inputs are those of out_dir/`inputs`, [cases, *shape] for each model input, or edge cases
    and random ones; a model with a state runs them in sequences, without a reset in between.
    Labels beside the inputs become labels.npz. `float_model` is another file there. Raises
    ModelError for a model that does not compile, for inputs that are not its own, and for a float
    network of other shapes.
    """
    begun = tracking.begin(name, {})
    path = out_dir / "model.tflite"
    graph = read_model(path)
    compile_graph(graph)  # refuse before anything is written
    case_bytes = sum(graph.tensors[i].bytes for i in (*graph.inputs, *graph.outputs))
    maximum = MAX_CASE_BYTES // case_bytes
    if not inputs and not 1 <= cases <= maximum:
        raise ModelError(f"--cases {cases} (CASES=): expected 1 to {maximum}")
    sequence = SEQUENCE if graph.variables and not float_model else 1
    model, labels = path.read_bytes(), None
    if inputs:
        try:
            arrays = load_inputs(out_dir / inputs)
            if LABELS in arrays and len(arrays) == len(graph.inputs) + 1:
                labels = arrays.pop(LABELS)
            result = make_golden(model, own_inputs(arrays, graph, "the file"), sequence)
        except ModelError as error:
            raise ModelError(f"INPUTS=: {error}") from error
    else:
        result = _random_cases(model, graph, name, cases, sequence)
    floats = None
    if float_model:
        original = out_dir / float_model
        floats = reference_outputs(original, graph, result, random_inputs=inputs is None)
    save_golden(out_dir / "golden.npz", result)
    (out_dir / "float.npz").unlink(missing_ok=True)
    if floats:
        save_float_outputs(out_dir / "float.npz", floats)
    (out_dir / "labels.npz").unlink(missing_ok=True)
    if labels is not None:
        if unfit := labels_misfit(labels, len(result), result.outputs[0][0].size):
            print(f"{name}: no accuracy: {unfit}")
        else:
            write_arrays(out_dir / "labels.npz", {"y": labels.astype(np.int64)})
    tracking.start(out_dir, begun)


def _random_cases(model: bytes, graph: Graph, name: str, cases: int, sequence: int) -> Golden:
    """Golden cases of random inputs, without the sequences in which TFLite Micro has no answer."""
    values, kept = random_inputs(graph, cases, SEED), list(range(cases))
    while True:
        try:
            return make_golden(model, [v[kept] for v in values], sequence)
        except Unanswered as error:
            out = {place // sequence for place in error.cases}
            left = [case for place, case in enumerate(kept) if place // sequence not in out]
            if not left or (isinstance(error, Aborted) and len(error.cases) >= MAX_ABORTS):
                raise
            print(f"{name}: left out {len(kept) - len(left)} of {cases} random cases: {error.why}")
            kept = left
