"""The two modes of MLPerf Tiny's runner, over the commands that firmware with MLPERF answers."""

from __future__ import annotations

import math
import re
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import track
from sklearn.metrics import roc_auc_score

from host_tools.boards.board import ENGINE, Board
from host_tools.boards.chip_kernels import other_kernels
from host_tools.errors import DeviceError
from host_tools.link.device import Device
from host_tools.link.target import Target, check_identity, image_words, open_device
from host_tools.mlperf.benchmarks import BENCHMARKS, Benchmark, require_model
from host_tools.mlperf.dataset import Dataset, Sample
from host_tools.parity.outputs import image_digest
from host_tools.report.results import read_manifest
from model.files import write_json
from quantize.golden import Golden, load_golden

CHUNK = 31  # bytes a command, as the public runner sends them
ANSWER_S = 5.0  # for what runs no model
RUNS = 5  # of which the median counts
RUN_S = 10.0  # a run takes at least so long, and has so many inferences
INFERENCES = 10
MARGIN = 1.05
MAX_INFERENCES = 1_000_000  # that the firmware takes
WARM_UP = 5
EMULATED = 2  # inferences a run in an emulator, where each takes as long as the one before
LAP = re.compile(r"m-lap-us-([0-9]{1,18})")
RESULTS = re.compile(r"m-results-\[([0-9]{1,9}\.[0-9]{1,9}(?:,[0-9]{1,9}\.[0-9]{1,9})*)\]")
MODEL = re.compile(r"m-model-\[(.*)\]")
MICRO = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """The median of runs; `valid` when each was as long as the benchmark asks."""

    latency_ms: float
    throughput: float  # inferences a second
    runs: int
    inferences: int  # a run
    seconds: tuple[float, ...]  # of each run
    valid: bool
    inputs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Over the files of a dataset; None where the benchmark has none, or the data have not."""

    files: int
    inputs: int
    top1: float | None
    auc: float | None
    no_auc: str | None  # why there is none
    data_sha256: str  # of y_labels.csv


@dataclass(frozen=True, slots=True, kw_only=True)
class MlperfReport:
    """What mlperf.json holds."""

    benchmark: str
    model_sha256: str
    run_id: str
    image_sha256: str | None  # of the built firmware.elf; a board cannot tell its own
    kernels: str
    framework: str
    engine: str
    board: str
    emulator: str | None
    port: str | None
    counts: str  # what the lap times count
    performance: Performance | None
    accuracy: Accuracy | None


def run_mlperf(
    out_dir: Path,
    board: Board,
    target: Target,
    name: str,
    dataset: Dataset | None,
    modes: Sequence[str],
    files: int | None,
) -> MlperfReport:
    """Run the `modes` of benchmark `name` on firmware that answers it; write <board>/mlperf.json.

    Without `dataset` the performance is that of golden cases. `files` bounds the accuracy's. Raises
    DeviceError when the firmware is another one, and UsageError when its model is.
    """
    benchmark = BENCHMARKS[name]
    manifest = read_manifest(board, out_dir)
    require_model(name, manifest)
    emulator = target.emulator
    report = MlperfReport(
        benchmark=name,
        model_sha256=manifest["model_sha256"],
        run_id=manifest["run_id"],
        image_sha256=None if target.port else image_digest(out_dir / board.folder / "firmware.elf"),
        kernels=manifest["kernels"],
        framework=board.framework,
        engine=board.engine,
        board=board.id,
        emulator=emulator.name if emulator else None,
        port=target.port,
        counts=target.unit(board),
        performance=None,
        accuracy=None,
    )
    with open_device(target, board, out_dir / board.folder) as device:
        check_identity(device, manifest, board)
        _require_benchmark(device, name, board)
        if "performance" in modes:
            if dataset is None:
                golden = load_golden(out_dir / "golden.npz")
                inputs = golden_inputs(benchmark, manifest, golden)
                what = f"{len(inputs)} golden cases"
            else:
                inputs = [next(sample.inputs()) for sample in dataset.samples[:RUNS]]
                what = f"the first of {len(inputs)} files of {dataset.folder}"
            found = measure(device, inputs, what, hardware=target.is_chip(board))
            report = replace(report, performance=found)
        if "accuracy" in modes and dataset is not None:
            report = replace(report, accuracy=classify(device, benchmark, dataset, files))
    write_json(out_dir / board.folder / target.file("mlperf"), asdict(report))
    return report


def _require_benchmark(device: Device, name: str, board: Board) -> None:
    """DeviceError when the firmware does not answer the benchmark's commands."""
    again = f"make flash BOARD={board.id} MLPERF={name}"
    again += f" ENGINE={board.engine}" if board.engine != ENGINE else ""
    try:
        answer = device.mlperf("profile", ANSWER_S)
    except DeviceError as error:
        raise DeviceError(
            f"{error}\nIs this firmware for MLPerf Tiny? Flash it: {again}"
        ) from error
    found = [match[1] for line in answer if (match := MODEL.fullmatch(line))]
    if found != [name]:
        raise DeviceError(
            f"board {board.id}: the firmware answers as {', '.join(found) or 'no benchmark'}; "
            f"expected {name}. Flash it: {again}"
        )


