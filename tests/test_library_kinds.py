"""Headers and examples of libraries whose values are made up, of all kinds of models."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.library.make import examples, make_library, render
from tests.example_programs import (
    DOUBLES,
    LABELS,
    SENSORS,
    WARNINGS,
    command,
    make_results,
    recipe,
)
from tests.native_app import SANITIZERS


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The values of a library with a front end."""
    with pytest.MonkeyPatch.context() as patch:
        found = recipe("motion", patch)
    return make_library(make_results(tmp_path_factory.mktemp("m"), found, LABELS, "motion")).values


def header_of(values: Mapping[str, Any], folder: Path) -> None:
    """The public headers and examples of a library whose values are made up."""
    name = values["name"]
    texts = {f"src/{name}.h": render("public.h", values)}
    texts |= {f"src/{name}/target.h": render("target.h", values)}
    texts |= examples(values)
    for place, text in texts.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


ONE = {"bytes": 4, "quant": "", "shape": [1, 4]}
KINDS: dict[str, dict[str, Any]] = {
    "several": {"kind": "several"},
    "numbers": {
        "kind": "numbers",
        "labels": [],
        "decimals": [0, 6],
        "units": ["µm\n", '"%s"'],
        "target_names": ["a */", "b"],
        "scores": 2,
    },
    "anomaly": {
        "kind": "anomaly",
        "labels": [],
        "anomaly": {"threshold": 2**63 - 1},
        "anomaly_step": "1e-3",
    },
    "two inputs": {
        "kind": "plain",
        "fe": None,
        "labels": [],
        "lsb": [],
        "channel_units": [],
        "inputs": [
            ONE | {"dtype": "int8", "c": "int8_t"},
            ONE | {"dtype": "int64", "c": "int64_t", "bytes": 32},
            ONE | {"dtype": "bool", "c": "uint8_t"},
        ],
        "outputs": [ONE | {"dtype": "int64"}],
        "score_type": "int64_t",
        "scores": 4,
    },
    "a rule": {"kind": "class", "rule": {"inputs": 2, "threshold": 9, "pause": 0, "max_inputs": 4}},
    "floats": {
        "kind": "plain",
        "fe": None,
        "labels": [],
        "lsb": [],
        "channel_units": [],
        "inputs": [ONE | {"dtype": "float32", "c": "float", "bytes": 16}],
        "outputs": [ONE | {"dtype": "float32"}],
        "score_type": "float",
        "floats": True,
        "scores": 4,
    },
    "many outputs": {"kind": "plain", "labels": [], "scores": 1000},
}


@pytest.mark.parametrize("kind", KINDS)
def test_examples_of_every_kind_of_model_compile(
    kind: str, motion: Mapping[str, Any], tmp_path: Path
) -> None:
    values = {**motion, **KINDS[kind]}
    header_of(values, tmp_path)
    flags = [*WARNINGS, "-fsyntax-only", f"-I{DOUBLES}", f"-I{SENSORS}", f"-I{tmp_path / 'src'}"]
    for path in sorted((tmp_path / "examples").rglob("*")):
        if path.suffix == ".ino":
            for standard in ("-std=c++11", "-std=c++20"):
                command("g++", standard, *flags, "-include", "Arduino.h", "-x", "c++", path)
        elif path.suffix == ".c":
            command("gcc", "-std=gnu11", "-Wconversion", *flags, path)


THREE_INPUTS = r"""
#include <m.h>
#include <string.h>
static unsigned char given[3][32];
static m_score_t scores[4];
const char *m_kernels(void) { return "none"; }
const m_score_t *m_scores(const m_t *m) { (void)m; return scores; }
int m_best(const m_t *m) { (void)m; return 3; }
m_status_t m_init_sized(m_t *m, size_t bytes, uint32_t number)
{
    return bytes == sizeof(*m) && number == M_NUMBER ? M_OK : M_MISMATCH;
}
m_status_t m_write(m_t *m, int index, const void *data, size_t bytes)
{
    (void)m;
    memcpy(given[index], data, bytes);
    return M_OK;
}
m_status_t m_invoke(m_t *m)
{
    (void)m;
    for (int i = 0; i < 4; i++) {
        int64_t large;
        memcpy(&large, &given[1][8 * i], sizeof(large));
        scores[i] = (signed char)given[0][i] + large + given[2][i];
    }
    return M_OK;
}
"""


