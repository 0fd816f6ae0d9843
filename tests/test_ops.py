"""Integer reference, host C and TFLite Micro agree bit for bit, operator by operator."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import pytest

from quantize.golden import Golden, make_golden, random_inputs
from quantize.lowering import KERNEL_SETS
from quantize.manifest import compile_model
from quantize.ops import OPS
from quantize.reference import Reference, integer_bits
from quantize.tflite.reader import parse_model
from tests.generators import GENERATORS, operator_of
from tests.host_c import HostModel, host_models

ROWS = int(os.environ.get("ROWS", "20"))  # random models an operator
MAPS = Path("/proc/self/maps")
CASES = 6  # inputs a model: four edge cases and two random ones
# every operator with the reference kernels, and with each set that has others for it
ROWS_IN_C = [
    (kernels, name)
    for kernels in KERNEL_SETS
    for name in sorted(GENERATORS)
    if kernels == "ref" or OPS[operator_of(name)].kernels.lowering(kernels)
]


def _row(name: str, row: int) -> tuple[bytes, Golden]:
    seed = zlib.crc32(name.encode()) + row
    model = GENERATORS[name](np.random.default_rng(seed))
    return model, make_golden(model, random_inputs(parse_model(model), CASES, seed))


def _compare(name: str, row: int, who: str, case: int, got: object, expected: object) -> None:
    for tensor, (a, b) in enumerate(zip(got, expected, strict=True)):  # type: ignore[call-overload]
        bits, wanted = integer_bits(np.asarray(a)), integer_bits(np.asarray(b))
        if not np.array_equal(bits, wanted):
            index = int(np.flatnonzero(bits != wanted)[0])
            pytest.fail(
                f"{who} differs from TFLite Micro: {name} row {row}, case {case}, output {tensor}, "
                f"index {index}: expected {np.asarray(b).reshape(-1)[index]}, got "
                f"{np.asarray(a).reshape(-1)[index]}; rerun: pytest tests/test_ops.py -k '{name}]'"
            )


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_reference_equals_tflite_micro(name: str) -> None:
    for row in range(ROWS):
        model, golden = _row(name, row)
        reference = Reference(parse_model(model))
        for case in range(CASES):
            reference.reset()
            got = reference.run(golden.case_inputs(case))
            _compare(name, row, "the integer reference", case, got, golden.case_outputs(case))


@pytest.mark.parametrize(("kernels", "name"), ROWS_IN_C)
def test_host_c_equals_tflite_micro(kernels: str, name: str, tmp_path: Path) -> None:
    rows, made = [_row(name, row) for row in range(ROWS // 4)], []
    for row, (model, golden) in enumerate(rows):
        gen = tmp_path / str(row)
        manifest = compile_model(model, golden, gen, name="row", settings={}, kernels=kernels)
        made.append((gen, manifest))
    for row, (host, (_, golden)) in enumerate(zip(host_models(made), rows, strict=True)):
        for case in range(CASES):
            host.reset()
            got = host.run(golden.case_inputs(case))
            _compare(name, row, f"host C ({kernels})", case, got, golden.case_outputs(case))


@pytest.mark.skipif(not MAPS.exists(), reason="needs Linux, which tells what is mapped")
def test_a_model_that_is_gone_is_mapped_no_longer(tmp_path: Path) -> None:
    model, golden = _row("ADD", 0)
    manifest = compile_model(model, golden, tmp_path, name="row", settings={})
    for host in (HostModel(tmp_path, manifest), *host_models([(tmp_path, manifest)])):
        host.run(golden.case_inputs(0))
        assert str(tmp_path) in MAPS.read_text()
    del host
    assert str(tmp_path) not in MAPS.read_text()
