"""The profile of what a network sees and answers on its recipe's data, and the counting rule.

For each window the rule takes a few integers: of each channel the sum and the roughness (the sum of
the absolute second differences), of each group of channels the energy (the sum of the squared
distances from the zero point), and the highest score; where outputs are numbers or labels of their
own, each output. Each has edges that cut the profile's own
windows into BINS bins, narrow ones at the ends. The firmware counts windows in bins
(firmware/drift is this rule in C); host_tools.drift.compare compares the counts with the profile.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model import __version__
from model.datasets import load_dataset
from model.datasets.base import Dataset, Recording
from model.datasets.lists import split_groups
from model.datasets.truth import truth_of
from model.features import make_windows
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.files import write_json
from model.recipe import Recipe
from quantize.emit_c import render, safe_name
from quantize.errors import ModelError
from quantize.inputs import quantised_inputs
from quantize.tflite.graph import Graph
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro

BINS = 8
SHARES = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)  # of the windows below each edge
SCORE_SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)  # scores crowd at the top
MAX_CHANNELS = 16  # of more, as many spread evenly are watched
MAX_SAMPLES = 8192  # of a channel, from its start: the sums fit 32 bits
MAX_CLASSES = 64
MAX_OUTPUTS = 16  # whose values are counted
FILES = ("drift_plan.c", "drift_plan.h")

Codes = npt.NDArray[np.uint8]
Bytes = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftPlan:
    """How windows are counted."""

    samples: int  # of a channel
    stride: int  # elements from one sample of a channel to the next
    channels: tuple[str, ...]
    offsets: tuple[int, ...]  # of each channel's first sample in the input
    groups: tuple[int, ...]  # of each channel
    group_names: tuple[str, ...]
    zero_point: int  # of the input
    classes: int  # 1: the output is not a score for each class, and no score is counted
    outputs: tuple[str, ...]  # names of the first outputs, whose values are counted
    edges: tuple[tuple[int, ...], ...]  # [tests][BINS - 1], ascending

    @property
    def tests(self) -> tuple[str, ...]:
        """What is counted, in order."""
        return (
            *(f"{channel} {what}" for channel in self.channels for what in ("mean", "roughness")),
            *(f"{group} energy" for group in self.group_names),
            *(("confidence",) if self.classes > 1 else ()),
            *(f"{output}, told" for output in self.outputs),
        )

    def measure(self, inputs: Bytes, outputs: Bytes) -> npt.NDArray[np.int64]:
        """[windows, input bytes], [windows, output bytes] -> the integers, [windows, tests]."""
        rows = np.arange(self.samples) * self.stride
        columns = []
        energies = np.zeros((len(self.group_names), len(inputs)), np.int64)
        for offset, group in zip(self.offsets, self.groups, strict=True):
            x = inputs[:, offset + rows].astype(np.int64)
            columns += [x.sum(1), np.abs(np.diff(x, n=2, axis=1)).sum(1)]
            energies[group] += ((x - self.zero_point) ** 2).sum(1)
        columns += list(energies)
        if self.classes > 1:
            columns.append(outputs.max(axis=1).astype(np.int64))
        columns += list(outputs[:, : len(self.outputs)].T.astype(np.int64))
        return np.stack(columns, axis=1)

    def count(self, inputs: Bytes, outputs: Bytes) -> tuple[Codes, Codes]:
        """(the bin of each window in each test, [windows, tests]; its class, [windows])."""
        values = self.measure(inputs, outputs)
        bins = [
            np.searchsorted(np.array(edges), column, side="right")
            for edges, column in zip(self.edges, values.T, strict=True)
        ]
        classes = outputs.argmax(axis=1) if self.classes > 1 else np.zeros(len(inputs))
        return np.stack(bins, axis=1).astype(np.uint8), classes.astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedRecording:
    """The windows of one recording in their order."""

    group: str
    codes: Codes  # [windows, tests], the bin
    classes: Codes  # [windows], as the network sees it


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What profile.json holds: the training and validation groups, window by window."""

    plan: DriftPlan
    model_sha256: str
    labels: tuple[str, ...]
    recordings: tuple[CountedRecording, ...]

    @property
    def number(self) -> int:
        """32 bits that stand for the plan and the model, in the firmware too."""
        text = json.dumps([dataclasses.asdict(self.plan), self.model_sha256], sort_keys=True)
        return zlib.crc32(text.encode())


