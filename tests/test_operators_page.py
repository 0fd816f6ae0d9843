"""docs/OPERATORS.md, which tests.operator_table writes: complete, and what refusals say."""

from __future__ import annotations

import re

import pytest

from quantize.ops import OPS
from quantize.ops.table import NAME as TABLE
from quantize.ops.unsupported import FLOAT_ONLY, MICRO, why_not
from quantize.tflite.variables import FOLDED
from tests.generators import GENERATORS, operator_of
from tests.operator_table import CONTROL, PAGE, probed, row

ROW = re.compile(r"^\| (\w+) \| (.+) \| (.+) \| (.*)\|$", re.MULTILINE)
ROWS = {m[1]: (m[2], m[3], m[4].strip()) for m in ROW.finditer(PAGE.read_text())}
ROWS.pop("Operator", None)


def test_the_page_names_every_operator() -> None:
    assert set(ROWS) == {*OPS, *MICRO, *FOLDED} - {TABLE}
    assert not set(OPS) & MICRO
    for name in set(OPS) - {TABLE} - set(CONTROL):
        assert ROWS[name][1] != "-", name


def test_a_variable_is_read_in_the_types_that_it_is_assigned_in() -> None:
    assert ROWS["READ_VARIABLE"] == ROWS["ASSIGN_VARIABLE"]


def test_refusals_say_what_the_page_says() -> None:
    for name in MICRO - set(CONTROL):
        assert (ROWS[name][0] == "float32") == (name in FLOAT_ONLY), name
        told = why_not(name, frozenset({"int8"}))
        assert ("in float32 only" in told) == (name in FLOAT_ONLY), told
        assert "TFLite Micro has no " not in told


@pytest.mark.parametrize("name", ["ADD", "CAST", "LOG", "READ_VARIABLE", "REVERSE_V2", "SELECT_V2"])
def test_the_page_is_what_probes_find(name: str) -> None:
    assert row(name, *probed(name)) in PAGE.read_text(), "run python -m tests.operator_table"


def test_every_operator_has_a_generator() -> None:
    assert {operator_of(key) for key in GENERATORS} >= set(OPS)
