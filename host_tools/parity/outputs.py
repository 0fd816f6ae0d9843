"""Compare every output byte of a firmware with the TFLite Micro interpreter's."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from host_tools.boards.board import Board
from host_tools.errors import HostToolsError
from host_tools.link.protocol import Selftest
from host_tools.link.target import Target, check_identity, open_device
from host_tools.parity.tap import Tap, TapReport
from host_tools.report.results import read_manifest
from model.files import write_json
from model.tasks import load_judge
from quantize.golden import Golden, load_golden


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first byte that differs."""

    case: int
    tensor: int  # number of the model output
    index: int  # element in it
    expected: int | float
    got: int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """What parity.json holds."""

    cases: int
    equal: int
    first_difference: Difference | None
    reference: str
    model_sha256: str
    run_id: str
    board: str
    emulator: str | None
    port: str | None
    seconds: float
    selftest: dict[str, int]
    accuracy: dict[str, int] | None
    metrics: dict[str, Any] | None
    layers: TapReport | None = None  # how far the intermediate tensors agree, when asked for


def run_parity(
    out_dir: Path, board: Board, target: Target, cases: int | None, *, tap: bool = False
) -> ParityReport:
    """Send inputs, compare every output byte, write build/<name>/<board>/parity.json.

    `cases` bounds how many golden cases run; None means all, or as many as a slow emulator can
    take. With `tap` every intermediate tensor of the first case that differs is compared too, of
    the first case when none does. Raises DeviceError when the firmware is another one or silent.
    """
    board_dir = out_dir / board.folder
    manifest = read_manifest(board, out_dir)
    golden = load_golden(out_dir / "golden.npz")
    if golden.model_sha256 != manifest["model_sha256"]:
        raise HostToolsError(f"{out_dir}: golden.npz and the manifest disagree; run `make emit`")
    limit = cases or (target.emulator.case_limit if target.emulator else None)
    chosen = spread(len(golden), limit)
    started = time.monotonic()
    with open_device(target, board, board_dir) as device:
        check_identity(device, manifest, board)
        selftest = device.selftest()
        outputs = [
            device.run(golden.case_inputs(case))
            for case in track(
                chosen,
                description=f"parity {board.id}",
                transient=True,
                disable=not sys.stdout.isatty(),
            )
        ]
        seconds = time.monotonic() - started
        report = _report(
            golden, manifest, board, target, chosen, outputs, selftest, seconds, out_dir
        )
        if tap:
            case = report.first_difference.case if report.first_difference else chosen[0]
            layers = Tap(out_dir, manifest, golden, case).first_divergence(device)
            report = replace(report, layers=layers)
    write_json(board_dir / "parity.json", asdict(report))
    return report


def spread(total: int, limit: int | None) -> list[int]:
    """All cases, or `limit` of them spread evenly, so that every class is among them."""
    if limit is None or limit >= total:
        return list(range(total))
    return [i * total // limit for i in range(limit)]


def _report(
    golden: Golden,
    manifest: dict[str, Any],
    board: Board,
    target: Target,
    chosen: list[int],
    outputs: list[list[bytes]],
    selftest: Selftest,
    seconds: float,
    out_dir: Path,
) -> ParityReport:
    types = [values.dtype for values in golden.outputs]
    arrays = [
        [np.frombuffer(o, dtype) for o, dtype in zip(case, types, strict=True)] for case in outputs
    ]
    differences = [
        found
        for case, got in zip(chosen, arrays, strict=True)
        if (found := _difference(case, golden, got)) is not None
    ]
    accuracy, metrics = _accuracy(out_dir, manifest, golden, chosen, arrays)
    return ParityReport(
        cases=len(chosen),
        equal=len(chosen) - len(differences),
        first_difference=differences[0] if differences else None,
        reference=manifest["reference"].get("name") or f"tflite_micro {version('tflite-micro')}",
        model_sha256=manifest["model_sha256"],
        run_id=manifest["run_id"],
        board=board.id,
        emulator=target.emulator.name if target.emulator else None,
        port=target.port,
        seconds=round(seconds, 2),
        selftest={"cases": selftest.cases, "failures": selftest.failures},
        accuracy=accuracy,
        metrics=metrics,
    )


def _difference(case: int, golden: Golden, got: list[Any]) -> Difference | None:
    for tensor, (values, expected) in enumerate(zip(got, golden.case_outputs(case), strict=True)):
        flat = expected.reshape(-1)
        bits = f"u{flat.dtype.itemsize}"  # compare bits: -0.0 is not 0.0, NaN is NaN
        wrong = np.flatnonzero(values.view(bits) != flat.view(bits))
        if len(wrong):
            index = int(wrong[0])
            return Difference(
                case=case,
                tensor=tensor,
                index=index,
                expected=flat[index].item(),
                got=values[index].item(),
            )
    return None


def _accuracy(
    out_dir: Path,
    manifest: dict[str, Any],
    golden: Golden,
    chosen: list[int],
    arrays: list[list[Any]],
) -> tuple[dict[str, int] | None, dict[str, Any] | None]:
    """(counts, metrics) of the device's own answers; None where there are no labels."""
    path = out_dir / "labels.npz"
    if not path.exists():
        return None, None
    with np.load(path, allow_pickle=False) as stored:
        truth = stored["y"]
    judge = load_judge(out_dir, manifest["settings"], len(manifest["labels"]))
    inputs = golden.inputs[0][chosen]
    outputs = np.stack([case[0] for case in arrays])
    right = judge.is_correct(inputs, outputs, truth[chosen])
    counts = {"cases": len(chosen), "correct": int(right.sum())}
    if len(chosen) < len(truth):
        return counts, None
    return counts, asdict(judge.metrics(inputs, outputs, truth))
