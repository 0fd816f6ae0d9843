"""Compare every output byte of a firmware with the TFLite Micro interpreter's."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from host_tools.boards.board import Board
from host_tools.boards.chip_kernels import other_kernels
from host_tools.errors import HostToolsError
from host_tools.link.protocol import Selftest
from host_tools.link.session import Setbacks
from host_tools.link.target import (
    Target,
    check_identity,
    check_tensors,
    image_words,
    open_device,
)
from host_tools.parity.cases import Answers, answer_cases
from host_tools.parity.float_comparison import (
    Compared,
    Decisions,
    FloatComparison,
    TargetDifference,
    alarm_decisions,
    class_pair,
    compare_float,
    dequantise,
    label_set,
    set_decisions,
    target_differences,
)
from host_tools.parity.float_comparison import describe as describe_float
from host_tools.parity.tap import TapReport, tap_cases
from host_tools.parity.tap import describe as describe_tap
from host_tools.report.results import read_manifest, unanswered
from model.files import write_json
from model.multilabel import LabelsJudge
from model.recipe import ParityConfig
from model.regression import RegressionJudge
from model.tasks import AnomalyJudge, ClassJudge, Judge, load_judge
from model.toml_reader import build
from quantize.float_outputs import FloatOutputs, load_float_outputs
from quantize.golden import Golden, load_golden

log = logging.getLogger(__name__)

TAPPED = 3  # cases whose tensors are compared when all outputs are equal
TOLD_CASES = 10  # that were put aside
MANY_OUTPUTS = 10  # distinct ones, from which on nothing is said


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
    float_comparison: FloatComparison | None = None
    float_missing: str | None = None  # why there is no comparison
    kernels: str = ""  # the set that the model is generated for
    framework: str = ""  # of the firmware, as is the next
    engine: str = ""
    image_sha256: str | None = None  # of the built firmware.elf; a board cannot tell its own
    distinct_inputs: int = 0  # of the cases that ran
    distinct_outputs: int = 0  # of what the device answered
    golden_cases: int = 0  # that there are
    golden_sha256: str | None = None  # of golden.npz, whose cases these are
    layers: TapReport | None = None  # how far the intermediate tensors agree, when asked for
    missing: int = 0  # cases without an answer: then the result is no proof
    partial: str | None = None  # why the run ended before all cases had been asked
    put_aside: tuple[int, ...] = ()  # cases that were given up and asked again at the end
    link: Setbacks = dataclasses.field(default_factory=Setbacks)  # what was made up for

    @property
    def unanswered(self) -> str:
        """Why it is no proof, as of results.unanswered."""
        told = {"missing": self.missing, "cases": self.cases, "partial": self.partial}
        return unanswered(told)

    @property
    def failures(self) -> list[str]:
        """Everything that is wrong, in words; a command that finds any exits with 1."""
        found = []
        if self.unanswered:
            found.append(self.unanswered)
        if d := self.first_difference:
            found.append(
                f"first difference: case {d.case}, output tensor {d.tensor}, index {d.index}: "
                f"expected {d.expected}, got {d.got}"
            )
        if failures := self.selftest["failures"]:
            found.append(f"the self-test fails in {failures} of {self.selftest['cases']} cases")
        if self.layers is not None and self.layers.first is not None:
            layer = self.layers.first
            found.append(f"operator {layer.operator} {layer.op} is the first that differs")
        if self.float_comparison is not None:
            found += self.float_comparison.failures
        return found


def run_parity(
    out_dir: Path, board: Board, target: Target, cases: int | None, *, tap: bool = False
) -> ParityReport:
    """Send inputs, compare every output byte, write <board>/parity.json.

    A run that ends early leaves what was done, marked as partial, and raises what ended it.

    `cases` bounds how many golden cases run; None means all, or as many as a slow emulator can
    take. With `tap` every intermediate tensor of the first case that differs is compared too, of
    the first case when none does. Raises DeviceError when the firmware is another one or silent.
    """
    board_dir = out_dir / board.folder
    manifest = read_manifest(board, out_dir)
    reference = _load_reference(out_dir, manifest)
    golden = reference.golden
    limit = cases or (target.emulator.case_limit if target.emulator else None)
    chosen = spread(len(golden), limit, golden.sequence)
    started = time.monotonic()
    with open_device(target, board, board_dir) as device:
        check_identity(device, manifest, board)
        check_tensors(device, manifest, board)
        selftest = device.selftest()
        answers = answer_cases(device, golden, chosen, f"parity {board.id}")
        if answers.ended is not None and not answers.outputs:
            raise answers.ended
        seconds = time.monotonic() - started
        report = _report(reference, manifest, board, target, chosen, answers, selftest, seconds)
        report = replace(report, link=device.setbacks)
        if target.port is None:
            report = replace(report, image_sha256=image_digest(board_dir / "firmware.elf"))
        if tap and answers.ended is None:
            wrong = report.first_difference
            tapped = [wrong.case] if wrong else chosen[:TAPPED]
            report = replace(report, layers=tap_cases(out_dir, manifest, golden, tapped, device))
    write_json(board_dir / target.file("parity"), asdict(report))
    if answers.ended is not None:
        log.warning("%s: %s", board_dir / target.file("parity"), "; ".join(report.failures))
        raise answers.ended
    return report


def image_digest(elf: Path) -> str | None:
    """SHA-256 of a firmware; None when it was not built here."""
    return hashlib.sha256(elf.read_bytes()).hexdigest() if elf.is_file() else None


def spread(total: int, limit: int | None, sequence: int = 1) -> list[int]:
    """All cases, or `limit` of them spread evenly, so that every class is among them.

    Of cases that run in sequences, whole ones, or the beginning of the first.
    """
    if limit is None or limit >= total:
        return list(range(total))
    groups = -(-total // sequence)
    chosen = max(1, limit // sequence)
    firsts = [i * groups // chosen * sequence for i in range(chosen)]
    cases = [case for first in firsts for case in range(first, min(first + sequence, total))]
    return cases[:limit]


def _report(
    reference: _Reference,
    manifest: dict[str, Any],
    board: Board,
    target: Target,
    chosen: list[int],
    answers: Answers,
    selftest: Selftest,
    seconds: float,
) -> ParityReport:
    golden, asked = reference.golden, chosen
    chosen = [case for case in asked if case in answers.outputs]
    outputs = [answers.outputs[case] for case in chosen]
    types = [values.dtype for values in golden.outputs]
    arrays = [
        [np.frombuffer(o, dtype) for o, dtype in zip(case, types, strict=True)] for case in outputs
    ]
    differences = [
        found
        for case, got in zip(chosen, arrays, strict=True)
        if (found := _difference(case, golden, got)) is not None
    ]
    device = [np.stack(column) for column in zip(*arrays, strict=True)]
    accuracy, metrics = _accuracy(reference.truth, golden, chosen, device[0])
    floats = reference.floats
    return ParityReport(
        cases=len(asked),
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
        kernels=manifest["kernels"],
        framework=board.framework,
        engine=board.engine,
        distinct_inputs=len({tuple(x.tobytes() for x in golden.case_inputs(c)) for c in chosen}),
        distinct_outputs=len({tuple(case) for case in outputs}),
        golden_cases=len(golden),
        golden_sha256=reference.sha256,
        missing=len(asked) - len(chosen),
        partial=_words(answers.ended) if len(chosen) < len(asked) else None,
        put_aside=tuple(answers.put_aside),
        float_comparison=None
        if isinstance(floats, str)
        else _float_comparison(floats, reference, manifest, chosen, device),
        float_missing=floats if isinstance(floats, str) else None,
    )


def _words(ended: BaseException | None) -> str | None:
    if ended is None:
        return None
    return "interrupted" if isinstance(ended, KeyboardInterrupt) else str(ended)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Truth:
    """What the golden cases of a recipe really are."""

    y: npt.NDArray[Any]  # [cases, ...]: classes, labels or numbers
    judge: Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """What a device is compared with."""

    golden: Golden
    truth: _Truth | None  # None: the golden cases have no labels
    floats: FloatOutputs | str  # or why they are not known
    sha256: str  # of golden.npz


def _load_reference(out_dir: Path, manifest: dict[str, Any]) -> _Reference:
    golden, truth = load_golden(out_dir / "golden.npz"), None
    if golden.model_sha256 != manifest["model_sha256"]:
        raise HostToolsError(f"{out_dir}: golden.npz and the manifest disagree; run `make emit`")
    if (path := out_dir / "labels.npz").exists():
        with np.load(path, allow_pickle=False) as stored:
            y = stored["y"]
        judge = load_judge(out_dir, manifest["settings"], len(manifest["labels"]))
        truth = _Truth(y=y, judge=judge)
    try:
        floats: FloatOutputs | str = load_float_outputs(out_dir / "float.npz")
    except FileNotFoundError:
        floats = "there is no float.npz; for a model made elsewhere: make parity FLOAT=<file>"
    else:
        assert isinstance(floats, FloatOutputs)
        floats = floats.mismatch(golden) or floats
    digest = hashlib.sha256((out_dir / "golden.npz").read_bytes()).hexdigest()
    return _Reference(golden=golden, truth=truth, floats=floats, sha256=digest)


def _accuracy(
    truth: _Truth | None, golden: Golden, chosen: list[int], outputs: npt.NDArray[Any]
) -> tuple[dict[str, int] | None, dict[str, Any] | None]:
    """(counts, metrics) of the device's own predictions; None where there are no labels."""
    if truth is None:
        return None, None
    inputs, y = golden.inputs[0][chosen], truth.y[chosen]
    right = truth.judge.is_correct(inputs, outputs, y)
    counts = None if right is None else {"cases": len(chosen), "correct": int(right.sum())}
    of_a_recipe = not isinstance(truth.judge, ClassJudge) or truth.judge.classes > 0
    if len(chosen) < len(truth.y) or not of_a_recipe:
        return counts, None
    return counts, asdict(truth.judge.metrics(inputs, outputs, y))


