"""A plan of a live session with the stub's firmware, without a recipe's results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from host_tools.link.protocol import Channel, Sensor, pack_sensor
from host_tools.link.transport import Transport
from host_tools.live.dataset import ClipStore
from host_tools.live.plan import Plan
from host_tools.live.reading import Described, Reader
from host_tools.live.sources import Take
from model.decide import Rule
from model.tasks import ClassJudge
from tests.firmware_builds import built_with_features

CHANNELS, CLASSES, WINDOW, HOP = 6, 7, 128, 64
SCRIPT = "<script>document.title = 'broken'</script>"
LABELS = (SCRIPT, "<b>wave</b>", '" onclick="x', "rest", "=1+1", "&amp;", "circle")
RATE_HZ = 400.0
NAMES = ("ax", "ay", "az", "wx", "wy", "wz")
SENSOR = Sensor(
    rate_millihertz=round(1000 * RATE_HZ),
    channels=tuple(
        Channel(name=name, unit="g" if i < 3 else "rad/s", lsb_nano=1_000_000)
        for i, name in enumerate(NAMES)
    ),
)
SAMPLES = np.random.default_rng(5).integers(-2000, 2000, (6000, CHANNELS)).astype(np.int16)
DESCRIBED = Described(labels=LABELS, scale=1 / 256, zero_point=-128, dtype="int8", size=CLASSES)


def sensor_file(samples: np.ndarray[Any, Any] = SAMPLES) -> bytes:
    """What an emulated board has as its sensor."""
    return pack_sensor(SENSOR) + samples.astype("<i2").tobytes()


def stub_plan(folder: Path, start: Callable[[Path], Transport], **changes: Any) -> Plan:
    """A board of the stub's firmware that `start` starts, emulated; clips go to `folder`."""
    elf = built_with_features("native") / "firmware.elf"
    clips = ClipStore(None, None, "native", folder / "recordings")
    values: dict[str, Any] = {
        "title": "stub <i>model</i>",
        "board": "native",
        "target": "native",
        "emulated": True,
        "unit": "nanoseconds",
        "clock_hz": 0,
        "start_s": 20.0,
        "images": (elf,),
        "open": lambda: start(elf),
        "check": lambda device: None,
        "reader": lambda: Reader(
            DESCRIBED, ClassJudge(classes=CLASSES), Rule(inputs=1, threshold=-128, pause=0)
        ),
        "hop": HOP,
        "takes": (
            Take(name="a.csv", truth="rest", samples=SAMPLES[:1000]),
            Take(name="b<i>.csv", truth=SCRIPT, samples=SAMPLES[1000:2000]),
        ),
        "held_out": 1,
        "replay": SENSOR,
        "no_takes": "",
        "labels": LABELS,
        "where": clips.where,
        "refuse": clips.refuse,
        "save": clips.save,
        "flash_bytes": 1234,
        "ram_bytes": 567,
    }
    return Plan(**(values | changes))
