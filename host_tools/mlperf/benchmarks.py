"""The benchmarks of MLPerf Tiny, as data: what each sends, and which models are its."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from host_tools.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One of them; firmware/mlperf/mlperf.h has the same numbers."""

    title: str
    bytes: int  # of an input as it is sent
    inputs: int  # int8 elements that the model takes
    outputs: int  # int8 elements that it gives
    results: int  # numbers that the device answers
    probabilities: bool = True  # the outputs are, in 256 steps
    windows: bool = False  # a file has several inputs, as y_labels.csv says
    pixels: bool = False  # bytes of 0 to 255, which the model takes as -128 to 127

    @property
    def classes(self) -> int:
        """That a label may name."""
        return self.results if self.probabilities else 2


# Of what a network rebuilds: with the largest float that `db` takes, 1000, the squared error stays
# below 2^21, which firmware/mlperf/mlperf_values.c prints.
MAX_REBUILT = 448

BENCHMARKS: Mapping[str, Benchmark] = {
    "kws01": Benchmark(title="keyword spotting", bytes=490, inputs=490, outputs=12, results=12),
    "ic01": Benchmark(
        title="image classification",
        bytes=3072,
        inputs=3072,
        outputs=10,
        results=10,
        pixels=True,
    ),
    "vww01": Benchmark(
        title="visual wake words",
        bytes=27648,
        inputs=27648,
        outputs=2,
        results=2,
        pixels=True,
    ),
    "ad01": Benchmark(
        title="anomaly detection",
        bytes=2560,
        inputs=640,
        outputs=640,
        results=1,
        probabilities=False,
        windows=True,
    ),
}


def require_model(name: str, manifest: Mapping[str, Any]) -> None:
    """UsageError when the model of a manifest is not what a benchmark runs."""
    benchmark = BENCHMARKS[name]
    for what, elements in (("input", benchmark.inputs), ("output", benchmark.outputs)):
        tensors = manifest.get(f"{what}s")
        if not tensors:
            raise UsageError(f"MLPERF={name}: manifest.json tells no {what}s; make emit again")
        said = ", ".join(f"{t['dtype']} of {'x'.join(map(str, t['shape']))}" for t in tensors)
        if [(t["dtype"], t["bytes"]) for t in tensors] != [("int8", elements)]:
            raise UsageError(
                f"MLPERF={name}: {benchmark.title} takes a model with one int8 {what} of "
                f"{elements} elements; {manifest.get('name', 'this model')} has {said}. Name the "
                f"benchmark that the model is for ({', '.join(BENCHMARKS)}), or another model"
            )
    scale, zero = (manifest["outputs"][0][key] for key in ("scale", "zero_point"))
    if benchmark.probabilities and (scale, zero) != (1 / 256, -128):
        raise UsageError(
            f"MLPERF={name}: the model's output has scale {scale} and zero point {zero}; expected "
            "probabilities, with 1/256 and -128. Let the model end in a softmax"
        )
    largest = max(abs(scale * (edge - zero)) for edge in (-128, 127))
    if not benchmark.probabilities and not 0 < largest <= MAX_REBUILT:
        raise UsageError(
            f"MLPERF={name}: the model's output has scale {scale} and zero point {zero}, which "
            f"reaches {largest:.6g}; expected at most {MAX_REBUILT}, for features of "
            f"{benchmark.title} in the logarithm of their energies"
        )
