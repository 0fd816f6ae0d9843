"""Record labelled samples from a board's sensor, one file a take, as Edge Impulse's JSON.

model/datasets/edge_impulse.py reads these files. A value is the sample times the sensor's LSB, a
number with all its decimal digits, so the sample can be had back exactly.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from host_tools.boards.board import Board
from host_tools.emulators import Replaying
from host_tools.errors import DeviceError, HostToolsError, UsageError
from host_tools.link.batch import Refused
from host_tools.link.device import Device
from host_tools.link.frames import Status
from host_tools.link.protocol import Channel, Sensor, TakeState, pack_sensor
from host_tools.link.target import Target, open_device
from model.files import write_text
from model.npz import read_arrays

KEY_VARIABLE = "EI_HMAC_KEY"
MAX_SECONDS = 3600.0
IDLE_S = 0.02  # before a sensor that had nothing is asked again
STALL_S = 5.0  # the longest a sensor may give nothing
MAX_REPLAY_BYTES = 64 << 20
REPLAY_ARRAYS = ("samples", "rate_hz", "channels", "units", "lsb")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_UNSIGNED = "0" * 64
_NANO = Decimal("1e-9")


def record_take(
    board: Board,
    target: Target,
    board_dir: Path,
    *,
    label: str,
    who: str,
    seconds: float,
    folder: Path,
) -> Path:
    """Record one take of `seconds` and return its file: `folder`/<label>.<who>.<number>.json.

    It is signed when the environment variable KEY_VARIABLE holds a key. Raises UsageError for
    wrong words or a firmware or board that cannot record, DeviceError when the board fails, loses
    samples or ends too early; then nothing is written.
    """
    check_word("LABEL", label)
    check_word("WHO", who)
    if not 0 < seconds <= MAX_SECONDS:
        raise UsageError(f"SECONDS={seconds:g}: expected more than 0, at most {MAX_SECONDS:g}")
    with open_device(target, board, board_dir) as device:
        sensor = _start(device, board, target)
        samples = _samples(device, sensor, max(1, round(seconds * sensor.rate_millihertz / 1000)))
    key = os.environ.get(KEY_VARIABLE, "").encode()
    path = free_path(folder, f"{label}.{who}")
    write_text(path, take_text(sensor, samples, device_type=board.id, who=who, key=key))
    return path


def check_word(name: str, word: str) -> None:
    """UsageError for what is not safe in a file's name; `name` says what it is."""
    if not _WORD.fullmatch(word):
        raise UsageError(
            f"{name}={word!r}: expected 1 to 64 letters, digits, - and _, as in {name}=wave"
        )


def decimals(sensor: Sensor, samples: npt.NDArray[np.int16]) -> Iterator[list[str]]:
    """Samples [n, channels] in the channels' units, each with all its digits, row by row."""
    lsb = [channel.lsb_nano * _NANO for channel in sensor.channels]
    for row in samples:
        yield [format((int(v) * s).normalize(), "f") for v, s in zip(row, lsb, strict=True)]


def take_text(
    sensor: Sensor, samples: npt.NDArray[np.int16], *, device_type: str, who: str, key: bytes
) -> str:
    """The file of one take, samples [n, channels]; signed when `key` is not empty."""
    rows = ["[" + ", ".join(row) for row in decimals(sensor, samples)]
    signature = _UNSIGNED if key else ""
    head = {
        "protected": {"ver": "v1", "alg": "HS256" if key else "none"},
        "signature": signature,
        "payload": {
            "device_name": who,
            "device_type": device_type,
            "interval_ms": 1e6 / sensor.rate_millihertz,
            "sensors": [{"name": c.name, "units": c.unit} for c in sensor.channels],
            "values": [],
        },
    }
    text = json.dumps(head, indent=1).replace('"values": []', f'"values": [{"], ".join(rows)}]]')
    if not key:
        return text + "\n"
    text += "\n"
    signed = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return text.replace(_UNSIGNED, signed, 1)


def with_replay(target: Target, path: Path) -> Target:
    """The same emulator, with the samples of a .npz in the sensor's place; UsageError otherwise."""
    if not isinstance(target.emulator, Replaying):
        raise UsageError(
            f"{target.name} does not replay recordings; QEMU's boards and native do: BOARD=qemu_m4"
        )
    return replace(target, emulator=target.emulator.with_replay(read_replay(path)))


def read_replay(path: Path) -> bytes:
    """What an emulator takes as a recording, from the arrays REPLAY_ARRAYS of an .npz.

    samples [n, channels] int16, rate_hz a number, channels and units [channels] texts, lsb
    [channels] units a step. Raises UsageError for anything else.
    """
    try:
        stored = read_arrays(path, REPLAY_ARRAYS, kinds="iufU", limit=MAX_REPLAY_BYTES)
        samples, rate, names, units, lsb = (stored[name] for name in REPLAY_ARRAYS)
        return _replay_bytes(samples, rate, names, units, lsb)
    except (OSError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"{path}: not a recording to replay: {error}; expected an .npz with samples [n, "
            "channels] int16, rate_hz, channels, units and lsb"
        ) from error