def golden_inputs(benchmark: Benchmark, manifest: dict[str, Any], golden: Golden) -> list[bytes]:
    """The first golden cases as the benchmark would send them."""
    values = golden.inputs[0][:RUNS].reshape(-1, benchmark.inputs)
    if benchmark.windows:
        tensor = manifest["inputs"][0]
        steps = values.astype(np.float32) - np.float32(tensor["zero_point"])
        return [row.tobytes() for row in steps * np.float32(tensor["scale"])]
    data: npt.NDArray[np.uint8] = values.view(np.uint8)
    return [row.tobytes() for row in (data ^ 0x80 if benchmark.pixels else data)]


def load(device: Device, data: bytes) -> None:
    """Send an input."""
    device.mlperf(f"db load {len(data)}", ANSWER_S)
    answer: list[str] = []
    for start in range(0, len(data), CHUNK):
        answer = device.mlperf(f"db {data[start : start + CHUNK].hex()}", ANSWER_S)
    if answer[-1:] != ["m-load-done"]:
        raise DeviceError(f"db: expected m-load-done behind {len(data)} bytes, got {answer}")


def infer(device: Device, runs: int, warm_up: int) -> tuple[float, list[float]]:
    """Run on the input that was loaded; returns seconds and the answer."""
    lines = device.mlperf(f"infer {runs} {warm_up}")
    laps = [int(match[1]) for line in lines if (match := LAP.fullmatch(line))]
    answers = [match[1] for line in lines if (match := RESULTS.fullmatch(line))]
    if len(laps) != 2 or len(answers) != 1 or laps[1] < laps[0]:
        raise DeviceError(f"infer: expected two lap times and one m-results, got {lines}")
    return (laps[1] - laps[0]) * MICRO, [float(x) for x in answers[0].split(",")]


def measure(device: Device, inputs: Sequence[bytes], what: str, *, hardware: bool) -> Performance:
    """Five runs; on hardware each of at least ten seconds and ten inferences."""
    inferences, warm_up = (INFERENCES, WARM_UP) if hardware else (EMULATED, 1)
    if hardware:
        load(device, inputs[0])
        inferences = _enough(infer(device, 1, 1)[0], inferences)
    seconds: list[float] = []
    while len(seconds) < RUNS:
        load(device, inputs[len(seconds) % len(inputs)])
        took = infer(device, inferences, warm_up)[0]
        more = _enough(took / inferences, inferences)
        if hardware and took < RUN_S and more > inferences:
            inferences, seconds = more, []  # all again, alike
            continue
        seconds.append(took)
    latency = statistics.median(seconds) / inferences
    return Performance(
        latency_ms=latency * 1e3,
        throughput=1 / latency if latency else 0.0,
        runs=RUNS,
        inferences=inferences,
        seconds=tuple(round(s, 6) for s in seconds),
        valid=hardware and min(seconds) >= RUN_S and inferences >= INFERENCES,
        inputs=what,
    )


