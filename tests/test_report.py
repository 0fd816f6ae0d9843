"""The report and the closing table, from result files made by hand."""

from __future__ import annotations

import io
import json
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.errors import UsageError
from host_tools.report import collect, write_report
from host_tools.summary import print_summary
from model.files import write_json
from quantize.golden import Golden, save_golden

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
        "macs": sum(o[2] for o in OPERATORS),
        "arena_used": 2_400,
        "stack_bytes": 912,
        "stack_reserved": 4_096,
        "per_layer": layers,
        "model_sha256": SHA,
    } | {k: size[k] for k in ("code_bytes", "weight_bytes", "arena_bytes", "flash_bytes")}
    write_json(out_dir / board / "size.json", size)
    write_json(out_dir / board / "bench.json", bench | {"ram_bytes": size["ram_bytes"]})
    write_json(out_dir / board / "parity.json", parity(board, **changes))


def write_model(
    out_dir: Path, name: str, settings: dict[str, Any], labels: tuple[str, ...] = LABELS
) -> None:
    """The manifest and the golden cases."""
    write_json(out_dir / "gen" / "manifest.json", manifest(name, settings, labels))
    golden = Golden(
        inputs=(np.zeros((280, 4), np.int8),),
        outputs=(np.zeros((280, 7), np.int8),),
        model_sha256=SHA,
    )
    save_golden(out_dir / "golden.npz", golden)


def write_training(out_dir: Path, *, title: str, labels: tuple[str, ...] = LABELS) -> None:
    """dataset.json, train.json, cross_validation.json and quantize.json."""
    n = len(labels)

    def scores(accuracy: float, seed: int) -> dict[str, Any]:
        return {"val": metrics(accuracy + 0.01, n, seed + 1), "test": metrics(accuracy, n, seed)}

    split = {"windows": 1240, "groups": [1, 2, 3, 4, 5, 6], "per_class": [177] * n}
    dataset = {
        "recipe": "motion",
        "title": title,
        "source": "seglearn_watch",
        "sha256": "ab" * 32,
        "sample_rate_hz": 50.0,
        "channels": ["ax", "ay", "az", "gx", "gy", "gz"],
        "labels": list(labels),
        "splits": {"train": split, "val": split, "test": split | {"groups": [9, 10]}},
        "checks": [
            {"name": "gaps", "summary": "longest frozen run: 4 samples", "problems": []},
            {"name": "ranges", "summary": "2 of 6 channels", "problems": ["ax: 17 g, above 16"]},
        ],
    }
    train = {
        "seed": 7,
        "parameters": 8_423,
        "steps": 600,
        "seconds": 83.2,
        "history": {
            "step": list(range(10, 610, 10)),
            "loss": [1.9 * 0.95**i + 0.1 for i in range(60)],
            "val_balanced_accuracy": [0.95 - 0.7 * 0.9**i + 0.01 * (i % 3) for i in range(60)],
        },
        "metrics": scores(0.94, 3),
        "baselines": {
            "majority": metrics(1 / n, n) | {"balanced_accuracy": 1 / n},
            "logistic regression": metrics(0.71, n),
            "random forest": metrics(0.86, n),
        },
        "tools": {},
    }
    fold = {"test_groups": [1, 2], "val_groups": [3], "random_forest": metrics(0.85, n)}
    cross = {
        "folds": [fold | scores(0.93, i) for i in range(5)],
        "mean_balanced_accuracy": 0.931,
        "std": 0.021,
        "mean_accuracy": 0.934,
        "seconds": 512.0,
    }
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
    quantised = {
        "chosen": "qat",
        "rule": "the higher balanced accuracy on the validation groups; PTQ on a tie",
        "candidates": {
            "ptq": scores(0.915, 4) | {"sha256": SHA, "bytes": 15_000},
            "qat": scores(0.93, 1) | {"sha256": SHA, "bytes": 15_240},
        },
        "calibration": {"windows": 500, "groups": [1, 2, 3], "tensors": tensors},
        "fidelity": {
            "windows": 1240,
            "equal_share": 0.9961,
            "max_lsb": 1,
            "mean_lsb": 0.0039,
            "bound": {"min_equal_outputs": 0.98, "max_lsb": 2},
            "layers": [
                {"layer": "conv_1", "equal_share": 0.9991, "max_lsb": 1, "mean_lsb": 0.0009}
            ],
        },
        "host_latency_ms": {"float": 0.412, "float_engine": "TensorFlow", "int8": 0.287, "int8_engine": "TFLite Micro"},
    }
    for name, content in (
        ("dataset", dataset),
        ("train", train),
        ("cross_validation", cross),
        ("quantize", quantised),
    ):
        write_json(out_dir / f"{name}.json", content)


