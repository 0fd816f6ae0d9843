"""What MLPerf Tiny's firmware makes of bytes and outputs, at the edges of its numbers."""

from __future__ import annotations

import subprocess
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest

from host_tools.errors import UsageError
from host_tools.mlperf.benchmarks import MAX_REBUILT, require_model
from tests.native_app import FIRMWARE

ALL = """\
#include "mlperf_values.h"
#include <stdio.h>
static mlperf_t m;
int main(void)
{
    for (int value = -128; value < 128; value++) {
        int8_t output[MLPERF_OUTPUT_BYTES] = {0};
        output[MLPERF_OUTPUT_BYTES - 1] = (int8_t)value;
        mlperf_judge(&m, output);
        printf("%u ", (unsigned)m.results[MLPERF_RESULTS - 1]);
    }
}
"""
ERRORS = """\
#include "mlperf_values.h"
#include <stdio.h>
#include <stdlib.h>
static mlperf_t m;
static int8_t output[MLPERF_OUTPUT_BYTES];
int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) { /* so many elements have so large an error */
        for (int k = 0; k < MLPERF_OUTPUT_BYTES; k++) {
            m.sent.values[k] = k < atoi(argv[i]) ? strtof(argv[i + 1], NULL) : 0.0f;
        }
        mlperf_judge(&m, output);
        printf("%u ", (unsigned)m.results[0]);
    }
}
"""
STEPS = """\
#include "mlperf_values.h"
#include <stdio.h>
static mlperf_t m;
int main(void)
{
    static const float values[] = {1000.0f, -1000.0f, 1e-30f, -1e-30f, 0.0f};
    for (int i = 0; i < 5; i++) {
        m.sent.values[i] = values[i];
    }
    if (!mlperf_prepare(&m)) {
        return 1;
    }
    for (int i = 0; i < 5; i++) {
        printf("%d ", (int8_t)m.input[i]);
    }
}
"""


def numbers(folder: Path, text: str, name: str, *arguments: str, **defines: str) -> list[int]:
    """What a program around the firmware's file prints, under the sanitizers."""
    source, path = folder / "main.c", folder / "program"
    source.write_text(text)
    told = {"OUTPUT_STEPS": "256u", "OUTPUT_ZERO": "-128", "OUTPUT_SCALE": "1.0f"}
    told |= {"INPUT_SCALE": "1.0f", "INPUT_ZERO": "0"} | defines
    flags = [f"-DMLPERF_{key}={value}" for key, value in told.items()]
    flags += [f"-DMLPERF_{name.upper()}", "-fsanitize=address,undefined", "-std=gnu11"]
    values = FIRMWARE / "mlperf" / "mlperf_values.c"
    command = ["gcc", *flags, "-fno-sanitize-recover=all", f"-I{FIRMWARE / 'mlperf'}", values]
    subprocess.run([*command, source, "-o", path], check=True)
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [int(word) for word in done.stdout.split()]


@pytest.mark.parametrize("name", ["kws01", "ic01", "vww01"])
def test_every_probability_is_printed_as_the_public_firmware_does(
    name: str, tmp_path: Path
) -> None:
    """Keywords are cut off; the others as printf does it: 16/256 is 0.062, 48/256 is 0.188."""
    rounding = ROUND_DOWN if name == "kws01" else ROUND_HALF_EVEN
    expected = [int((Decimal(q) * 1000 / 256).quantize(1, rounding)) for q in range(256)]
    assert numbers(tmp_path, ALL, name) == expected
    assert name == "kws01" or (expected[16], expected[48]) == (62, 188)


def test_mean_squared_errors_are_rounded_half_to_even(tmp_path: Path) -> None:
    """640 elements: n of them with an error of 1 have a mean of n/640, exactly in sixteenths."""
    cases = [(40, 1), (120, 1), (200, 1), (280, 1), (39, 1), (41, 1), (640, 0.03125), (0, 1)]
    cases += [(640, 1e-30), (640, 1024), (640, 2016)]
    found = numbers(
        tmp_path, ERRORS, "ad01", *(str(x) for case in cases for x in case), OUTPUT_ZERO="0"
    )
    exact = [Decimal(n) * Decimal(error) ** 2 / 640 for n, error in cases]
    assert found == [int((value * 1000).quantize(1, ROUND_HALF_EVEN)) for value in exact]
    assert found[:4] == [62, 188, 312, 438]


@pytest.mark.parametrize("zero", [-128, 0, 127])
def test_floats_beyond_the_steps_are_the_ends(zero: int, tmp_path: Path) -> None:
    """Also of a scale by which a float has more steps than an int32 counts."""
    found = numbers(tmp_path, STEPS, "ad01", INPUT_SCALE="1e-9f", INPUT_ZERO=f"({zero})")
    assert found == [127, -128, zero, zero, zero]


@pytest.mark.parametrize("scale", [4.1, 1e30, 0.0])
def test_a_scale_whose_errors_cannot_be_printed_is_refused(scale: float) -> None:
    tensor = {"dtype": "int8", "shape": [1, 640], "bytes": 640, "zero_point": 0}
    manifest = {"inputs": [tensor | {"scale": 1.0}], "outputs": [tensor | {"scale": scale}]}
    with pytest.raises(UsageError, match="the model's output has scale"):
        require_model("ad01", manifest)
    manifest["outputs"][0]["scale"] = MAX_REBUILT / 128
    require_model("ad01", manifest)
