"""What a library says of its model: the values of its templates."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools.errors import HostToolsError
from host_tools.library.sources import SETS
from host_tools.report.results import read_result
from model import __version__
from model.decide import load_rule
from model.regression import RegressionJudge
from model.tasks import AnomalyJudge, IntegerError, Judge, load_judge
from quantize.answers import board_text, number_answers
from quantize.emit_c import C_TYPES

KEYS = ("name", "model_sha256", "arena_bytes", "inputs", "outputs", "labels", "settings")
HEAD_BYTES = 16  # of library_object_t before the front end, with pointers of 8 bytes
ALIGNMENT = 16
DECISION_BYTES = 12  # of decide_t
RULE_INPUTS = 4  # results in a mean that a rule of the user's own may have at least
POINTER_BYTES = 8  # what a state of the front end has more with pointers of 8 bytes than of 4
LINE = 92  # characters of a comment's line
MAX_OWN = 37  # letters of a library's name behind tp_
# status_t is t of a library <name>_status
BEGINNINGS = ("_status", "_score", "_rule", "_rule_max", "_is")
KINDS = {
    "classification": "class",
    "multilabel": "several",
    "regression": "numbers",
    "anomaly": "anomaly",
}

# The functions and constants of the public header: names.h gives them the library's prefix.
PUBLIC = (
    "t", "status_t", "score_t", "rule_t", "init_sized", "reset", "push", "push_float", "write",
    "ready", "input_bytes", "invoke", "output", "output_bytes", "scores", "best", "label", "decide",
    "has", "fixed", "anomaly", "is_anomaly", "selftest", "kernels",
)  # fmt: skip
PUBLIC_CONSTANTS = (
    "OK", "NOT_INITIALISED", "MISMATCH", "BAD_ARGUMENT", "NO_INPUT", "BUSY", "NUMBER", "KERNELS",
    "ANOMALY_THRESHOLD",
)  # fmt: skip
# Functions and types of the library's own parts.
INTERNAL = ("object", "enter", "leave", "object_t")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSet:
    """One set of kernels: sizes in bytes, and the number that init compares."""

    arena_bytes: int
    object_bytes: int
    number: str  # 8 hexadecimal digits


def library_name(name: str) -> str:
    """tp_ and the model's name in lower case: letters, digits and _, at most 40.

    A longer name ends with digits of its SHA-256. One that another library's functions or types
    may begin with, as tp_<other>_rule of tp_<other>_rule_t, gets another end.
    """
    own = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "model"
    if f"_{own}".endswith(BEGINNINGS):
        own += "_model"
    if len(own) > MAX_OWN:
        digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        own = f"{own[: MAX_OWN - 9].rstrip('_')}_{digits}"
    return f"tp_{own}"


def values_of(out_dir: Path, gen_dirs: Mapping[str, Path]) -> dict[str, Any]:
    """The values of all templates, from the manifests of a folder of results.

    Raises UsageError or FileNotFoundError as read_result does, and HostToolsError for manifests
    that are of different models.
    """
    manifests = {own: read_result(gen_dirs[k] / "manifest.json", *KEYS) for k, own in SETS.items()}
    first = manifests["portable"]
    if len({m["model_sha256"] for m in manifests.values()}) > 1:
        raise HostToolsError(f"{out_dir}/gen: kernels of different models; type make emit")
    name = library_name(first["name"])
    recipe = first["settings"]
    kind = KINDS[recipe.get("task", "classification")] if recipe else "plain"
    judge = load_judge(out_dir, recipe, len(first["labels"])) if recipe else None
    fe = first.get("features")
    golden = _golden_count(gen_dirs["ref"])
    anomaly = _anomaly(judge, first) if isinstance(judge, AnomalyJudge) else None
    rule = _rule(out_dir, first) if kind == "class" else None
    extra = anomaly["elements"] if anomaly else 0
    extra += DECISION_BYTES + (rule["max_inputs"] + 1) * len(first["labels"]) if rule else 0
    values: dict[str, Any] = {
        "name": name,
        "NAME": name.upper(),
        "model": first["name"],
        "version": __version__,
        "sha256": first["model_sha256"],
        "kind": kind,
        "fe": None,
        "anomaly": anomaly,
        "rule": rule,
        "anomaly_step": f"{anomaly['step']:.6g}" if anomaly else "",
        "labels": list(first["labels"]) if kind in ("class", "several") else [],
        "label_words": "The name of label" if kind == "several" else "The name of class",
        "sets": {own: _kernel_set(own, m, fe, extra) for own, m in manifests.items()},
        "inputs": [_tensor(t) for t in first["inputs"]],
        "outputs": [_tensor(t) for t in first["outputs"]],
        "golden_count": golden,
        "golden_bytes": golden * sum(int(t["bytes"]) for t in first["inputs"] + first["outputs"]),
        "answers": (gen_dirs["ref"] / "model_answers.h").is_file(),
        "lsb": [],
        "channel_units": [],
        "public": PUBLIC,
        "internal": INTERNAL,
        "public_constants": PUBLIC_CONSTANTS,
    }
    values |= _scores(first["outputs"][0])
    values |= _numbers(judge)
    values |= _front_end(fe, recipe)
    values |= {"label_lines": _label_lines(values["labels"])}
    return values | {"title": _title(values), "example_use": _use(values)}


def _scores(output: Mapping[str, Any]) -> dict[str, Any]:
    scale = output.get("scale")
    return {
        "scores": _elements(output),
        "score_type": C_TYPES[output["dtype"]],
        "score_scale": float_text(scale) if scale else "",
        "score_zero": output.get("zero_point", 0),
        "floats": output["dtype"] == "float32",
    }


def _elements(tensor: Mapping[str, Any]) -> int:
    count = 1
    for size in tensor["shape"]:
        count *= int(size)
    return count


def float_text(value: float) -> str:
    """A C number; a point is added where there is none, as an f follows."""
    text = f"{value:.9g}"
    return text if "." in text or "e" in text else f"{text}.0"


def _tensor(tensor: Mapping[str, Any]) -> dict[str, Any]:
    scale = tensor.get("scale")
    quant = f", scale {scale:.9g}, zero point {tensor['zero_point']}" if scale else ""
    return {
        "dtype": tensor["dtype"],
        "c": C_TYPES[tensor["dtype"]],
        "shape": list(tensor["shape"]),
        "bytes": tensor["bytes"],
        "quant": quant,
    }


def _golden_count(gen_dir: Path) -> int:
    """How many golden cases the generated code holds."""
    found = re.search(r"#define MODEL_GOLDEN_COUNT (\d+)", (gen_dir / "model.h").read_text("utf-8"))
    if found is None:
        raise HostToolsError(f"{gen_dir}/model.h: has no MODEL_GOLDEN_COUNT; type make emit")
    return int(found[1])


def _kernel_set(own: str, manifest: Mapping[str, Any], fe: Any, extra: int) -> KernelSet:
    """The features of a complete input lie where the input does, two bytes each."""
    arena = int(manifest["arena_bytes"])
    if fe:
        arena = max(arena, manifest["inputs"][0]["offset"] + 2 * fe["rows"] * fe["columns"])
    head = HEAD_BYTES + (int(fe["state_bytes"]) + POINTER_BYTES if fe else 0) + extra
    size = _aligned(head) + _aligned(arena) + ALIGNMENT
    text = json.dumps([__version__, manifest["model_sha256"], own, size])
    number = hashlib.sha256(text.encode()).hexdigest()[:8]
    return KernelSet(arena_bytes=arena, object_bytes=size, number=number)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _numbers(judge: Judge | None) -> dict[str, Any]:
    if not isinstance(judge, RegressionJudge):
        return {"decimals": [], "units": [], "target_names": [], "number_words": ""}
    answers = number_answers(judge.units)
    words = ", ".join(f"{a.name} in {a.unit}" for a in answers)
    return {
        "decimals": [a.decimals for a in answers],
        "units": list(judge.units.units),
        "target_names": [a.name for a in answers],
        "number_words": _comment(words),
    }


def _anomaly(judge: AnomalyJudge, manifest: Mapping[str, Any]) -> dict[str, Any]:
    error = judge.error
    assert isinstance(error, IntegerError)
    return {
        "elements": _elements(manifest["inputs"][0]),
        "multiplier": error.multiplier,
        "zero_in": error.zero_in,
        "zero_out": error.zero_out,
        "threshold": int(judge.threshold),
        "step": error.step,
    }


def _rule(out_dir: Path, manifest: Mapping[str, Any]) -> dict[str, int] | None:
    """The rule by which a class is decided on a stream; None where the model has none."""
    found = load_rule(out_dir, manifest["model_sha256"])
    output = manifest["outputs"][0]
    if found is None or output["dtype"] != "int8" or _elements(output) != len(manifest["labels"]):
        return None
    most = max(found.inputs, RULE_INPUTS)
    return {
        "inputs": found.inputs,
        "threshold": found.threshold,
        "pause": found.pause,
        "max_inputs": most,
    }


def _front_end(fe: Any, recipe: Mapping[str, Any]) -> dict[str, Any]:
    if not fe:
        return {}
    dataset = recipe["dataset"]
    units = zip(dataset["channels"], dataset["units"], strict=True)
    return {
        "fe": {"window": fe["window"], "hop": fe["hop"], "channels": len(fe["lsb"])},
        "rate_hz": f"{dataset['sample_rate_hz']:g}",
        "rate_millihertz": round(dataset["sample_rate_hz"] * 1000),
        "lsb": [f"{float_text(lsb)}f" for lsb in fe["lsb"]],
        "channel_units": list(dataset["units"]),
        "channel_words": _comment(", ".join(f"{c} in {u}" for c, u in units)),
    }


def _comment(text: str) -> str:
    """Text of a user's file for a C comment: printable ASCII that cannot end it."""
    return board_text(text).replace("\\", "/").replace("*/", "* /").replace("/*", "/ *")


