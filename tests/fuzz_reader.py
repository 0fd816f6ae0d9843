"""Coverage-guided fuzzing of the reader: python -m tests.fuzz_reader CORPUS [libFuzzer options].

Anything but our error, a wait of more than 2 s or 500 MB ends the run and leaves the file behind as
an artifact; put it into tests/vectors/hostile/ as <what>.tflite, and test_hostile.py replays it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["quantize"]):
    from quantize.errors import QuantizeError
    from quantize.lowering import lower
    from quantize.planner import plan_arena
    from quantize.reference import compile_graph
    from quantize.tflite.external_buffers import inlined
    from quantize.tflite.reader import parse_model

# libFuzzer's own limit of memory counts the peak of the process that started this one, too
LIMITS = ("-timeout=2", "-rss_limit_mb=0", "-max_len=8192", "-print_final_stats=1")


def one_input(data: bytes) -> None:
    """Read and compile one file."""
    try:
        graph = parse_model(inlined(data))
        plan_arena(graph, lower(graph, compile_graph(graph)))
    except QuantizeError:
        pass


def main() -> None:
    """Add a valid file of every operator, also of new ones, to the corpus, then fuzz."""
    from tests.generators import SEEDS
    from tests.hostile import external
    from tests.hostile_worker import limit_memory

    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for name, generate in SEEDS.items():
        data = generate(np.random.default_rng(0))
        (corpus / name).write_bytes(data)
        (corpus / f"{name}-external").write_bytes(external(data))
    limit_memory()
    atheris.Setup([sys.argv[0], *LIMITS, *sys.argv[1:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
