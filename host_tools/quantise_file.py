"""From somebody's float network to an imported int8 model, and what that has cost."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from host_tools.errors import UsageError
from host_tools.parity.float_comparison import (
    Compared,
    class_decisions,
    class_pair,
    compare_float,
    output_difference,
)
from host_tools.project import (
    DEFAULT_CASES,
    FLOAT_SUFFIXES,
    QUANTISED,
    Import,
    import_model,
    open_source,
)
from host_tools.stages.graph import Source, model_name
from host_tools.stages.session import make
from host_tools.wording import as_typed
from model.files import MAX_NETWORK_BYTES, read_bounded, write_arrays, write_json
from model.processes import scratch_folder
from model.recipe import ParityConfig
from model.stages.splits import load_splits
from model.text import printable
from quantize.convert import FloatNetwork, OutputPair, Quantised, open_network, quantise_network
from quantize.pairing import LABELS, labels_misfit
from quantize.representative import (
    WHY_NOT_RANDOM,
    Inputs,
    Representative,
    from_file,
    from_folder,
    from_random,
    from_windows,
)
from quantize.tflite.reader import MAX_FILE_BYTES

ZIP_BYTES = 1 << 20  # that an .npz may take beyond its values
SHOWN = 10  # layers that are printed
RECORDED = 200  # layers in the result


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What is said of a float network and of its representative inputs."""

    array: str | None = None  # of C source
    inputs: Path | None = None
    data: Path | None = None
    recipe: str | None = None
    random: bool = False
    cases: int | None = None  # that parity compares

    @property
    def whence(self) -> str:
        """Where the representative inputs are."""
        if self.recipe is not None:
            return f"RECIPE={self.recipe}"
        return f"INPUTS={self.inputs}" if self.inputs is not None else f"DATA={self.data}"

    def __post_init__(self) -> None:
        ways = [w for w in (self.inputs, self.data, self.recipe, self.random) if w]
        if len(ways) != 1:
            raise UsageError(
                f"expected representative inputs by one of INPUTS=X.npz, DATA=FOLDER and "
                f"RECIPE=NAME, got {len(ways) or 'none'}: {WHY_NOT_RANDOM}; for a trial that is "
                "not to be used: RANDOM=1"
            )


def quantise_file(path: Path, given: Given, *, dry: bool = False) -> Source | None:
    """Convert, compare, import and print; `dry` only says so.

    Raises ModelError for a network or inputs that are not taken, and UsageError.
    """
    if dry:
        print(f"quantise: would convert {printable(str(path))}, compare it and import it")
        return None
    with scratch_folder("quantise") as folder:
        network = open_network(path, folder, given.array)
        inputs = representative(given, network.inputs)
        kept = kept_cases(inputs, given)
        found = quantise_network(network, inputs)
        source = _import(network, inputs, given, found, kept)
    result = summary(path, network, inputs, found)
    result["inputs"]["kept"] = len(kept)
    write_json(source.folder / QUANTISED, result)
    _print(result)
    return source


def kept_cases(inputs: Representative, given: Given) -> list[int]:
    """The cases that parity will compare, spread evenly; none of random inputs.

    Raises UsageError for more than an import takes: as many as are asked for, or one alone.
    """
    if inputs.random:
        return []
    case_bytes = sum(values[0].nbytes for values in inputs.inputs)
    most = (MAX_FILE_BYTES - ZIP_BYTES) // case_bytes
    wanted = min(len(inputs), given.cases or DEFAULT_CASES)
    if most == 0 or (given.cases and wanted > most):
        raise UsageError(
            f"{given.whence}: {wanted:,} cases of {case_bytes:,} bytes are more than parity keeps, "
            f"{MAX_FILE_BYTES:,} bytes; "
            + (f"give CASES={most} or fewer" if most else "give a network of smaller inputs")
        )
    return list(np.linspace(0, len(inputs) - 1, min(wanted, most)).round().astype(int))


def representative(given: Given, network: Inputs) -> Representative:
    """The inputs that are meant, for the network's own."""
    if given.inputs is not None:
        return from_file(given.inputs, network)
    if given.data is not None:
        return from_folder(given.data, network)
    if given.recipe is None:
        return from_random(network)
    source = open_source(given.recipe, None, Import())
    if source.recipe is None:
        raise UsageError(f"RECIPE={given.recipe}: a model made elsewhere, which has no windows")
    make(source, source.stages_to("check"), dry_run=False, why=False)
    train = load_splits(source.folder).train
    return from_windows(train.x, train.y, network, f"training windows of {source.name}")


def _import(
    network: FloatNetwork,
    inputs: Representative,
    given: Given,
    found: Quantised,
    cases: list[int],
) -> Source:
    """As `tinyproof import`, with some of the inputs and the float network."""
    own = network.folder / "import"
    own.mkdir()
    model = own / f"{model_name(network.path)}.tflite"
    (network.folder / "int8.tflite").rename(model)
    kept: Path | None = None
    if not inputs.random:
        kept = own / "inputs.npz"
        arrays = {f"input_{i:04}": v[cases] for i, v in enumerate(inputs.inputs)}
        if inputs.labels is not None and not _misfit(found.outputs[0], inputs):
            arrays[LABELS] = inputs.labels[cases]
        write_arrays(kept, arrays)
    # Of several ends the converted file has the names that the int8 model has, and their order.
    single = len(network.graph.inputs) == len(network.graph.outputs) == 1
    taken = network.path.is_file() and network.path.suffix.lower() in FLOAT_SUFFIXES
    original = network.path if single and taken else network.folder / "float.tflite"
    how = Import(cases=given.cases, inputs=kept, float_model=original)
    source = import_model(model, how, anew=True)
    make(source, source.stages(), dry_run=False, why=False)
    return source


