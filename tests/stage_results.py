"""What the stages of a build leave behind, in small, for tests of what is recorded of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from model import results, tracking
from model.files import write_bytes, write_json

SETTINGS = {"title": "t", "train": {"seed": 1, "rates": [1, 2]}, "features": {"kind": "raw"}}
MODEL = b"a model"
PATIENCE_S = 120.0  # for a recording on a busy machine
SHA = hashlib.sha256(MODEL).hexdigest()
RUNS = {"ref": "0123456789ab", "armv7em": "ba9876543210"}  # a firmware's run id by its kernels


def train(out_dir: Path, settings: dict[str, Any] = SETTINGS, score: float = 0.9) -> None:
    """What `make check train` leaves."""
    data = settings.get("dataset", {}).get("sha256") or "d" * 64
    write_json(out_dir / "dataset.json", {"sha256": data, "splits": {"test": {"windows": 7}}})
    write_bytes(out_dir / "features.npz", b"features")
    write_bytes(out_dir / results.WEIGHTS, weights(settings, score))
    begun = tracking.begin(out_dir.name, settings)
    history = {"step": [10, 20], "loss": [0.5, 0.25]}
    metrics = {"test": {"balanced_accuracy": score, "recall": [1.0, 0.8]}}
    write_json(out_dir / "train.json", {"metrics": metrics, "history": history, "seconds": 9.5})
    tracking.start(out_dir, begun)


def weights(settings: dict[str, Any], score: float) -> bytes:
    """Determined by the settings and how well they do."""
    return json.dumps([settings, score]).encode()


def quantise(out_dir: Path, model: bytes = MODEL, settings: dict[str, Any] = SETTINGS) -> None:
    """What `make quantise emit` leaves."""
    sha = hashlib.sha256(model).hexdigest()
    write_bytes(out_dir / "model.tflite", model)
    ptq = {"test": {"balanced_accuracy": 0.88}, "sha256": sha}
    trained = hashlib.sha256((out_dir / results.WEIGHTS).read_bytes()).hexdigest()
    quantised = {"chosen": "ptq", "candidates": {"ptq": ptq}, "weights_sha256": trained}
    write_json(out_dir / "quantize.json", quantised)
    for kernels, run in RUNS.items():
        manifest = {"model_sha256": sha, "run_id": run, "macs": 5, "model_bytes": len(model)}
        write_json(out_dir / f"gen/{kernels}/manifest.json", manifest | {"settings": settings})
        write_bytes(out_dir / f"gen/{kernels}/model.c", b"int model;")


def compare(out_dir: Path, board: str, equal: int = 4, sha: str = SHA) -> None:
    """What `make parity` leaves."""
    content = {"cases": 4, "equal": equal, "model_sha256": sha, "port": None}
    write_json(out_dir / board / "parity.json", content)