def _label_lines(labels: Sequence[str]) -> list[str]:
    """Numbers and names for a C comment; a line ends between two of them where it can."""
    words = ", ".join(f"{i} {_comment(label)}" for i, label in enumerate(labels))
    return textwrap.wrap(words, LINE)


def _title(values: Mapping[str, Any]) -> str:
    inside = (
        f"{values['fe']['channels']} channels at {values['rate_hz']} Hz"
        if values["fe"]
        else f"{len(values['inputs'])} input(s)"
    )
    made = {
        "class": f"{len(values['labels'])} classes",
        "several": f"{len(values['labels'])} labels",
        "numbers": f"{len(values['decimals'])} number(s)",
        "anomaly": "an anomaly's score",
        "plain": f"{len(values['outputs'])} output(s)",
    }[values["kind"]]
    return f'The model "{_comment(values["model"])}": {inside} in, {made} out.'


def _use(values: Mapping[str, Any]) -> str:
    name = values["name"]
    return {
        "class": f"{name}_label({name}_best(&model))",
        "several": f"{name}_has(&model, 0)",
        "numbers": f"{name}_fixed(&model, 0)",
        "anomaly": f"{name}_is_anomaly(&model)",
        "plain": f"{name}_scores(&model)",
    }[values["kind"]]