def summary(
    path: Path, network: FloatNetwork, inputs: Representative, found: Quantised
) -> dict[str, Any]:
    """What quantise.json holds."""
    data = read_bounded(path, MAX_NETWORK_BYTES) if path.is_file() else None
    return {
        "network": path.name,
        "network_sha256": hashlib.sha256(data).hexdigest() if data is not None else None,
        "tools": [
            *dict.fromkeys([*([network.tool] if network.tool else []), *found.tool.split("; ")])
        ],
        "inputs": {
            "from": inputs.told,
            "cases": len(inputs),
            "given": inputs.given,
            "random": inputs.random,
            "pairs": list(inputs.pairs),
        },
        "outputs": [_output(i, pair) for i, pair in enumerate(found.outputs)],
        "accuracy": _accuracy(found.outputs[0], inputs),
        "layers": found.layers[:RECORDED],
        "warnings": [
            *found.warnings,
            *_misfit(found.outputs[0], inputs),
            *([] if inputs.random else _apart(path.name, inputs, found.outputs)),
        ],
    }


def _apart(name: str, inputs: Representative, outputs: Sequence[OutputPair]) -> Sequence[str]:
    """The outputs and decisions that parity will not pass, why and what to do."""
    first = outputs[0]
    rebuilt = first.floats.shape[1:] == inputs.inputs[0].shape[1:]  # values, and no classes
    compared = Compared(
        cases=range(len(inputs)),
        golden_cases=len(inputs),
        floats=[pair.floats for pair in outputs],
        device=[pair.int8 for pair in outputs],
        decisions=None if rebuilt else class_pair(first.floats, first.int8),
        names=(),
        labels=None,
        places=[pair.place for pair in outputs],
    )
    return compare_float(name, compared, ParityConfig()).failures


def _output(index: int, pair: OutputPair) -> dict[str, Any]:
    entry = asdict(output_difference(index, pair.floats, pair.int8))
    equal = None
    if pair.floats[0].size > 1:
        sides = [class_decisions(values).chosen for values in (pair.floats, pair.int8)]
        equal = int((sides[0] == sides[1]).sum())
    return {**entry, "name": pair.name, "equal_decisions": equal}


def _accuracy(pair: OutputPair, inputs: Representative) -> dict[str, float] | None:
    """Shares of the labels that both sides decide for; None without labels that fit."""
    if inputs.labels is None or _misfit(pair, inputs):
        return None
    sides = {"float": pair.floats, "int8": pair.int8}
    return {k: float((class_decisions(v).chosen == inputs.labels).mean()) for k, v in sides.items()}


def _misfit(pair: OutputPair, inputs: Representative) -> list[str]:
    """Why no accuracy is computed from labels that are there."""
    if inputs.labels is None:
        return []
    unfit = labels_misfit(inputs.labels, len(inputs), pair.floats[0].size)
    return [f"no accuracy: {unfit}"] if unfit else []


def _decibels(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _print(result: dict[str, Any]) -> None:
    console = Console()
    cases, given = result["inputs"]["cases"], result["inputs"]["given"]
    of = f" of {given:,}" if given > cases else ""
    kept = result["inputs"]["kept"]
    told = (
        f"{result['network']}: {'; '.join(result['tools'])}",
        f"calibrated and compared on {cases:,}{of} cases: {result['inputs']['from']}",
        f"kept for parity: {kept:,} of them; CASES= changes that" if kept else "",
        *(f"input {pair}" for pair in result["inputs"]["pairs"]),
    )
    for line in filter(None, told):
        _say(console, line)
    table = Table("output", "largest", "mean", "float's range", "SQNR dB", "equal decisions")
    for row in result["outputs"]:
        equal = row["equal_decisions"]
        numbers = (f"{row[key]:.3g}" for key in ("largest", "mean", "float_range"))
        decided = "-" if equal is None else f"{equal:,} of {cases:,} ({equal / cases:.1%})"
        table.add_row(
            f"{row['output']} {escape(row['name'][:40])}",
            *numbers,
            _decibels(row["sqnr_db"]),
            decided,
        )
    console.print(table)
    if found := result["accuracy"]:
        several = len(result["outputs"]) > 1
        of_output = f" of output 0, {result['outputs'][0]['name'][:40]}," if several else ""
        console.print(
            f"accuracy{of_output} against labels, on these cases: float {found['float']:.1%}, int8 "
            f"{found['int8']:.1%}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if result["layers"]:
        console.print(_layer_table(result["layers"]))
    for line in result["warnings"]:
        _say(console, f"warning: {line}")


def _say(console: Console, line: str) -> None:
    console.print(printable(as_typed(line)), markup=False, highlight=False, soft_wrap=True)


def _layer_table(layers: Sequence[dict[str, Any]]) -> Table:
    """The layers with most noise first."""
    worst = sorted(layers, key=lambda row: np.inf if row["sqnr_db"] is None else row["sqnr_db"])
    title = f"layers with most noise, {min(len(layers), SHOWN)} of {len(layers)}"
    table = Table("tensor", "operator", "largest", "mean", "float's range", "SQNR dB", title=title)
    for row in worst[:SHOWN]:
        span = f"{row['minimum']:.3g} to {row['maximum']:.3g}"
        numbers = (f"{row[key]:.3g}" for key in ("largest", "mean"))
        operator = escape(printable(row["operator"]))
        table.add_row(str(row["tensor"]), operator, *numbers, span, _decibels(row["sqnr_db"]))
    return table
