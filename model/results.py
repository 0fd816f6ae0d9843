"""Which files of a folder are results of its experiment: by their content, never by their date.

A folder may still hold what was made from an earlier training. A result says which model or which
settings it is of, and so does a neighbour of a file that cannot: the manifest of generated code,
report.json of pictures. The model itself is of the training whose weights quantize.json names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from model.errors import DataError

RESULTS = ("*.json", "*/*.json", "gen/*/manifest.json")
EXPERIMENT, RECORDED = "experiment.json", "recorded.json"  # of model.tracking and model.store
REPORT, QUANTISED, TRAINED = "report.json", "quantize.json", "train.json"
MODEL, WEIGHTS = "model.tflite", "float.weights.h5"
NO_RESULTS = {EXPERIMENT, RECORDED, REPORT}
KEPT = (MODEL, "report.html", "plots/*.svg")  # artifacts besides the results
# What a stage makes and a repetition makes again, byte for byte.
FINGERPRINTED = {
    "network": ("network.json",),
    "check": ("features.npz",),
    "train": (WEIGHTS,),
    "quantise": (MODEL, "golden.npz"),
    "profile": ("profile.json",),
    "rule": ("rule.json",),
    "emit": ("gen/*/*.c", "gen/*/*.h", "gen/*/*.cc"),
}
CHECKED = "dataset.json"
OF_DATA = {CHECKED, "features.npz"}
OF_TRAINING = {"network.json", *OF_DATA, WEIGHTS, TRAINED}
OF_MODEL = {QUANTISED, MODEL, "golden.npz", "anomaly.json"}
Json = dict[str, Any]


def digests(out_dir: Path) -> dict[str, str]:
    """Each file that may belong to an experiment in `out_dir`, with its SHA-256."""
    patterns = {*RESULTS, *KEPT, *(p for own in FINGERPRINTED.values() for p in own)}
    found = sorted({path for pattern in patterns for path in out_dir.glob(pattern)})
    return {
        path.relative_to(out_dir).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if path.name not in (EXPERIMENT, RECORDED)
    }


def own_files(out_dir: Path, settings: Mapping[str, object]) -> tuple[dict[str, str], Json]:
    """The files of the experiment with these settings: (name -> SHA-256, name -> JSON of results).

    Raises DataError for a result file that is no JSON.
    """
    found = digests(out_dir)
    contents = {name: _read(out_dir / name) for name in found if matches(name, RESULTS)}
    model = _own_model(found, contents)
    own = {"model_sha256": model, "network_sha256": model, "settings": settings}

    def says_so(content: Json | None) -> bool:
        told = own.keys() & (content or {}).keys()
        return bool(told) and all((content or {})[key] == own[key] for key in told)

    def belongs(name: str) -> bool:
        if name in OF_TRAINING:
            return name not in OF_DATA or _same_data(contents.get(CHECKED, {}), settings)
        if name in OF_MODEL:
            return model is not None
        if name == REPORT or matches(name, KEPT):
            report = contents.get(REPORT, {})
            same_training = report.get("train") == contents.get(TRAINED)
            return same_training and (not report.get("manifest") or says_so(report["manifest"]))
        if name.startswith("gen/"):
            name = str(PurePosixPath(name).with_name("manifest.json"))
        return says_so(contents.get(name))

    files = {name: digest for name, digest in found.items() if belongs(name)}
    return files, {k: v for k, v in contents.items() if k in files and k not in NO_RESULTS}


def _same_data(checked: Json, settings: Mapping[str, object]) -> bool:
    """False for a check of other data than the experiment's: `check --accept` after a training."""
    dataset = settings.get("dataset")
    wanted = dataset.get("sha256") if isinstance(dataset, Mapping) else None
    return not wanted or checked.get("sha256") == wanted


def _own_model(found: Mapping[str, str], contents: Mapping[str, Json]) -> str | None:
    """SHA-256 of the experiment's int8 model; None where the folder has none, or another's."""
    model = found.get(MODEL)
    if WEIGHTS not in found:
        return model  # made elsewhere: the experiment begins with it
    quantised = contents.get(QUANTISED, {})
    if quantised.get("weights_sha256") != found[WEIGHTS]:
        return None
    chosen = quantised.get("candidates", {}).get(quantised.get("chosen"), {})
    return model if chosen.get("sha256") == model else None


def _read(path: Path) -> Json:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}; delete it") from error
    return content if isinstance(content, dict) else {}


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path in an experiment's folder is one that a pattern names."""
    path = PurePosixPath(name)
    return any(len(path.parts) == p.count("/") + 1 and path.match(p) for p in patterns)


def fingerprints(files: Mapping[str, str]) -> dict[str, str]:
    """Those of `files` (name -> SHA-256) that a repetition makes again."""
    patterns = tuple(pattern for own in FINGERPRINTED.values() for pattern in own)
    return {name: digest for name, digest in files.items() if matches(name, patterns)}
