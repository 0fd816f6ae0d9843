"""Made-up gestures of five people as CSV files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PEOPLE = ("ann", "bob", "cleo", "dan", "eve")


def gesture(label: int, person: int, take: int, count: int = 300) -> Iterator[tuple[float, ...]]:
    rng = np.random.default_rng([label, person, take])
    for i in range(count):
        turn = 2 * math.pi * (label + 1) * (1 + 0.05 * person) * i / 100 + take
        noise = rng.normal(0, 0.02, 3)
        yield math.cos(turn) + noise[0], math.sin(turn) + noise[1], 1 + noise[2]


def gestures_csv(
    folder: Path, name: str = "{label}.{who}.{take}.csv", header: str = "time,ax,ay,az",
    line: str = "{t:.4f},{x:.4f},{y:.4f},{z:.4f}", jitter: float = 0.0,
) -> None:  # fmt: skip
    rng = np.random.default_rng(5)
    for k, label in enumerate(("circle", "wave")):
        for p, who in enumerate(PEOPLE):
            for take in range(2):
                rows, t = [header] if header else [], 0.0
                for x, y, z in gesture(k, p, take):
                    rows.append(line.format(t=t, x=x, y=y, z=z))
                    t += 0.01 * (1 + jitter * rng.uniform(-1, 1))
                path = folder / name.format(label=label, who=who, take=take)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("\n".join(rows) + "\n", "utf-8")
