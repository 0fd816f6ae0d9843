"""Vibration of rotating machines, generated: nothing is downloaded, the same everywhere by seed.

A machine is an electric motor with a deep-groove ball bearing and an accelerometer on its housing:
one channel, 6667 Hz, 16 bits, +-8 g. Its recordings are the sum of

* shaft harmonics 1x, 2x, 3x with amplitudes and phases of their own, at a speed that wanders by
  SPEED_WANDER about a nominal one between 47.5 and 49.5 Hz (a two-pole motor at 50 Hz with slip),
  and the magnetic pull at twice the mains frequency;
* broadband noise of flow and friction, which the housing's resonance colours; the sensor's noise;
* a fault, of a severity between 0 and 1 that scales its amplitude.

Bearing faults strike once a passing ball, at a frequency that follows from geometry alone
(bearing_orders). Each strike makes the housing ring, h(t) = exp(-2 pi zeta f t) sin(2 pi f t), and
its moment slips by SLIP of the interval, because balls do not roll exactly. A strike on the outer
race has one strength; the inner race's defect passes the load zone once a turn and a ball's with
the cage, so their strikes are modulated by 1x and by the cage's frequency. Unbalance raises 1x;
looseness gives 0.5x and a row of harmonics, because the shaft's movement is cut on one side.

All is multiplied by the machine's mounting gain and the recording's load, rounded, and clipped.
Textbook facts, as in Randall and Antoni, "Rolling element bearing diagnostics - A tutorial",
Mechanical Systems and Signal Processing 25 (2011), and ISO 15243; amplitudes are ours, so scores on
these data say how the pipeline works, not how well it finds faults of real machines.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, Recording, table_of
from model.errors import ConfigError
from model.recipe import DatasetConfig
from model.recipe_tables import VibrationConfig

Float = npt.NDArray[np.float64]

SAMPLE_RATE_HZ = 6667.0
LSB_MG = 8000 / 32768  # +-8 g
UNIT = f"LSB of {LSB_MG:.3f} mg"
FAULTS = ("outer race", "inner race", "ball", "unbalance", "looseness")
NORMAL = "normal"

BALLS, BALL_MM, PITCH_MM, CONTACT_DEGREES = 9, 7.94, 39.04, 0.0  # a bearing 6205
SPEED_WANDER = 0.004  # standard deviation of the relative speed
SLIP = 0.01  # standard deviation of a strike's moment, in intervals
MAINS_HZ = 50.0
DAMPING = 0.04  # of the housing's resonance
RING = 128  # samples until a ring has died away
MAX_SAMPLES = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What distinguishes one machine of the fleet."""

    speed_hz: float  # nominal, of the shaft
    resonance_hz: float
    gain: float  # of the mounting
    harmonics: tuple[float, ...]  # amplitudes of 1x, 2x, 3x in mg
    magnetic: float  # amplitude at twice the mains frequency in mg
    broadband: float  # standard deviation in mg


def bearing_orders(
    balls: int = BALLS,
    ball_mm: float = BALL_MM,
    pitch_mm: float = PITCH_MM,
    contact_degrees: float = CONTACT_DEGREES,
) -> dict[str, float]:
    """Defect frequencies over the shaft's, for an outer race that stands still.

    With r = ball / pitch * cos(contact angle): cage FTF = (1 - r) / 2, outer race BPFO =
    balls * FTF, inner race BPFI = balls * (1 + r) / 2, ball BSF = (1 - r^2) * pitch / (2 ball).
    """
    ratio = ball_mm / pitch_mm * math.cos(math.radians(contact_degrees))
    cage = (1 - ratio) / 2
    return {
        "FTF": cage,
        "BPFO": balls * cage,
        "BPFI": balls * (1 + ratio) / 2,
        "BSF": pitch_mm / (2 * ball_mm) * (1 - ratio * ratio),
    }


def make_machine(seed: int, number: int) -> Machine:
    """The machine `number` of the fleet `seed`."""
    rng = np.random.RandomState([seed, number])
    return Machine(
        speed_hz=rng.uniform(47.5, 49.5),
        resonance_hz=rng.uniform(1800.0, 2200.0),
        gain=math.exp(rng.normal(0.0, 0.08)),
        harmonics=tuple(a * math.exp(rng.normal(0.0, 0.15)) for a in (60.0, 30.0, 15.0)),
        magnetic=20.0 * math.exp(rng.normal(0.0, 0.15)),
        broadband=12.0 * math.exp(rng.normal(0.0, 0.08)),
    )


def make_signal(
    machine: Machine, fault: str, severity: float, samples: int, rng: np.random.RandomState
) -> Float:
    """Acceleration [samples] in mg, before the sensor's rounding."""
    time = np.arange(samples) / SAMPLE_RATE_HZ
    turns = _turns(machine, samples, rng)
    boost = 1 + 5 * severity if fault == "unbalance" else 1.0
    amplitudes = np.array(machine.harmonics) * (boost, 1.0, 1.0)
    signal = _harmonics(turns, dict(zip((1.0, 2.0, 3.0), amplitudes, strict=True)), rng)
    signal += _harmonics(time * 2 * MAINS_HZ, {1.0: machine.magnetic}, rng)
    if fault == "looseness":
        row = {0.5: 30.0, **{float(k): 50.0 / k**0.5 for k in range(4, 13)}}
        signal += severity * _harmonics(turns, row, rng)
    ring = _ring(machine.resonance_hz)
    coloured = np.convolve(rng.standard_normal(samples + len(ring) - 1), ring, "valid")
    signal += machine.broadband * 0.5 * (coloured / np.sqrt(np.sum(ring**2)))
    signal += machine.broadband * rng.standard_normal(samples)
    if fault in ("outer race", "inner race", "ball"):
        signal += severity * _strikes(machine, fault, turns, rng)
    load = math.exp(rng.normal(0.0, 0.05))
    return np.asarray(machine.gain * load * signal)