def _replay_bytes(
    samples: npt.NDArray[Any],
    rate: npt.NDArray[Any],
    names: npt.NDArray[Any],
    units: npt.NDArray[Any],
    lsb: npt.NDArray[Any],
) -> bytes:
    if samples.dtype != np.int16 or samples.ndim != 2:
        raise ValueError(f"samples are {samples.dtype} {samples.shape}")
    if not names.shape == units.shape == lsb.shape == samples.shape[1:]:
        raise ValueError(f"{samples.shape[1]} channels of samples, {names.size} names")
    channels = tuple(
        Channel(name=str(name), unit=str(unit), lsb_nano=round(float(step) * 1e9))
        for name, unit, step in zip(names, units, lsb, strict=True)
    )
    sensor = Sensor(rate_millihertz=round(float(rate) * 1000), channels=channels)
    return pack_sensor(sensor) + samples.astype("<i2").tobytes()


def _start(device: Device, board: Board, target: Target) -> Sensor:
    info = device.info
    if info.board_id != board.id:
        raise DeviceError(
            f"the firmware was built for {info.board_id}, not for {board.id}; "
            f"name the right board: BOARD={info.board_id}"
        )
    try:
        return device.record_start()
    except Refused as refusal:
        if refusal.status == Status.BAD_TYPE:
            raise UsageError(
                f"{target.name}: this firmware cannot record: it is older than these tools, or its "
                "model has no front end. Build the firmware of a recipe: make flash RECIPE=motion "
                f"BOARD={board.id} (make build where it is emulated)"
            ) from refusal
        if refusal.status == Status.BAD_STATE:
            replays = isinstance(target.emulator, Replaying)
            raise UsageError(
                f"{target.name}: board {board.id} has no sensor"
                + (
                    "; give it a recording: REPLAY=file.npz"
                    if replays
                    else " that answers and suits the model; its firmware reads "
                    + (", ".join(s.part for s in board.sensors) or "none")
                    + " (boards/README.md says what is wired where)"
                )
            ) from refusal
        raise


def _samples(device: Device, sensor: Sensor, count: int) -> npt.NDArray[np.int16]:
    """`count` samples [count, channels] without a gap; DeviceError when one is missing."""
    width = len(sensor.channels)
    parts: list[bytes] = []
    have, heard = 0, time.monotonic()
    with Progress(
        TextColumn("recording"),
        BarColumn(),
        TextColumn(
            "{task.fields[seconds]:.1f} s, {task.completed:.0f} of {task.total:.0f} samples"
        ),
        TimeRemainingColumn(),
        transient=True,
        disable=not sys.stdout.isatty(),
    ) as progress:
        bar = progress.add_task("recording", total=count, seconds=0.0)
        while have < count:
            take = device.record_read(have, width)
            got = len(take.samples) // (2 * width)
            at_s = have * 1000 / sensor.rate_millihertz
            if take.first != have or take.state & TakeState.OVERRUN:
                raise _failed(device, at_s, "samples were lost; close other programs and repeat")
            if take.state & TakeState.FAILED:
                raise _failed(device, at_s, "the sensor does not answer; reset the board")
            parts.append(take.samples)
            have += got
            progress.update(bar, completed=min(have, count), seconds=at_s)
            if have < count and take.state & TakeState.ENDED:
                at_s = have * 1000 / sensor.rate_millihertz
                raise _failed(device, at_s, f"the recording ended; ask for SECONDS={at_s:g}")
            if got:
                heard = time.monotonic()
            elif time.monotonic() - heard > STALL_S:
                raise _failed(device, at_s, f"no sample for {STALL_S:g} s; reset the board")
            else:
                time.sleep(IDLE_S)
    return np.frombuffer(b"".join(parts), "<i2").reshape(-1, width)[:count].astype(np.int16)


def _failed(device: Device, at_s: float, why: str) -> HostToolsError:
    return DeviceError(
        f"{device.info.board_id}: nothing was written: {why} (after {at_s:.1f} s of this take)"
    )


def free_path(folder: Path, stem: str) -> Path:
    """`folder`/<stem>.<number>.json, with the first number that is free."""
    taken = {path.name for path in folder.glob(f"{stem}.*.json")}
    number = next(n for n in range(1, len(taken) + 2) if f"{stem}.{n:04}.json" not in taken)
    return folder / f"{stem}.{number:04}.json"