def test_the_program_for_a_computer_reads_inputs_of_any_type(
    motion: Mapping[str, Any], tmp_path: Path
) -> None:
    """Of a model without a front end: 4 int8, 4 int64 and 4 bool a run, added up."""
    values = {**motion, "name": "m", "NAME": "M", **KINDS["two inputs"]}
    header_of(values, tmp_path)
    stub, program = tmp_path / "m.c", tmp_path / "csv"
    stub.write_text(THREE_INPUTS)
    flags = ["-std=c11", *WARNINGS, *SANITIZERS, f"-I{tmp_path / 'src'}"]
    command("gcc", *flags, tmp_path / "examples" / "pc" / "main.c", stub, "-o", program)
    lines = command(program, text="-128,2;3\t4\n10,20,30,-9e15\n0,1,0,1\n" + "1 " * 12)
    answers = ("-118 23 33 -8999999999999995", "3 3 3 3")
    assert [line.split(";")[0] for line in lines.splitlines()[1:]] == [
        f"class 3, scores {answer}" for answer in answers
    ]
    for text, told in {
        "1 " * 17: "the file ends within a run: 5 of 12 numbers",
        "1 128": "number 2: expected -128 to 127, got 128",
        "1 1 1 1 1 1 1 1 2": "number 9: expected 0 to 1, got 2",
        "nan": "number 1: expected -128 to 127, got nan",
        "1x": "got 1x",
        "0" * 70 + "5": "number 1: expected -128 to 127, got ?000",
    }.items():
        done = subprocess.run([program], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and told in done.stderr, (text, done.stderr)


LINES = r"""
#include <stdio.h>
#include "result.h"
static score_t scores[4];
const score_t *m_scores(const m_t *m) { return m == NULL ? NULL : scores; }
const char *m_kernels(void) { return "none"; }
int m_selftest(m_t *m) { (void)m; return 3; }
static result_t past;
static char line[RESULT_BYTES];
static void show(m_t *m)
{
    result_line(&past, m, line, sizeof(line));
    puts(line);
}
"""


def test_lines_of_numbers_labels_and_anomalies(motion: Mapping[str, Any], tmp_path: Path) -> None:
    """result.h on made-up answers: signs, decimals, means of less than four, and a full line."""
    base = {**motion, "name": "m", "NAME": "M"}
    shown = {
        "a rule": (
            "int m_best(const m_t *m) { (void)m; return 1; }\n"
            "int m_decide(m_t *m, const m_rule_t *rule)\n"
            "{ (void)m; return rule == NULL && scores[1] > 8 ? 4 : -1; }\n"
            "int main(void) { m_t m; scores[1] = 8; show(&m); scores[1] = 9; show(&m);\n"
            "scores[0] = 40; show(&m); }",
            [
                "class 1 */ end, scores 0 8 0 0 0 0 0; mean of 1: class 1 */ end",
                "class 1 */ end, scores 0 9 0 0 0 0 0; mean of 2: class 1 */ end; "
                "decided: class 4 $(shell,id)",
                'class 1 */ end, scores 40 9 0 0 0 0 0; mean of 2: class 0 "quoted"; '
                "decided: class 4 $(shell,id)",
            ],
        ),
        "numbers": (
            "static int32_t now[2]; int32_t m_fixed(const m_t *m, int i) "
            "{ (void)m; return now[i]; }\n"
            "int main(void) { m_t m; show(NULL); now[0] = -7; now[1] = -5; show(&m);\n"
            "now[0] = 2147483647; now[1] = 1234567; show(&m); now[0] = -4; now[1] = 0; show(&m);\n"
            "result_forget(&past); show(&m); char tiny[8];\n"
            "result_line(&past, &m, tiny, sizeof(tiny)); puts(tiny); }",
            [
                "",
                'a */ -7 um?, b -0.000005 "%s"; mean of 1: a */ -7 um?, b -0.000005 "%s"',
                'a */ 2147483647 um?, b 1.234567 "%s"; mean of 2: '
                'a */ 1073741820 um?, b 0.617281 "%s"',
                'a */ -4 um?, b 0.000000 "%s"; mean of 3: a */ 715827879 um?, b 0.411521 "%s"',
                'a */ -4 um?, b 0.000000 "%s"; mean of 1: a */ -4 um?, b 0.000000 "%s"',
                "a */ -4",
            ],
        ),
        "several": (
            "static int given;\n"
            "bool m_has(const m_t *m, int i) { (void)m; return given >> i & 1; }\n"
            "int main(void) { m_t m; show(&m); given = 5; show(&m); }",
            [
                "labels none, scores 0 0 0 0 0 0 0",
                'labels "quoted"+taglich?, scores 0 0 0 0 0 0 0',
            ],
        ),
        "anomaly": (
            "static uint64_t score; uint64_t m_anomaly(const m_t *m) { (void)m; return score; }\n"
            "bool m_is_anomaly(const m_t *m) { (void)m; return score > M_ANOMALY_THRESHOLD; }\n"
            "int main(void) { m_t m; show(&m); score = ~(uint64_t)0; show(&m); }",
            [
                "normal, score 0 of a threshold of 9223372036854775807",
                "anomaly, score 18446744073709551615 of a threshold of 9223372036854775807",
            ],
        ),
    }
    for kind, (text, expected) in shown.items():
        folder = tmp_path / kind
        header_of({**base, **KINDS[kind]}, folder)
        source = folder / "lines.c"
        source.write_text(
            (LINES + text).replace("score_t", "m_score_t").replace("scores[4]", "scores[64]")
        )
        program = folder / "lines"
        flags = ["-std=c11", *SANITIZERS, f"-I{folder / 'src'}", f"-I{folder / 'examples/pc'}"]
        command("gcc", *flags, source, "-o", program)
        assert command(program).splitlines() == expected


def test_mean_of_scores_is_that_of_the_firmware(motion: Mapping[str, Any], tmp_path: Path) -> None:
    """firmware/stream/app_live.c adds half of the count to a sum from -128 on, and rounds down."""
    values = {**motion, "name": "m", "NAME": "M"}
    values |= {"kind": "class", "scores": 7}
    header_of(values, tmp_path)
    rng = np.random.default_rng(1)
    rows = rng.integers(-128, 128, (60, 7))
    numbers = ", ".join(map(str, rows.reshape(-1).tolist()))
    source = tmp_path / "means.c"
    source.write_text(
        (LINES + f"static const m_score_t all[] = {{{numbers}}};\n")
        .replace("score_t", "m_score_t")
        .replace("m_m_score_t", "m_score_t")
        .replace("scores[4]", "scores[64]")
        + "#include <string.h>\nint m_best(const m_t *m) { (void)m; return 0; }\n"
        "int main(void) { m_t m; for (int i = 0; i < 60; i++) { memcpy(scores, &all[7 * i], 7);\n"
        "result_line(&past, &m, line, sizeof(line)); for (int k = 0; k < 7; k++)\n"
        'printf("%d ", (int)result_mean(&past, k)); puts(""); } }\n'
    )
    flags = ["-std=c11", *SANITIZERS, f"-I{tmp_path / 'src'}", f"-I{tmp_path / 'examples/pc'}"]
    command("gcc", *flags, source, "-o", tmp_path / "means")
    for i, line in enumerate(command(tmp_path / "means").splitlines()):
        last = rows[max(0, i - 3) : i + 1]
        expected = (len(last) // 2 + (last + 128).sum(axis=0)) // len(last) - 128
        assert [int(word) for word in line.split()] == expected.tolist()
