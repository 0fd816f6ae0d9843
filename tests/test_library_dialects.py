"""Flags of a compiler that change what C means: a library answers the same, or is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from host_tools.library.make import make_library
from host_tools.library.sources import SETS
from host_tools.library.write import write_library
from model.files import write_bytes
from quantize.golden import make_golden, random_inputs, save_golden
from quantize.manifest import compile_sets
from quantize.tflite.reader import parse_model
from tests.factory_float import every_operator
from tests.test_certificate import make_build
from tests.test_library import CLANG, HERE, LABELS, sources, with_rule

CASES = 6
COMPILERS = ("gcc", CLANG)
DIALECTS = {
    "link time": ("gcc", "-O3", "-flto", "-fstrict-aliasing"),
    "other types": ("gcc", "-O2", "-funsigned-char", "-fshort-enums"),
    "clang": (CLANG, "-O2", "-std=c11", "-funsigned-char", "-fshort-enums"),
}
FAST = ("-Ofast", "-O2 -ffinite-math-only")
FLOATS = """\
#include <tp_m.h>
static tp_m_t m;
int main(void) { return tp_m_init(&m) == TP_M_OK ? tp_m_selftest(&m) : 99; }
"""
NAN = """\
#include <tp_m.h>
#include <string.h>
static tp_m_t told, least;
static float values[TP_M_CHANNELS];
static int16_t steps[TP_M_CHANNELS];
int main(void)
{
    tp_m_init(&told);
    tp_m_init(&least);
    memset(values, 0xFF, sizeof(values));
    for (int i = 0; i < TP_M_CHANNELS; i++) steps[i] = INT16_MIN;
    while (!tp_m_ready(&told)) tp_m_push_float(&told, values, 1);
    while (!tp_m_ready(&least)) tp_m_push(&least, steps, 1);
    tp_m_invoke(&told);
    tp_m_invoke(&least);
    return memcmp(tp_m_scores(&told), tp_m_scores(&least), tp_m_output_bytes(0));
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("m")
    out_dir = with_rule(make_build(root, "raw", len(LABELS), LABELS))
    return write_library(make_library(out_dir), root)[0]


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of a model with every float operator."""
    root, data = tmp_path_factory.mktemp("floats"), every_operator()
    out_dir = root / "build" / "m"
    golden = make_golden(data, random_inputs(parse_model(data), CASES, 0))
    write_bytes(out_dir / "model.tflite", data)
    save_golden(out_dir / "golden.npz", golden)
    compile_sets(data, golden, {k: out_dir / "gen" / k for k in SETS}, name="m", settings={})
    return write_library(make_library(out_dir), root)[0]


def program(folder: Path, into: Path, main: str, compiler: str, flags: str) -> int:
    """Compile the library alone with the flags, link it with a main(), run: its exit code."""
    if compiler == "clang":
        pytest.skip("no clang is installed")
    objects = []
    for number, path in enumerate(sources(folder)):
        objects.append(str(into / f"{number}.o"))
        command = [compiler, *flags.split(), "-Wall", "-Werror", "-c", str(path), "-o", objects[-1]]
        subprocess.run(command, check=True)
    source, path = into / "main.c", into / "program"
    source.write_text(main)
    command = ["gcc", "-std=c11", "-O0", f"-I{folder / 'src'}", str(source), *objects, "-lm"]
    subprocess.run([*command, "-o", str(path)], check=True)
    return subprocess.run([str(path)], check=False, timeout=60).returncode


@pytest.mark.parametrize("name", DIALECTS)
def test_flags_that_change_types_and_calls(folder: Path, tmp_path: Path, name: str) -> None:
    compiler, *flags = DIALECTS[name]
    if compiler == "clang":
        pytest.skip("no clang is installed")
    names = ["-DLIB_NAME=tp_m", "-DLIB_CAPITALS=TP_M", "-DLIB_HEADER=<tp_m.h>"]
    parts = [*map(str, sources(folder)), str(HERE / "misuse.c"), f"-I{folder / 'src'}"]
    path = tmp_path / "misuse"
    subprocess.run([compiler, *flags, *names, *parts, "-pthread", "-o", str(path)], check=True)
    done = subprocess.run([str(path)], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.returncode) == ("portable\n", 0)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("flags", FAST)
def test_fast_floats_are_no_other_floats(
    floats: Path, tmp_path: Path, compiler: str, flags: str
) -> None:
    assert program(floats, tmp_path, FLOATS, compiler, flags) == 0


@pytest.mark.parametrize("compiler", COMPILERS)
def test_no_number_is_the_lowest_step_with_fast_floats(
    folder: Path, tmp_path: Path, compiler: str
) -> None:
    assert program(folder, tmp_path, NAN, compiler, "-Ofast") == 0


def test_packed_structures_are_refused(folder: Path) -> None:
    """They would put the arena where the kernels' words are not aligned."""
    command = ["gcc", "-fpack-struct=1", "-fsyntax-only", str(folder / "src/tp_m/library.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "compile without -fpack-struct" in done.stderr
