"""Result files of a run that never happened, with plausible numbers."""

from __future__ import annotations

import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from host_tools.bench.estimate import estimate
from host_tools.bench.instructions import Executed, mix
from model.files import write_json
from quantize.golden import Golden, save_golden
from quantize.lowering import KERNEL_SETS

SHA = "5f" * 32
LABELS = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
OPERATORS = (
    # op, output shape, macs, constant bytes
    ("CONV_2D", (1, 1, 100, 16), 48_000, 640),
    ("MAX_POOL_2D", (1, 1, 50, 16), 0, 0),
    ("CONV_2D", (1, 1, 50, 32), 128_000, 2_944),
    ("MAX_POOL_2D", (1, 1, 25, 32), 0, 0),
    ("CONV_2D", (1, 1, 25, 32), 128_000, 5_504),
    ("MEAN", (1, 32), 0, 0),
    ("FULLY_CONNECTED", (1, 7), 224, 336),
    ("SOFTMAX", (1, 7), 0, 0),
)
PER_MAC = {"qemu_m4": 4.6, "qemu_xtensa": 11.2, "nano33": 4.6, "esp32": 10.9}


SETTINGS: dict[str, Any] = {
    "train": {"epochs": 60, "seed": 7},
    "network": {"filters": [16, 32, 32]},
}


def metrics(accuracy: float, classes: int = len(LABELS), seed: int = 1) -> dict[str, Any]:
    """Metrics of a plausible classifier with about this accuracy."""
    rng = random.Random(seed)
    confusion = []
    for true in range(classes):
        right = min(40, round(40 * (accuracy + rng.uniform(-0.08, 0.08))))
        row = [0] * classes
        row[true] = right
        for _ in range(40 - right):
            row[(true + rng.choice([1, 1, 1, 2])) % classes] += 1
        confusion.append(row)
    recall = [confusion[i][i] / 40 for i in range(classes)]
    balanced = sum(recall) / classes
    return {
        "accuracy": balanced,
        "balanced_accuracy": balanced,
        "g_mean": float(np.prod(recall) ** (1 / classes)),
        "recall": recall,
        "confusion": confusion,
    }