def _enough(latency: float, least: int) -> int:
    """Inferences of a run that is long enough."""
    wanted = math.ceil(RUN_S * MARGIN / max(latency, MICRO))
    return min(max(wanted, least), MAX_INFERENCES)


def classify(device: Device, benchmark: Benchmark, dataset: Dataset, files: int | None) -> Accuracy:
    """One inference for each input; the answers of a file's windows are averaged."""
    chosen = dataset.samples[:files]
    count = 0
    scores = []
    for sample in track(
        chosen, description="accuracy", transient=True, disable=not sys.stdout.isatty()
    ):
        answers = [_answer(device, data, benchmark, sample) for data in sample.inputs()]
        count += len(answers)
        scores.append(np.mean(answers, axis=0))
    return judge(np.array(scores), [s.label for s in chosen], count, dataset.sha256)


def _answer(
    device: Device, data: bytes, benchmark: Benchmark, sample: Sample
) -> npt.NDArray[np.float64]:
    load(device, data)
    answer = np.array(infer(device, 1, 0)[1])
    if answer.shape != (benchmark.results,):
        raise DeviceError(f"{sample.path}: expected {benchmark.results} results, got {len(answer)}")
    return answer / answer.sum() if benchmark.probabilities and answer.sum() else answer


def judge(
    scores: npt.NDArray[np.float64], labels: Sequence[int], inputs: int, data_sha256: str
) -> Accuracy:
    """Top-1 and AUC of scores [files, results] as the public runner computes them."""
    top1 = auc = why = None
    if scores.shape[1] > 1:
        top1 = float(np.mean(scores.argmax(axis=1) == np.array(labels)))
    classes = max(scores.shape[1], 2)
    if absent := sorted(set(range(classes)) - set(labels)):
        why = f"class {absent[0]} has no file"
    elif classes == 2:
        auc = float(roc_auc_score(labels, scores[:, -1]))
    else:
        auc = float(roc_auc_score(labels, scores, multi_class="ovr"))
    return Accuracy(
        files=len(scores),
        inputs=inputs,
        top1=top1,
        auc=auc,
        no_auc=why,
        data_sha256=data_sha256,
    )


def describe(report: MlperfReport) -> list[str]:
    """What the command prints."""
    words = image_words(report.kernels, report.framework, report.engine)
    image = report.image_sha256[:16] if report.image_sha256 else "a board cannot tell it"
    told = [
        f"{report.benchmark} on {report.board} at {report.emulator or report.port}",
        f"  model {report.model_sha256[:16]}, {words}, run {report.run_id}, image: {image}",
        *other_kernels(report.board, report.kernels, report.emulator),
    ]
    if (p := report.performance) is not None:
        told.append(
            f"  performance: latency {p.latency_ms:.3f} ms, throughput {p.throughput:.3f} "
            f"inferences a second (median of {p.runs} runs of {p.inferences}; {p.inputs})"
        )
    if p is not None and report.counts == "instructions":
        told.append("  an emulator: its time counts instructions, each as a cycle of the clock")
    if p is not None and not p.valid:
        told.append(f"  no result to publish: runs of {p.inferences}, not of {RUN_S:.0f} s")
    if (a := report.accuracy) is not None:
        top1 = "" if a.top1 is None else f"top-1 {100 * a.top1:.1f} %, "
        auc = f"AUC {a.auc:.3f}" if a.auc is not None else f"no AUC: {a.no_auc}"
        told.append(f"  accuracy: {top1}{auc} ({a.files} files, {a.inputs} inputs)")
    return told
