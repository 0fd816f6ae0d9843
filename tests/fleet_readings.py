"""Made-up drift readings of 1,000 boards, one a line: python -m tests.fleet_readings 100000.

Six in a hundred boards begin to drift at some time, in one channel.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import numpy as np

BOARDS = 1000
START = datetime(2026, 8, 1, tzinfo=timezone.utc)
CHANNELS = ("ax", "ay", "az", "wx", "wy", "wz")
TESTS = (
    *(f"{channel} {what}" for channel in CHANNELS for what in ("mean", "roughness")),
    *("accelerometer energy", "gyroscope energy", "confidence", "classes"),
)


def readings(count: int) -> Iterator[str]:
    """`count` lines in the order of their times."""
    rng = np.random.default_rng(1)
    rounds = -(-count // BOARDS)
    begins = np.where(rng.random(BOARDS) < 0.06, rng.integers(0, max(1, rounds), BOARDS), rounds)
    channels = rng.integers(0, len(CHANNELS), BOARDS)
    for number in range(count):
        turn, board = divmod(number, BOARDS)
        psi = rng.gamma(2, 0.02, len(TESTS))
        drifts = turn >= begins[board]
        rows = []
        for at, test in enumerate(TESTS):
            alarm = bool(drifts and at // 2 == channels[board])
            value = float(psi[at]) * (20 if alarm else 1)
            p = 0.001 if alarm else 0.6
            rows.append({"test": test, "psi": value, "usual_psi": 0.04, "p": p, "alarm": alarm})
        reading = {
            "device": f"press-{board:04}",
            "at": (START + timedelta(hours=turn, seconds=board)).isoformat(),
            "board": "nano33",
            "model_sha256": "10daba70" * 8,
            "windows": 4096,
            "alarm": bool(drifts),
            "rows": rows,
        }
        yield json.dumps(reading)


if __name__ == "__main__":
    for line in readings(int(sys.argv[1])):
        print(line)