def write_run(out_dir: Path, *, title: str = "Shoulder exercises from a smartwatch") -> Path:
    """A whole run: training and four boards."""
    write_training(out_dir, title=title)
    settings = {"train": {"epochs": 60, "seed": 7}, "network": {"filters": [16, 32, 32]}}
    write_model(out_dir, "motion", settings)
    for board in ("qemu_m4", "qemu_xtensa"):
        write_board(out_dir, board)
    for board in ("nano33", "esp32"):
        write_board(out_dir, board, cases=60)
    return out_dir


class _Page(HTMLParser):
    """Collects tags and the visible text, and checks that tags are balanced."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def read_page(out_dir: Path) -> _Page:
    """Write the report and parse it."""
    return _Page(write_report(out_dir).read_text("utf-8"))


def test_whole_run(tmp_path: Path) -> None:
    page = read_page(write_run(tmp_path / "motion"))
    assert "Every output byte is equal on esp32, nano33, qemu_m4 and qemu_xtensa" in page.text
    for expected in (
        "680 inferences compared with tflite_micro 0.dev1",
        "no real board was connected",
        "needs hardware",
        "nano33 (labwired_nrf52840): 60 of 60 cases equal",
        "56 of 60 windows right, on labwired_nrf52840",
        "emulator instructions",
        "Host milliseconds",
        "random forest",
        "train.epochs",
        "99.61 %",
    ):
        assert expected in page.text
    assert sum(tag == "svg" for tag, _ in page.tags) == 5


def test_page_needs_no_other_file_and_is_small(tmp_path: Path) -> None:
    page = read_page(write_run(tmp_path / "motion"))
    text = (tmp_path / "motion" / "report.html").read_text("utf-8")
    assert len(text.encode()) < 1_000_000
    assert "url(http" not in text and "@import" not in text
    assert not [tag for tag, _ in page.tags if tag in {"script", "link", "img", "iframe"}]
    references = [v for _, attrs in page.tags for k, v in attrs.items() if k in {"href", "src"}]
    assert all(v is not None and v.startswith("#") for v in references)


def test_every_plot_has_its_words(tmp_path: Path) -> None:
    page = read_page(write_run(tmp_path / "motion"))
    images = [attrs for _, attrs in page.tags if attrs.get("role") == "img"]
    assert len(images) == 5 + 2 * 4
    assert all(attrs["aria-label"] for attrs in images)


def test_same_files_same_page(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    first = write_report(out_dir).read_bytes(), (out_dir / "report.json").read_bytes()
    second = write_report(out_dir).read_bytes(), (out_dir / "report.json").read_bytes()
    assert first == second


def test_json_holds_the_files_unchanged(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    write_report(out_dir)
    report = json.loads((out_dir / "report.json").read_text("utf-8"))
    for part in ("dataset", "train", "cross_validation", "quantize"):
        assert report[part] == json.loads((out_dir / f"{part}.json").read_text("utf-8"))
    for part in ("size", "parity", "bench"):
        stored = json.loads((out_dir / "nano33" / f"{part}.json").read_text("utf-8"))
        assert report["boards"]["nano33"][part] == stored
    assert report["verdict"]["state"] == "equal"
    assert [rung["rung"] for rung in report["ladder"]] == [1, 2, 3, 4, 5, 6, 7]
    assert report["golden_cases"] == 280


def test_names_are_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> $\\frac{1}{0}$ {{ 7*7 }} --><b>"
    labels = (evil, *LABELS[1:])
    out_dir = tmp_path / "evil"
    write_training(out_dir, title=evil, labels=labels)
    write_model(out_dir, evil, {evil: [evil]}, labels)
    write_board(out_dir, "<b>board</b>")
    page = read_page(out_dir)
    assert not [tag for tag, _ in page.tags if tag in {"script", "img", "b"}]
    assert not [k for _, attrs in page.tags for k in attrs if k.startswith("on")]
    assert "<script>alert(1)</script>" in page.text  # visible, as text
    assert "{{ 7*7 }}" in page.text


def test_model_made_elsewhere(tmp_path: Path) -> None:
    out_dir = tmp_path / "ic"
    write_model(out_dir, "ic", {}, labels=())
    write_board(out_dir, "nano33", cases=20, metrics=None, accuracy=None)
    page = read_page(out_dir)
    assert "The model was made elsewhere" in page.text
    assert "Every output byte is equal on nano33" in page.text
    assert "balanced accuracy" not in page.text
    assert "MODEL=<file>" in page.text


def test_difference_is_the_headline(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    difference = {"case": 3, "tensor": 0, "index": 4, "expected": -12, "got": -11}
    write_json(
        out_dir / "esp32" / "parity.json", parity("esp32", equal=279, first_difference=difference)
    )
    page = read_page(out_dir)
    assert "Not equal on esp32" in page.text
    assert (
        "279 of 280 cases equal; first difference in case 3, output tensor 0, index 4: "
        "expected -12, got -11." in page.text
    )
    assert collect(out_dir)["ladder"][5]["state"] == "differs"


@pytest.mark.parametrize(
    ("changes", "state", "told"),
    [
        ({"selftest": {"cases": 2, "failures": 1}}, "differs", "self-test fails in 1 of 2"),
        ({"cases": 0, "equal": 0}, "differs", "0 of 0 cases equal"),
        ({"model_sha256": "00" * 32}, "stale", "belongs to another model"),
        ({"run_id": "ffffffffffff"}, "stale", "belongs to another model"),
    ],
)
def test_what_does_not_count_as_equal(
    tmp_path: Path, changes: dict[str, Any], state: str, told: str
) -> None:
    out_dir = tmp_path / "motion"
    write_model(out_dir, "motion", {"seed": 1})
    write_board(out_dir, "nano33", **({"cases": 60} | changes))
    content = collect(out_dir)
    assert content["boards"]["nano33"]["state"] == state
    assert content["verdict"]["state"] != "equal"
    assert told in read_page(out_dir).text


def test_real_board_proves_the_last_rung(tmp_path: Path) -> None:
    out_dir = tmp_path / "motion"
    write_model(out_dir, "motion", {"seed": 1})
    write_board(out_dir, "nano33", emulator=None, port="/dev/ttyACM0")
    content = collect(out_dir)
    assert [rung["state"] for rung in content["ladder"][4:]] == [
        "not run",
        "not run",
        "proven here",
    ]
    assert "on the real nano33" in content["verdict"]["details"][0]


def test_many_classes_are_told_as_mistakes(tmp_path: Path) -> None:
    labels = tuple(f"class {i}" for i in range(60))
    write_training(tmp_path / "wide", title="wide", labels=labels)
    write_model(tmp_path / "wide", "wide", {"seed": 1}, labels)
    assert "60 classes; the most frequent mistakes" in read_page(tmp_path / "wide").text


def test_only_data(tmp_path: Path) -> None:
    write_training(tmp_path / "motion", title="motion")
    for name in ("train", "cross_validation", "quantize"):
        (tmp_path / "motion" / f"{name}.json").unlink()
    page = read_page(tmp_path / "motion")
    for expected in ("Parity has not been checked", "No training is recorded", "ax: 17 g, above 16"):
        assert expected in page.text


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("train.json", "{", "not a readable JSON file"),
        ("train.json", "[]", "expected a JSON object"),
        ("train.json", '{"loss": NaN}', "NaN"),
        ("train.json", '{"seed": 1}', "another shape"),
        ("nano33/parity.json", '{"cases": 1}', "another shape"),
        ("nano33/size.json", '{"flash_bytes": "many"}', "another shape"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, text: str, told: str) -> None:
    out_dir = write_run(tmp_path / "motion")
    write_report(out_dir)
    before = (out_dir / "report.html").read_bytes()
    (out_dir / name).write_text(text, "utf-8")
    with pytest.raises(UsageError, match=told):
        write_report(out_dir)
    assert (out_dir / "report.html").read_bytes() == before


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to report"):
        write_report(tmp_path / "none")


def summary(out_dir: Path) -> str:
    """What print_summary writes where there is no terminal."""
    stream = io.StringIO()
    print_summary(out_dir, stream)
    return stream.getvalue()


def test_summary(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    write_report(out_dir)
    text = summary(out_dir)
    assert max(len(line) for line in text.splitlines() if "report.html" not in line) <= 100
    assert "\x1b" not in text
    row = next(line for line in text.splitlines() if line.split()[:1] == ["nano33"])
    for expected in ("labwired_nrf52840", "60/60", "1,414,508", "93.3 %"):
        assert expected in row.replace("…", "?"), row
    assert re.search(r"float 9\d\.\d %.*int8 9\d\.\d %.*random forest 8\d\.\d %", text)
    assert str(out_dir / "report.html") in text


def test_summary_shows_a_difference(tmp_path: Path) -> None:
    out_dir = tmp_path / "[red]motion"
    write_model(out_dir, "motion", {"seed": 1})
    difference = {"case": 3, "tensor": 0, "index": 4, "expected": -12, "got": -11}
    write_board(out_dir, "[red]b", equal=279, first_difference=difference, accuracy=None)
    text = summary(out_dir)
    assert "[red]b" in text
    assert "Not equal on [red]b" in text
    assert "expected -12, got -11" in re.sub(r"\s+", " ", text)
