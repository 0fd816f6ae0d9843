"""`tinyproof bench` prints what each operator takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from host_tools.bench.stage import print_layers


def _said(capsys: pytest.CaptureFixture[str], cycles: int | None) -> list[list[str]]:
    layers: list[dict[str, Any]] = [
        {"operator": 0, "op": "CONV_2D", "counts": 3000, "macs": 1000, "cycles": cycles},
        {"operator": 2, "op": "SOFTMAX", "counts": 1000, "macs": 0, "cycles": cycles},
    ]
    result = SimpleNamespace(counts=4000, unit="instructions", per_layer=layers)
    print_layers(cast(Any, result))
    lines = capsys.readouterr().out.splitlines()
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]


def test_each_operator_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _said(capsys, 1234) == [
        ["0 CONV_2D", "3,000", "75.0%", "1,000", "3.00", "1,234"],
        ["2 SOFTMAX", "1,000", "25.0%", "0", "", "1,234"],
    ]


def test_a_board_without_an_estimate_has_no_column_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert [len(row) for row in _said(capsys, None)] == [5, 5]
