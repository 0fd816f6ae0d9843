"""The certificate of a front end: raw samples in, every feature and output equal to the host's.

The host runs the same C through cffi, with constants that Python makes from the recipe; the device
runs the constants that were generated into its firmware. Every golden case sends its samples, holds
the network's input in the arena and reads it back; a continuous stream then runs as an
application would.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import track

from host_tools.boards.board import Board
from host_tools.boards.chip_kernels import other_kernels
from host_tools.errors import DeviceError, HostToolsError, UsageError
from host_tools.link import frames, protocol
from host_tools.link.batch import Refused
from host_tools.link.device import Device
from host_tools.link.frames import Status
from host_tools.link.protocol import Inference, MessageType, Mode
from host_tools.link.target import Target, check_identity, open_device
from host_tools.parity.outputs import spread
from host_tools.report.results import read_manifest
from model.errors import DataError
from model.features.design import FrontEnd, recipe_front_end
from model.features.library import STAGES, Extractor, quantise_features
from model.files import write_json
from model.npz import read_arrays
from model.recipe_file import recipe_of
from quantize.golden import Golden, load_golden
from quantize.tflm import TfliteMicro

Int16 = npt.NDArray[np.int16]
Int8 = npt.NDArray[np.int8]

SLOW_CASES = 6  # a sixth of parity's on an emulator that is slow
SLOW_INPUTS = 2  # of the stream there
FNV_START, FNV_PRIME = 2166136261, 16777619


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something differed first; `stage` is one of STAGES, or "outputs"."""

    where: str  # "case 3" or "stream input 2"
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """How often a stage of the front end was equal, over cases and stream."""

    stage: str
    compared: int
    equal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureReport:
    """What features.json holds. Counts are of the board's counter, in `unit`."""

    kind: str
    cases: int
    equal: int  # cases with every stage, every byte of the input and of the outputs equal
    stream_samples: int
    stream_inputs: int
    stream_equal: int
    max_difference: int  # of the network's inputs, in LSB
    stages: tuple[StageResult, ...]
    first_difference: Place | None
    feature_counts: int  # for the samples of one hop, without a trace
    invoke_counts: int  # for the inference behind them
    hop: int
    unit: str
    model_sha256: str
    run_id: str
    kernels: str
    board: str
    emulator: str | None
    port: str | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """What one network input should be: hash of each stage, the input, the outputs."""

    where: str
    hashes: tuple[int, ...]
    input: Int8
    outputs: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Got:
    inference: Inference
    input: Int8 | None  # where it was held
    outputs: bytes


class _Host:
    """The front end and the model on this computer."""

    def __init__(self, out_dir: Path, manifest: dict[str, Any]) -> None:
        recipe = recipe_of(manifest["settings"], f"{out_dir}: the manifest's settings")
        self.front_end: FrontEnd = recipe_front_end(recipe)
        self.golden: Golden = load_golden(out_dir / "golden.npz")
        self._requant = manifest["features"]["input"]
        self._model = (out_dir / "model.tflite").read_bytes()
        self._extractor = Extractor(self.front_end)
        try:
            stored = read_arrays(out_dir / "samples.npz", ("samples", "stream"))
            self.samples: Int16 = stored["samples"]
            self.stream: Int16 = stored["stream"]
        except (OSError, ValueError) as error:
            raise DataError(
                f"{out_dir / 'samples.npz'}: expected samples and stream: {error}; run `make check`"
            ) from error
        if len(self.samples) != len(self.golden):
            raise HostToolsError(
                f"{out_dir}: samples.npz has {len(self.samples)} cases, golden.npz "
                f"{len(self.golden)}; run `make quantise` again"
            )

    def case(self, case: int) -> _Expected:
        """One golden case; the input that it was made with is the one that is expected."""
        (found,) = self._run(self.samples[case], f"case {case}")
        return replace(
            found,
            input=np.asarray(self.golden.case_inputs(case)[0]).reshape(-1),
            outputs=b"".join(values.tobytes() for values in self.golden.case_outputs(case)),
        )

    def stream_of(self, samples: Int16) -> list[_Expected]:
        """Every input of a continuous stream, with the interpreter's outputs."""
        interpreter = TfliteMicro(self._model)
        shape = self.golden.inputs[0].shape[1:]
        expected = []
        for found in self._run(samples, "stream input {}"):
            outputs = interpreter.run([found.input.reshape(shape)])
            sent = b"".join(values.tobytes() for values in outputs)[: protocol.MAX_STREAM_OUTPUT]
            expected.append(replace(found, outputs=sent))
        return expected

    def _run(self, samples: Int16, where: str) -> list[_Expected]:
        """The inputs that samples [n, channels] complete, from a new start on, without outputs."""
        found: list[_Expected] = []
        inputs_hash = FNV_START
        self._extractor.reset()
        self._extractor.trace()
        step = self.front_end.hop
        # the first input may come in the middle of a hop: cut there
        cuts = [0, *range(self.front_end.window, len(samples) + 1, step)]
        for start, end in pairwise(cuts):
            features = self._extractor.push(samples[start:end])
            hashes = self._extractor.hashes()
            values = quantise_features(features.reshape(-1), **self._requant)
            inputs_hash = fnv1a(values.tobytes(), inputs_hash)
            found.append(
                _Expected(
                    where=where.format(len(found)),
                    hashes=tuple({**hashes, STAGES[-1]: inputs_hash}[stage] for stage in STAGES),
                    input=values,
                    outputs=b"",
                )
            )
        return found