def manifest(name: str, settings: dict[str, Any], labels: tuple[str, ...]) -> dict[str, Any]:
    """A manifest as quantize.manifest writes it."""
    operators, arena = [], []
    sizes = [600, *(int(np.prod(shape)) for _, shape, _, _ in OPERATORS)]
    for index, (op, shape, macs, constant_bytes) in enumerate(OPERATORS):
        output = {"tensor": index + 1, "shape": list(shape), "bytes": sizes[index + 1]}
        operators.append(
            {
                "index": index,
                "op": op,
                "version": 1,
                "step": index,
                "rounding": "double",
                "macs": macs,
                "constant_bytes": constant_bytes,
                "output": output,
            }
        )
    for index, size in enumerate(sizes):
        offset = 0 if index % 2 else 1600
        arena.append(
            {
                "tensors": [index],
                "offset": offset,
                "bytes": -(-size // 16) * 16,
                "first_step": max(index - 1, 0),
                "last_step": index,
            }
        )
    return {
        "name": name,
        "model_sha256": SHA,
        "model_bytes": 15_240,
        "run_id": "0123456789ab",
        "version": "0.1.0",
        "labels": list(labels),
        "settings": settings,
        "reference": {"cases": 607, "equal": 607},
        "tools": {"python": "3.11.7", "numpy": "2.3.1", "tflite-micro": "0.dev1"},
        "inputs": [],
        "outputs": [],
        "operators": operators,
        "constants": [],
        "macs": sum(o[2] for o in OPERATORS),
        "weight_bytes": sum(o[3] for o in OPERATORS),
        "arena_bytes": 2400,
        "arena_lower_bound": 2400,
        "arena": arena,
        "tflm_arena_bytes": 9_876,
        "folded": {
            "channels": 3,
            "macs": 4_321,
            "bytes": 234,
            "operators": [
                {"index": 0, "op": "CONV_2D", "channels": 3, "macs": 1_200, "bytes": 100},
                {"index": 2, "op": "CONV_2D", "channels": 0, "macs": 3_121, "bytes": 134},
            ],
        },
    }


def parity(board: str, cases: int = 280, **changes: Any) -> dict[str, Any]:
    """A board that equals the reference, but for `changes`."""
    emulator = {"nano33": "labwired_nrf52840", "esp32": "labwired_esp32"}.get(board, board)
    return {
        "board": board,
        "cases": cases,
        "equal": cases,
        "first_difference": None,
        "reference": "tflite_micro 0.dev1",
        "model_sha256": SHA,
        "run_id": "0123456789ab",
        "emulator": emulator,
        "port": None,
        "seconds": 12.34,
        "selftest": {"cases": 2, "failures": 0},
        "metrics": metrics(0.93) if cases == 280 else None,
        "accuracy": {"cases": cases, "correct": round(0.93 * cases)},
        "float_comparison": float_comparison(cases) if cases else None,
        "float_missing": None,
    } | changes


def float_comparison(cases: int = 280, **changes: Any) -> dict[str, Any]:
    """A board that decides three windows otherwise than the float network, but for `changes`."""
    flip = {
        "case": 71,
        "label": LABELS[0],
        "float_decision": LABELS[0],
        "float_score": 0.4711,
        "device_decision": LABELS[1],
        "device_score": 0.4688,
    }
    difference = {
        "output": 0,
        "largest": 0.0667,
        "mean": 0.0029,
        "percentile_95": 0.0125,
        "float_range": 0.9972,
        "sqnr_db": 34.09,
    }
    values = [i / 50 for i in range(50)]
    return {
        "network": "the trained float network before quantisation",
        "cases": cases,
        "golden_cases": 280,
        "equal_decisions": cases - 3,
        "outputs": [difference],
        "normal_outputs": None,
        "targets": None,
        "flips": [flip | {"case": 71 + i} for i in range(3)],
        "points": {"floats": values, "device": values, "flipped": [v < 0.1 for v in values]},
        "bounds": {
            "min_equal_decisions": 0.95,
            "max_mean_difference": 0.03,
            "min_sqnr_db": 15.0,
        },
        "failures": [],
    } | changes


def counted(board: str, counts: int) -> dict[str, Any]:
    """What the plugin adds to bench.json, as if one instruction had run again and again."""
    if board not in {"qemu_m4", "qemu_xtensa"}:
        return {"mix": None, "mix_missing": "no plugin", "estimates": []}
    arm = board == "qemu_m4"
    text = "ldr r0, [r1]" if arm else "l32i a2, a3, 0"
    work = [Executed(address=0, text=text, count=counts, jumped=0, flash=0)]
    return {
        "mix": asdict(mix(work, arm=arm)),
        "mix_missing": None,
        "estimates": [asdict(found) for found in estimate(work, board)],
    }


def features(board: str, **changes: Any) -> dict[str, Any]:
    """features.json of a board whose front end is the host's, but for `changes`."""
    where = {key: parity(board)[key] for key in ("board", "emulator", "port", "model_sha256")}
    return {
        **where,
        "run_id": "0123456789ab",
        "kind": "logmel",
        "cases": 40,
        "equal": 40,
        "stream_samples": 16_000,
        "stream_inputs": 19,
        "stream_equal": 19,
        "max_difference": 0,
        "stages": [{"stage": "spectrum", "compared": 59, "equal": 59}],
        "first_difference": None,
        "feature_counts": 123_457,
        "invoke_counts": 765_432,
        "hop": 320,
        "unit": "instructions",
        "seconds": 3.21,
    } | changes


def write_board(out_dir: Path, board: str, **changes: Any) -> None:
    """parity.json, bench.json and size.json of one board."""
    per_mac = PER_MAC.get(board, 5.0)
    layers = [
        {
            "step": i,
            "operator": i,
            "op": op,
            "counts": round(max(macs, np.prod(shape) * 2) * per_mac),
            "macs": macs,
        }
        for i, (op, shape, macs, _) in enumerate(OPERATORS)
    ]
    size = {
        "board": board,
        "code_bytes": 14_320,
        "weight_bytes": 9_424,
        "golden_bytes": 1_214,
        "flash_bytes": 24_958,
        "ram_bytes": 7_940,
        "arena_bytes": 2_400,
        "stack_bytes": 4_096,
        "largest": [],
    }
    counts = sum(layer["counts"] for layer in layers)
    bench = {
        "board": board,
        "emulator": parity(board)["emulator"],
        "unit": "instructions",
        "instructions": counts,
        "counts": counts,
        "start_counts": 18,
        **counted(board, counts),
        "macs": sum(o[2] for o in OPERATORS),
        "arena_used": 2_400,
        "stack_bytes": 912,
        "stack_reserved": 4_096,
        "per_layer": layers,
        "model_sha256": SHA,
        "run_id": "0123456789ab",
        "kernels": "ref",
        "framework": "bare",
        "engine": "aot",
    } | {k: size[k] for k in ("code_bytes", "weight_bytes", "arena_bytes", "flash_bytes")}
    write_json(out_dir / board / "size.json", size)
    write_json(out_dir / board / "bench.json", bench | {"ram_bytes": size["ram_bytes"]})
    write_json(out_dir / board / "parity.json", parity(board, **changes))


def write_model(
    out_dir: Path, name: str, settings: dict[str, Any], labels: tuple[str, ...] = LABELS
) -> None:
    """The manifest and the golden cases."""
    for kernels in KERNEL_SETS:
        own = manifest(name, settings, labels) | {"kernels": kernels}
        write_json(out_dir / "gen" / kernels / "manifest.json", own)
    golden = Golden(
        inputs=(np.zeros((280, 4), np.int8),),
        outputs=(np.zeros((280, 7), np.int8),),
        model_sha256=SHA,
    )
    save_golden(out_dir / "golden.npz", golden)


def write_training(out_dir: Path, *, title: str, labels: tuple[str, ...] = LABELS) -> None:
    """dataset.json, train.json, cross_validation.json and quantize.json."""
    n = len(labels)
    fold = {"test_groups": [1, 2], "random_forest": metrics(0.85, n), "seconds": 20.0}
    cross = {
        "folds": [fold | {"seed": k, "network": metrics(0.93, n, k)} for k in range(5)],
        "measure": "balanced accuracy",
        "mean_score": 0.931,
        "std": 0.021,
        "mean_random_forest": 0.85,
        "held_out": True,
        "settings": SETTINGS,
    }
    write_json(out_dir / "dataset.json", dataset(title, labels))
    write_json(out_dir / "train.json", train(n))
    write_json(out_dir / "cross_validation.json", cross)
    write_json(out_dir / "quantize.json", quantised(n))


def scores(accuracy: float, classes: int, seed: int) -> dict[str, Any]:
    """Metrics of both splits."""
    return {
        "val": metrics(accuracy + 0.01, classes, seed + 1),
        "test": metrics(accuracy, classes, seed),
    }


def dataset(title: str, labels: tuple[str, ...]) -> dict[str, Any]:
    """dataset.json: one check passes, one does not."""
    n = len(labels)
    split = {"windows": 1240, "groups": [1, 2, 3, 4, 5, 6], "per_class": [177] * n}
    return {
        "recipe": "motion",
        "title": title,
        "source": "seglearn_watch",
        "sha256": "ab" * 32,
        "sample_rate_hz": 50.0,
        "channels": ["ax", "ay", "az", "gx", "gy", "gz"],
        "labels": list(labels),
        "preparation": ["resampled from 100 Hz to 50 Hz by a polyphase filter"],
        "splits": {"train": split, "val": split, "test": split | {"groups": [9, 10]}},
        "checks": [
            check("gaps", []),
            check("clipping", ["ax: 17 g, above 16"]),
        ],
    }


def check(name: str, problems: list[str], more: int = 0) -> dict[str, Any]:
    """A data check with a warning for each problem."""
    state = "warning" if problems else "passed"
    found = {"problems": problems, "more": more, "columns": [], "rows": []}
    return {"name": name, "severity": "warning", "state": state, "summary": "4 samples"} | found


def train(n: int) -> dict[str, Any]:
    """train.json of `n` classes."""
    return {
        "seed": 7,
        "parameters": 8_423,
        "steps": 600,
        "seconds": 83.2,
        "background": {
            "recordings": 6,
            "seconds": 400.5,
            "sha256": "cd" * 32,
            "share": 0.5,
            "snr_db": [5.0, 25.0],
            "preparation": [],
        },
        "speech": {
            "by": "eSpeak NG 1.51",
            "words": 4000,
            "voices": 400,
            "languages": ["en-us", "de"],
            "share": 0.33,
            "sha256": "ef" * 32,
        },
        "history": {
            "step": list(range(10, 610, 10)),
            "loss": [1.9 * 0.95**i + 0.1 for i in range(60)],
            "val_score": [0.95 - 0.7 * 0.9**i + 0.01 * (i % 3) for i in range(60)],
        },
        "metrics": scores(0.94, n, 3),
        "baselines": {
            "majority": metrics(1 / n, n) | {"balanced_accuracy": 1 / n},
            "logistic regression": metrics(0.71, n),
            "random forest": metrics(0.86, n),
        },
        "tools": {},
    }


def quantised(n: int) -> dict[str, Any]:
    """quantize.json of `n` classes; one tensor has outliers."""
    tensors = [
        {
            "tensor": i,
            "operator": op,
            "minimum": -7.31,
            "maximum": 9.04,
            "low": -2.1,
            "high": 2.4,
            "scale": 0.0641,
            "zero_point": -14,
            "outlier_ratio": 3.63 if i == 2 else 1.2,
            "saturated": 0.00012,
        }
        for i, (op, _, _, _) in enumerate(OPERATORS)
    ]
    return {
        "chosen": "qat",
        "rule": "the higher balanced accuracy on the validation groups; PTQ on a tie",
        "candidates": {
            "ptq": scores(0.915, n, 4) | {"sha256": SHA, "bytes": 15_000},
            "qat": scores(0.93, n, 1) | {"sha256": SHA, "bytes": 15_240},
        },
        "calibration": {"windows": 500, "groups": [1, 2, 3], "tensors": tensors},
        "fidelity": {
            "windows": 1240,
            "equal_share": 0.9961,
            "max_lsb": 1,
            "mean_lsb": 0.0039,
            "bound": {"min_equal_outputs": 0.98, "max_lsb": 2},
            "warning": "",
            "layers": [
                {"layer": "conv_1", "equal_share": 0.9991, "max_lsb": 1, "mean_lsb": 0.0009}
            ],
        },
        "host_latency_ms": {
            "float": 0.412,
            "float_engine": "TensorFlow",
            "int8": 0.287,
            "int8_engine": "TFLite Micro",
        },
    }


def write_drift(out_dir: Path, sha256: str = SHA) -> None:
    """drift.json."""
    row = {"psi": 2.5, "usual_psi": 0.5, "g": 120.0, "naive_p": 1e-20}
    reading = {
        "windows": 256,
        "groups": 8,
        "alpha": 0.05,
        "measured": 0.086,
        "at_most": 0.43,
        "confidence": 0.95,
        "alarm": True,
        "board": "qemu_m4",
        "target": "qemu_m4",
        "fed_with": "rotation 90 z",
        "model_sha256": sha256,
        "rows": [
            row | {"test": "ax mean", "p": 0.0123, "alarm": True},
            row | {"test": "confidence", "p": 0.91, "alarm": False},
        ],
    }
    write_json(out_dir / "drift.json", reading)


def write_run(out_dir: Path, *, title: str = "Shoulder exercises from a smartwatch") -> Path:
    """A whole run: training and four boards."""
    write_training(out_dir, title=title)
    write_model(out_dir, "motion", SETTINGS)
    for board in ("qemu_m4", "qemu_xtensa"):
        write_board(out_dir, board)
    for board in ("nano33", "esp32"):
        write_board(out_dir, board, cases=60)
    return out_dir
