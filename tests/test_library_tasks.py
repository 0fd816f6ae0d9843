"""What a library makes of outputs: labels above thresholds, numbers in units, anomalies."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.library.make import make_library
from host_tools.library.write import write_library
from model.multilabel import LabelsJudge
from model.regression import RegressionJudge, Units
from model.tasks import AnomalyJudge, IntegerError, Judge
from quantize.answers import emit_answers, number_answers
from quantize.golden import Golden, load_golden
from tests.test_certificate import CASES, make_build
from tests.test_library import sources

LABELS = ("a", "b", "c", "d", "e")
NUMBERS = RegressionJudge(
    units=Units(
        targets=("x", "angle", "c", "d", "e"),
        units=("m", "°", "*/", "s", "g"),
        mean=(0.5, -20.0, 1e4, 0.0, 3.0),
        deviation=(0.1, 90.0, 250.0, 1e-3, 1.0),
        scale=0.2,
        zero=5,
    )
)
SEVERAL = LabelsJudge(labels=LABELS, thresholds=(-20.0, 0.0, 127.0, -128.0, 30.0))
PRINTS = {
    "anomaly": r'printf("%llu %d\n", (unsigned long long)tp_m_anomaly(&m), tp_m_is_anomaly(&m));',
    "regression": 'for (int k = 0; k < 5; k++) printf("%d ", (int)tp_m_fixed(&m, k));\nputs("");',
    "multilabel": 'for (int k = 0; k < 5; k++) printf("%d ", tp_m_has(&m, k));\nputs("");',
}
PROGRAM = """\
#include <tp_m.h>
#include <stdio.h>
{arrays}
static tp_m_t m;
int main(void)
{{
    tp_m_init(&m);
    for (int i = 0; i < {cases}; i++) {{
        tp_m_write(&m, 0, inputs[i], sizeof(inputs[i]));
        if (tp_m_invoke(&m) != TP_M_OK) return 1;
        {prints}
    }}
}}
"""


def of_task(root: Path, task: str, judge: Judge | None, outputs: int) -> Path:
    """A folder of results whose manifests and record say another task than classification's."""
    out_dir = make_build(root, "raw", outputs, LABELS if task == "multilabel" else ())
    if judge is None:
        elements = load_golden(out_dir / "golden.npz").inputs[0][0].size
        error = IntegerError(multiplier=30000, zero_in=4, zero_out=5, step=1.0)
        judge = AnomalyJudge(labels=("ok", "bad"), normal=0, error=error, threshold=0)
        assert outputs == elements
    stored: dict[str, Any] = asdict(judge)  # type: ignore[call-overload]
    if task == "anomaly":
        stored["threshold"] = int(np.median(scores_of(out_dir, judge)))
    stored = stored["units"] if task == "regression" else stored
    (out_dir / f"{task}.json").write_text(json.dumps({"judge": stored}))
    for path in out_dir.glob("gen/*/manifest.json"):
        manifest = json.loads(path.read_text())
        manifest["settings"]["task"] = task
        path.write_text(json.dumps(manifest))
        for name, text in emit_answers(judge, LABELS, "m").items():
            (path.parent / name).write_text(text)
    return out_dir


def scores_of(out_dir: Path, judge: Judge) -> list[int]:
    assert isinstance(judge, AnomalyJudge)
    golden = load_golden(out_dir / "golden.npz")
    return [int(score) for score in judge.error.scores(golden.inputs[0], golden.outputs[0])]


def printed(out_dir: Path, task: str) -> list[list[int]]:
    """The numbers that a program around the library prints of each golden case."""
    library = make_library(out_dir)
    folder, _ = write_library(library, out_dir.parent)
    inputs = load_golden(out_dir / "golden.npz").inputs[0].reshape(CASES, -1)
    rows = ", ".join("{" + ", ".join(map(str, row)) + "}" for row in inputs.tolist())
    arrays = f"static const int8_t inputs[{CASES}][{inputs.shape[1]}] = {{{rows}}};"
    source = out_dir / "use.c"
    source.write_text(PROGRAM.format(arrays=arrays, cases=CASES, prints=PRINTS[task]))
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wmissing-prototypes", "-Wconversion"]
    flags += ["-fsanitize=undefined,address", f"-I{folder / 'src'}"]
    program = out_dir / "use"
    parts = [*map(str, sources(folder)), str(source), "-o", str(program)]
    subprocess.run(["gcc", *flags, *parts], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    return [[int(word) for word in line.split()] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("task", PRINTS)
def test_outputs_mean_what_the_host_says(task: str, tmp_path: Path) -> None:
    judge: Judge | None = {"regression": NUMBERS, "multilabel": SEVERAL}.get(task)
    out_dir = of_task(tmp_path, task, judge, 120 if task == "anomaly" else 5)
    golden: Golden = load_golden(out_dir / "golden.npz")
    outputs = golden.outputs[0].reshape(CASES, -1)
    if task == "regression":
        answers = number_answers(NUMBERS.units)
        words = [[a.shown(int(q)) for a, q in zip(answers, row, strict=True)] for row in outputs]
        expected = [[int(word.split()[1].replace(".", "")) for word in row] for row in words]
    elif task == "multilabel":
        expected = SEVERAL.given(outputs).astype(int).tolist()
    else:
        stored = json.loads((out_dir / "anomaly.json").read_text())["judge"]
        error = IntegerError(**stored["error"])
        scores = [int(s) for s in error.scores(golden.inputs[0], golden.outputs[0])]
        expected = [[s, int(s > stored["threshold"])] for s in scores]
        assert 0 < sum(alarm for _, alarm in expected) < CASES
    assert printed(out_dir, task) == expected