def fnv1a(data: bytes, start: int = FNV_START) -> int:
    """FNV-1a, 32 bits, as fe_trace_add."""
    for byte in data:
        start = (start ^ byte) * FNV_PRIME & 0xFFFFFFFF
    return start


class _Board:
    """The front end and the model on a device."""

    def __init__(self, device: Device, front_end: FrontEnd, manifest: dict[str, Any]) -> None:
        self._device = device
        self._place = dict(manifest["inputs"][0])
        if self._place["offset"] is None:  # the device has planned its arena
            self._place["offset"] = device.place(protocol.Place.INPUT, 0)
        self._sizes = device.info.output_bytes
        self._step = min(front_end.hop, protocol.MAX_SAMPLES // front_end.channels)

    def case(self, samples: Int16) -> _Got:
        """One window: hold its input, read it, run the model on it."""
        pushes = self._pushes(samples, Mode.HOLD | Mode.TRACE)
        offset, size = self._place["offset"], self._place["bytes"]
        reads = [
            (MessageType.READ_ARENA, protocol.pair_payload(offset + at, count))
            for at, count in protocol.parts(size, frames.MAX_PAYLOAD)
        ]
        outputs = [
            (MessageType.READ_OUTPUT, protocol.read_output_payload(tensor, at, count))
            for tensor, total in enumerate(self._sizes)
            for at, count in protocol.parts(total, frames.MAX_PAYLOAD)
        ]
        replies = self._exchange([*pushes, *reads, (MessageType.INVOKE, b""), *outputs])
        held = self._inferences(replies[: len(pushes)], 0)
        if len(held) != 1:
            raise DeviceError(f"a window completed {len(held)} inputs; expected 1")
        rest = replies[len(pushes) :]
        return _Got(
            inference=held[0],
            input=np.frombuffer(b"".join(rest[: len(reads)]), np.int8),
            outputs=b"".join(rest[len(reads) + 1 :]),
        )

    def stream(self, samples: Int16, mode: Mode) -> list[Inference]:
        """All inferences of a stream from its start."""
        replies = self._exchange(self._pushes(samples, mode))
        return self._inferences(replies, min(sum(self._sizes), protocol.MAX_STREAM_OUTPUT))

    def _pushes(self, samples: Int16, mode: Mode) -> list[tuple[MessageType, bytes]]:
        return [
            (
                MessageType.SAMPLES,
                protocol.samples_payload(
                    at, mode, samples[at : at + count].astype("<i2").tobytes()
                ),
            )
            for at, count in protocol.parts(len(samples), self._step)
        ]

    def _exchange(self, requests: Sequence[tuple[MessageType, bytes]]) -> list[bytes]:
        try:
            return self._device.exchange(requests)
        except Refused as refusal:
            if refusal.status != Status.BAD_TYPE:
                raise
            raise UsageError(
                f"{self._device.info.board_id}: this firmware has no front end: it is older than "
                "these tools, or was built from a .tflite made elsewhere. Build the recipe's: make "
                f"build BOARD={self._device.info.board_id} (make flash for a real board)"
            ) from refusal

    def _inferences(self, replies: Sequence[bytes], output_bytes: int) -> list[Inference]:
        try:
            return [i for reply in replies for i in protocol.parse_inferences(reply, output_bytes)]
        except ValueError as error:
            raise DeviceError(
                f"{self._device.info.board_id}: {error}. Flash the firmware of these tools."
            ) from error


def run_features(
    out_dir: Path, board: Board, target: Target, cases: int | None = None
) -> FeatureReport:
    """Compare front end and outputs, write <board>/features.json.

    `cases` bounds how many golden cases run; None means all, or a few on a slow emulator. Raises
    UsageError for a model without a front end, DeviceError for another firmware or a silent one.
    """
    manifest = read_manifest(board, out_dir)
    if not manifest.get("features"):
        raise UsageError(
            f"{out_dir}: this model has no front end, because it was not made from a recipe here; "
            "`make parity` compares its outputs"
        )
    host = _Host(out_dir, manifest)
    limit = target.emulator.case_limit if target.emulator else None
    chosen = spread(len(host.samples), cases or (max(1, limit // SLOW_CASES) if limit else None))
    stream = host.stream
    if limit is not None:
        stream = stream[: host.front_end.window + (SLOW_INPUTS - 1) * host.front_end.hop]
    started = time.monotonic()
    with open_device(target, board, out_dir / board.folder) as device:
        check_identity(device, manifest, board)
        runner = _Board(device, host.front_end, manifest)
        pairs = [
            (host.case(case), runner.case(host.samples[case]))
            for case in track(
                chosen,
                description=f"features {board.id}",
                transient=True,
                disable=not sys.stdout.isatty(),
            )
        ]
        streamed, last = _run_stream(host, runner, stream)
        counts = device.info.counts
    report = FeatureReport(
        **_compared(pairs, streamed),
        kind=host.front_end.kind,
        stream_samples=len(stream),
        feature_counts=counts(last.feature_ticks),
        invoke_counts=counts(last.invoke_ticks),
        hop=host.front_end.hop,
        unit=target.unit(board),
        model_sha256=manifest["model_sha256"],
        run_id=manifest["run_id"],
        kernels=manifest["kernels"],
        board=board.id,
        emulator=target.emulator.name if target.emulator else None,
        port=target.port,
        seconds=round(time.monotonic() - started, 2),
    )
    write_json(out_dir / board.folder / target.file("features"), asdict(report))
    return report


def _run_stream(
    host: _Host, runner: _Board, samples: Int16
) -> tuple[list[tuple[_Expected, _Got]], Inference]:
    """What was expected and got for each input of a stream, and the last one's cost untraced."""
    traced = runner.stream(samples, Mode.TRACE)
    timed = runner.stream(samples, Mode.INVOKE)
    expected = host.stream_of(samples)
    if not len(expected) == len(traced) == len(timed):
        raise HostToolsError(
            f"the stream completed {len(traced)} inputs with a trace and {len(timed)} without; "
            f"expected {len(expected)}: a front end that was generated for another window or hop"
        )
    streamed = [
        (want, _Got(inference=hashes, input=None, outputs=plain.outputs))
        for want, hashes, plain in zip(expected, traced, timed, strict=True)
    ]
    return streamed, timed[-1]


def _compared(
    cases: Sequence[tuple[_Expected, _Got]], stream: Sequence[tuple[_Expected, _Got]]
) -> dict[str, Any]:
    """The part of a report that says what is equal."""
    whole = [*cases, *stream]
    wrong = [_difference(want, got) for want, got in whole]
    used = [i for i in range(len(STAGES)) if any(want.hashes[i] != FNV_START for want, _ in whole)]
    stages = [
        StageResult(
            stage=STAGES[i],
            compared=len(whole),
            equal=sum(want.hashes[i] == got.inference.hashes[i] for want, got in whole),
        )
        for i in used
    ]
    apart = [
        int(np.abs(want.input.astype(int) - got.input.astype(int)).max())
        for want, got in cases
        if got.input is not None
    ]
    return {
        "cases": len(cases),
        "equal": sum(place is None for place in wrong[: len(cases)]),
        "stream_inputs": len(stream),
        "stream_equal": sum(place is None for place in wrong[len(cases) :]),
        "max_difference": max(apart),
        "stages": tuple(stages),
        "first_difference": next((place for place in wrong if place is not None), None),
    }


def _difference(want: _Expected, got: _Got) -> Place | None:
    """The first stage that differs."""
    for stage, expected, found in zip(STAGES, want.hashes, got.inference.hashes, strict=True):
        if expected != found:
            return Place(where=want.where, stage=stage)
    if got.input is not None and not np.array_equal(want.input, got.input):
        return Place(where=want.where, stage=STAGES[-1])
    return None if want.outputs == got.outputs else Place(where=want.where, stage="outputs")


def describe(report: FeatureReport) -> list[str]:
    """What the command prints."""
    name = f"{report.board} on {report.port or report.emulator}"
    equal = f"{report.equal} of {report.cases} cases equal in every stage, input and output"
    lines = [
        f"{name}: {report.kind} features: {equal}; stream: {report.stream_equal} of "
        f"{report.stream_inputs} inputs; largest difference {report.max_difference} LSB",
        f"  {report.feature_counts:,} {report.unit} for the features of {report.hop} samples, "
        f"{report.invoke_counts:,} for the inference",
        *other_kernels(report.board, report.kernels, report.emulator),
    ]
    if place := report.first_difference:
        lines.append(f"  first difference: {place.where}, stage {place.stage}")
    return lines