def make_plan(
    recipe: Recipe, dataset: Dataset, graph: Graph, inputs: Bytes, outputs: Bytes
) -> DriftPlan:
    """The plan whose edges cut `inputs` and `outputs`, a row a window, into the wanted shares."""
    tensor, output = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    stride = tensor.shape[-1]
    count = min(stride, MAX_CHANNELS)
    offsets = tuple(k * stride // count for k in range(count))
    titled = len(dataset.channels) == stride
    channels = tuple(dataset.channels[k] if titled else f"input {k}" for k in offsets)
    inertial = recipe.augment.kind == "inertial" and recipe.features.kind == "raw" and stride == 6
    counted = dataset.labels[:MAX_OUTPUTS] if recipe.task in ("regression", "multilabel") else ()
    scored = not counted and output.elements == len(dataset.labels) <= MAX_CLASSES
    plan = DriftPlan(
        samples=min(tensor.elements // stride, MAX_SAMPLES),
        stride=stride,
        channels=channels,
        offsets=offsets,
        groups=(0, 0, 0, 1, 1, 1) if inertial else tuple(range(count)),
        group_names=("accelerometer", "gyroscope") if inertial else channels,
        zero_point=tensor.quant.zero_point[0] if tensor.quant else 0,
        classes=len(dataset.labels) if scored else 1,
        outputs=counted,
        edges=(),
    )
    values = plan.measure(inputs, outputs)
    shares = [SHARES] * values.shape[1]
    if scored:
        shares[-1] = SCORE_SHARES
    edges = [np.quantile(v, s) for v, s in zip(values.T, shares, strict=True)]
    return dataclasses.replace(plan, edges=tuple(tuple(int(np.ceil(e)) for e in r) for r in edges))


def recording_inputs(dataset: Dataset, recipe: Recipe, model: bytes, recording: Recording) -> Bytes:
    """The network's inputs [windows, bytes] of one recording."""
    alone = dataclasses.replace(dataset, recordings=(recording,))
    windows = make_windows(alone, Extractor(recipe_front_end(recipe)), {recording.group})
    return quantised_inputs(parse_model(model), windows).reshape(len(windows.y), -1)


def answers(model: bytes, inputs: Bytes) -> Bytes:
    """What TFLite Micro answers, [windows, output bytes]."""
    graph = parse_model(model)
    shape = graph.tensors[graph.inputs[0]].shape
    interpreter = TfliteMicro(model)
    rows = []
    for row in inputs:
        interpreter.reset()
        rows.append(interpreter.run([row.reshape(shape)])[0].reshape(-1))
    return np.stack(rows)


def known_recordings(recipe: Recipe, dataset: Dataset, *, held_out: bool) -> Iterator[Recording]:
    """The recordings of the test groups, or those of all others."""
    test = split_groups(dataset, recipe.dataset)["test"]
    for recording in dataset.recordings:
        if (recording.group in test) == held_out:
            yield recording


def make_profile(recipe: Recipe, out_dir: Path) -> Profile:
    """Count the windows of the training and validation groups; write profile.json.

    Raises ModelError when the model of `out_dir` is missing or has other tensors than one int8
    input and output.
    """
    path = out_dir / "model.tflite"
    if not path.exists():
        raise ModelError(f"{path}: no model; run `make quantise RECIPE={recipe.name}` first")
    model = path.read_bytes()
    graph = parse_model(model)
    types = [graph.tensors[i].dtype for i in (*graph.inputs, *graph.outputs)]
    if types != ["int8", "int8"]:
        raise ModelError(f"{path}: a profile is of one int8 input and output, this has {types}")
    dataset = load_dataset(recipe.dataset, truth_of(recipe))
    found = []
    for recording in known_recordings(recipe, dataset, held_out=False):
        inputs = recording_inputs(dataset, recipe, model, recording)
        if len(inputs):
            found.append(
                (str(dataset.group_title(recording.group)), inputs, answers(model, inputs))
            )
    plan = make_plan(
        recipe,
        dataset,
        graph,
        np.concatenate([inputs for _, inputs, _ in found]),
        np.concatenate([outputs for _, _, outputs in found]),
    )
    recordings = []
    for group, inputs, outputs in found:
        codes, classes = plan.count(inputs, outputs)
        recordings.append(CountedRecording(group=group, codes=codes, classes=classes))
    profile = Profile(
        plan=plan,
        model_sha256=hashlib.sha256(model).hexdigest(),
        labels=tuple(dataset.labels),
        recordings=tuple(recordings),
    )
    write_json(out_dir / "profile.json", as_json(profile))
    return profile


def as_json(profile: Profile) -> dict[str, Any]:
    """The content of profile.json; a window is a string of digits, one for each test's bin."""
    codes = np.concatenate([r.codes for r in profile.recordings])
    classes = np.concatenate([r.classes for r in profile.recordings])
    tests = zip(profile.plan.tests, codes.T, strict=True)
    return {
        "plan": dataclasses.asdict(profile.plan),
        "number": profile.number,
        "model_sha256": profile.model_sha256,
        "labels": list(profile.labels),
        "histograms": {name: np.bincount(c, minlength=BINS).tolist() for name, c in tests},
        "predictions": np.bincount(classes, minlength=profile.plan.classes).tolist(),
        "recordings": [
            {
                "group": r.group,
                "codes": ["".join(map(str, row)) for row in r.codes.tolist()],
                "classes": r.classes.tolist(),
            }
            for r in profile.recordings
        ],
    }


def load_profile(path: Path) -> Profile:
    """Read profile.json; ModelError when it is missing, damaged or of another version."""
    try:
        content = json.loads(path.read_text("utf-8"))
        fields = content["plan"]
        tuples = {k: tuple(v) for k, v in fields.items() if isinstance(v, list)}
        edges = tuple(tuple(int(e) for e in row) for row in fields["edges"])
        plan = DriftPlan(**{**fields, **tuples, "edges": edges})
        tests = len(plan.tests)
        recordings = tuple(_recording(r, tests, plan.classes) for r in content["recordings"])
        profile = Profile(
            plan=plan,
            model_sha256=str(content["model_sha256"]),
            labels=tuple(map(str, content["labels"])),
            recordings=recordings,
        )
        if profile.number != content["number"] or len(edges) != tests or not recordings:
            raise ValueError("the plan is not the one it was made with")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: no profile of the recipe's windows: {error}; run `make emit`"
        ) from error
    return profile


def _recording(content: dict[str, Any], tests: int, classes: int) -> CountedRecording:
    codes = np.array([[int(digit) for digit in row] for row in content["codes"]], np.uint8)
    seen = np.array(content["classes"], np.uint8)
    if codes.shape != (len(seen), tests) or codes.max() >= BINS or seen.max() >= classes:
        raise ValueError(f"windows of shape {codes.shape}; expected {tests} bins each")
    return CountedRecording(group=str(content["group"]), codes=codes, classes=seen)


def emit_drift(profile: Profile, model: bytes, name: str) -> dict[str, str]:
    """File name -> text of FILES, which firmware/drift counts by. Only integers go in.

    Raises ModelError when the profile is of another model.
    """
    if profile.model_sha256 != (digest := hashlib.sha256(model).hexdigest()):
        raise ModelError(
            f"profile.json is of model {profile.model_sha256[:16]}, the model is {digest[:16]}; "
            "run `make emit`"
        )
    plan = profile.plan
    values: dict[str, object] = {
        "name": safe_name(name),
        "version": __version__,
        "number": f"0x{profile.number:08x}u",
        "plan": plan,
        "bins": BINS,
        "tests": len(plan.tests),
        "edges": [", ".join(map(str, row)) for row in plan.edges],
    }
    return {file: render(file, **values) for file in FILES}