def _float_comparison(
    floats: FloatOutputs,
    reference: _Reference,
    manifest: dict[str, Any],
    chosen: list[int],
    device: list[npt.NDArray[Any]],
) -> FloatComparison:
    golden, truth = reference.golden, reference.truth
    judge = truth.judge if truth else None
    names = list(manifest["labels"])
    labels = _true_labels(truth, names, chosen) if truth else None
    values = [dequantise(v, m) for v, m in zip(device, manifest["outputs"], strict=True)]
    decisions: tuple[Decisions, Decisions] | None = None
    targets: tuple[TargetDifference, ...] | None = None
    if isinstance(judge, AnomalyJudge):
        decisions = _alarms(floats, judge, golden.inputs[0][chosen], device[0], chosen)
    elif isinstance(judge, LabelsJudge):
        limits = judge.scale * (np.asarray(judge.thresholds) - judge.zero)
        *decided, names = set_decisions((floats.outputs[0][chosen], values[0]), limits, names)
        decisions = (decided[0], decided[1])
    elif isinstance(judge, RegressionJudge):
        units = judge.units
        exact = dataclasses.replace(units, scale=1.0, zero=0).values(floats.outputs[0][chosen])
        targets = target_differences(units, exact, units.values(device[0]))
    else:
        rebuilt = truth is None and golden.inputs[0].shape[1:] == golden.outputs[0].shape[1:]
        decisions = None if rebuilt else class_pair(floats.outputs[0][chosen], values[0])
    compared = Compared(
        cases=chosen,
        golden_cases=len(golden),
        floats=[v[chosen] for v in floats.outputs],
        device=values,
        decisions=decisions,
        names=names,
        labels=labels,
        targets=targets,
        places=manifest["outputs"],
    )
    settings = manifest["settings"].get("parity", {})
    bounds = build(ParityConfig, settings, "manifest.json", "settings.parity.")
    return compare_float(floats.network, compared, None if floats.random_inputs else bounds)