def _turns(machine: Machine, samples: int, rng: np.random.RandomState) -> Float:
    """The shaft's angle in turns; its speed wanders slowly, a random curve through 4 points a s."""
    points = max(int(4 * samples / SAMPLE_RATE_HZ), 1) + 2
    curve = np.interp(
        np.linspace(0, points - 1, samples), np.arange(points), rng.standard_normal(points)
    )
    speed = machine.speed_hz * (1 + SPEED_WANDER * curve)
    return np.asarray(rng.uniform() + np.cumsum(speed) / SAMPLE_RATE_HZ)


def _harmonics(turns: Float, amplitudes: dict[float, float], rng: np.random.RandomState) -> Float:
    """The sum of sines at orders of the shaft, each with a random phase."""
    total = np.zeros_like(turns)
    for order, amplitude in amplitudes.items():
        total += amplitude * np.sin(2 * np.pi * (order * turns + rng.uniform()))
    return total


def _ring(resonance_hz: float, delay: float = 0.0) -> Float:
    """The housing's answer to a strike `delay` samples before the first of its RING samples."""
    time = (np.arange(RING) + delay) / SAMPLE_RATE_HZ
    return np.asarray(
        np.exp(-2 * np.pi * DAMPING * resonance_hz * time) * np.sin(2 * np.pi * resonance_hz * time)
    )


def _strikes(machine: Machine, fault: str, turns: Float, rng: np.random.RandomState) -> Float:
    """Rings at the fault's frequency, 300 mg at their strongest."""
    orders = bearing_orders()
    # a ball's defect meets both races in one turn of the ball
    order = {"outer race": orders["BPFO"], "inner race": orders["BPFI"], "ball": 2 * orders["BSF"]}
    numbers = np.arange(np.ceil(turns[0] * order[fault]), turns[-1] * order[fault])
    at_turn = (numbers + SLIP * rng.standard_normal(len(numbers))) / order[fault]
    strength = np.full(len(numbers), 300.0)
    if fault != "outer race":
        zone = 1.0 if fault == "inner race" else orders["FTF"]
        strength *= (1 + np.cos(2 * np.pi * (zone * at_turn + rng.uniform()))) / 2
    total = np.zeros(len(turns) + RING)
    for place, amount in zip(
        np.interp(at_turn, turns, np.arange(len(turns))), strength, strict=True
    ):
        first = math.ceil(place)
        total[first : first + RING] += amount * _ring(machine.resonance_hz, first - place)
    return total[: len(turns)]


def _record(
    machine: Machine, fault: str, severity: float, samples: int, seed: list[int]
) -> npt.NDArray[np.int16]:
    """What the sensor gives: int16 [samples], with its own noise of 75 ug per root Hz."""
    rng = np.random.RandomState(seed)
    signal = make_signal(machine, fault, severity, samples, rng)
    noise = 0.075 * math.sqrt(SAMPLE_RATE_HZ / 2) * rng.standard_normal(samples)
    return np.clip(np.rint((signal + noise) / LSB_MG), -32768, 32767).astype(np.int16)


def states(config: VibrationConfig) -> tuple[tuple[str, float], ...]:
    """(fault, severity) of each class, the normal one first."""
    return ((NORMAL, 0.0), *((fault, s) for fault in FAULTS for s in config.severities))


def load(config: DatasetConfig) -> Dataset:
    """All recordings of [dataset.vibration]; groups are machines, numbered from 0.

    Raises ConfigError for settings out of bounds. The data's SHA-256 is over label, machine and
    int16 samples of every recording in turn.
    """
    table = table_of(config.vibration, "vibration")
    classes = states(table)
    _check(table, len(classes))
    samples = round(table.seconds * SAMPLE_RATE_HZ)
    recordings, digest = [], hashlib.sha256()
    for number in range(table.machines):
        machine = make_machine(table.seed, number)
        for label, (fault, severity) in enumerate(classes):
            for repeat in range(table.normal_recordings if fault == NORMAL else 1):
                seed = [table.seed, number, label, repeat]
                values = _record(machine, fault, severity, samples, seed)
                digest.update(np.array([label, number], "<i4").tobytes())
                digest.update(values.astype("<i2").tobytes())
                recordings.append(
                    Recording(values=values.astype(np.float32)[:, None], label=label, group=number)
                )
    return Dataset(
        recordings=tuple(recordings),
        labels=tuple(f if f == NORMAL else f"{f}, severity {s:g}" for f, s in classes),
        channels=("acceleration",),
        sample_rate_hz=SAMPLE_RATE_HZ,
        units=(UNIT,),
        sha256=digest.hexdigest(),
    )


def _check(table: VibrationConfig, classes: int) -> None:
    rising = all(a < b for a, b in itertools.pairwise(table.severities))
    if not table.severities or not rising:
        raise ConfigError(
            f"dataset.vibration.severities: expected rising numbers, got {list(table.severities)}"
        )
    recordings = table.machines * (table.normal_recordings + classes - 1)
    if not RING <= table.seconds * SAMPLE_RATE_HZ <= MAX_SAMPLES / recordings:
        raise ConfigError(
            f"dataset.vibration: expected recordings of at least {RING} samples and "
            f"{MAX_SAMPLES:,} in all, got {recordings} recordings of {table.seconds:g} s at "
            f"{SAMPLE_RATE_HZ:g} Hz; set another number or length"
        )
