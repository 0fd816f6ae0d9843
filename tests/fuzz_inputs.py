"""Fuzz the readers beside the .tflite's: python -m tests.fuzz_inputs KIND SECONDS FOLDER [SEED].

KIND is one of tests.hostile_inputs, read in this process with bounded memory, or one of
tests.hostile_networks, which tests.hostile_worker reads. What ends in anything but success or one
message of ours stays in FOLDER, and the exit code is 1.
"""

from __future__ import annotations

import collections
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

from tests.hostile_inputs import KINDS, judge
from tests.hostile_worker import MAX_SECONDS, limit_memory

LONGEST = 2000  # characters of a message


def verdict(kind: str, data: bytes) -> tuple[str, str]:
    """What becomes of one file in this process."""
    started = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            told = judge(kind, data)
    except BaseException:
        return "wrong", traceback.format_exc(limit=-4)
    if time.process_time() - started > MAX_SECONDS:
        return "slow", f"{time.process_time() - started:.1f} s"
    if told is not None and (len(told) > LONGEST or not told.strip()):
        return "wrong", f"a message of {len(told)} characters"
    return ("accepted", "") if told is None else ("refused", told)


def here(kind: str, seconds: float, folder: Path, seed: int) -> collections.Counter[str]:
    """Draw and read files for a while."""
    counts: collections.Counter[str] = collections.Counter()
    until = time.monotonic() + seconds
    limit_memory()
    while time.monotonic() < until:
        number = seed + sum(counts.values())
        data = KINDS[kind][0](np.random.default_rng(number))
        said, detail = verdict(kind, data)
        counts[said] += 1
        if said in ("wrong", "slow"):
            (folder / f"{kind}_{number}").write_bytes(data)
            print(f"{kind}_{number}: {said}: {detail}")
    return counts


def main() -> int:
    """Print how many files there were of each verdict."""
    kind, seconds, folder = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    folder.mkdir(parents=True, exist_ok=True)
    if kind in KINDS:
        counts = here(kind, seconds, folder, seed)
    else:
        from tests.hostile_networks import apart

        counts = apart(kind, seconds, folder, seed)
    print(f"{kind}: {sum(counts.values())} files: {dict(counts)}")
    return int(any(name not in ("accepted", "refused", "died") for name in counts))


if __name__ == "__main__":
    sys.exit(main())