def _true_labels(truth: _Truth, names: list[str], chosen: list[int]) -> list[str] | None:
    """What each case really is; None of numbers."""
    if isinstance(truth.judge, RegressionJudge):
        return None
    if isinstance(truth.judge, LabelsJudge):
        return [label_set(row > 0, names) for row in truth.y[chosen]]
    known = truth.judge.labels if isinstance(truth.judge, AnomalyJudge) else names
    return [str(known[y] if y < len(known) else y) for y in truth.y[chosen]]


def _alarms(
    floats: FloatOutputs,
    judge: AnomalyJudge,
    inputs: npt.NDArray[Any],
    outputs: npt.NDArray[Any],
    chosen: list[int],
) -> tuple[Decisions, Decisions] | None:
    """Each side's alarms by its own threshold; None where the float network has none."""
    if floats.alarm_scores is None or floats.alarm_threshold is None:
        return None
    return (
        alarm_decisions(floats.alarm_scores[chosen], floats.alarm_threshold, 1.0),
        alarm_decisions(judge.error.scores(inputs, outputs), judge.threshold, judge.error.step),
    )


def describe(report: ParityReport) -> list[str]:
    """What the command prints of a report, whether all is well or not."""
    where = f"{report.board} on {report.emulator or report.port or 'a port'}"
    equal = f"{where}: {report.equal} of {report.cases} cases equal"
    if report.unanswered:
        equal += f", {report.missing:,} have no answer: no proof"
    elif report.first_difference is None:
        failures, tested = report.selftest["failures"], report.selftest["cases"]
        own = f"self-test {failures} failures" if tested else "no self-test in this firmware"
        equal += f" {report.reference}, every byte; {own}"
    if report.float_comparison is None:
        floats = f"not compared with a float network: {report.float_missing}"
    else:
        floats = f"as {report.float_comparison.network}: {describe_float(report.float_comparison)}"
    image = (
        f"image {report.image_sha256[:16]}"
        if report.image_sha256
        else "image: a board cannot tell it"
    )
    about = (
        f"  model {report.model_sha256[:16]}, "
        f"{image_words(report.kernels, report.framework, report.engine)}, run {report.run_id}, "
        f"{image}; {report.distinct_inputs:,} distinct inputs, "
        f"{report.distinct_outputs:,} distinct outputs"
    )
    few = (
        f"  few distinct outputs: {report.distinct_outputs} in {report.cases} cases show little of "
        "the model; give real samples (INPUTS=file.npz, or a recipe's windows)"
    )
    wanted = max(report.cases // 2, min(2, report.cases))  # of 2 or 3 cases, two
    weak = report.distinct_outputs < min(MANY_OUTPUTS, wanted)
    part = f"  these are {report.cases:,} of the {report.golden_cases:,} cases that are kept"
    right = report.accuracy
    told = [
        equal,
        *_describe_line(report),
        about,
        *other_kernels(report.board, report.kernels, report.emulator),
    ]
    told += [*([part] if report.cases < report.golden_cases else [])]
    told += [few] if weak else []
    if right is not None:
        share = right["correct"] / right["cases"]
        several = report.float_comparison is not None and len(report.float_comparison.outputs) > 1
        of_output = " of output 0" if several else ""
        what = (
            "all labels of a window right" if "macro_f1" in (report.metrics or {}) else "accuracy"
        )
        told.append(
            f"  {what}{of_output} against labels: {right['correct']:,} of {right['cases']:,} "
            f"({share:.1%})"
        )
    told.append(floats)
    return [*told, *(describe_tap(report.layers) if report.layers else [])]


def _describe_line(report: ParityReport) -> list[str]:
    """What the way to the device cost, when it cost anything."""
    link = report.link
    told = [
        f"{count:,} {what}"
        for count, what in (
            (link.retries, "repeats of a case"),
            (link.restarts, "restarts"),
            (link.reconnects, "reconnections"),
        )
        if count
    ]
    if report.put_aside:
        cases = ", ".join(map(str, report.put_aside[:TOLD_CASES]))
        more = ", ..." if len(report.put_aside) > TOLD_CASES else ""
        told.append(f"asked again at the end: case {cases}{more}")
    return [f"  the line: {'; '.join(told)}"] if told else []
