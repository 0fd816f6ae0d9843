"""Indices that are known only at run time: inside, outside, and where random ones come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize.errors import ModelError, UnsupportedOperator
from quantize.golden import make_golden, random_inputs
from quantize.manifest import compile_model
from quantize.reference import Reference, compile_graph
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder
from tests.host_c import HostModel

Q: dict[str, Any] = {"scale": [0.1], "zero_point": [0]}
TABLE = np.arange(12, dtype=np.int8).reshape(4, 3)


def lookup(name: str, index_type: str = "int32", output: str = "int8") -> bytes:
    """Two rows of TABLE; GATHER_ND takes two elements. Indices of another type are cast."""
    b = ModelBuilder()
    x, table = b.tensor([2, 2] if name == "GATHER_ND" else [2], dtype=index_type), -1
    indices = x
    if index_type != "int32":
        indices = b.tensor([2], dtype="int32")
        b.operator("CAST", [x], [indices], "CastOptions")
    table = b.tensor([4, 3], data=TABLE, **Q)
    kind = Q if output == "int8" else {"dtype": output}
    y = b.tensor([2] if name == "GATHER_ND" else [2, 3], **kind)
    inputs = [indices, table] if name == "EMBEDDING_LOOKUP" else [table, indices]
    b.operator(name, inputs, [y], "GatherOptions" if name == "GATHER" else "")
    return b.pack([x], [y])


@pytest.mark.parametrize(
    ("name", "indices", "expected"),
    [
        ("GATHER", [-1, 4], [TABLE[0], TABLE[3]]),
        ("GATHER", [-(2**31), 2**31 - 1], [TABLE[0], TABLE[3]]),
        ("EMBEDDING_LOOKUP", [99, 2], [TABLE[3], TABLE[2]]),
        ("GATHER_ND", [[9, 0], [0, -1]], [11, 0]),
        ("GATHER_ND", [[2**31 - 1, 2**31 - 1], [-(2**31), -(2**31)]], [11, 0]),
    ],
)
def test_nothing_outside_is_read(
    name: str, indices: list[Any], expected: list[Any], tmp_path: Path
) -> None:
    """TFLite Micro stops there; we read the nearest place."""
    model, values = lookup(name), np.array(indices, np.int32)
    with pytest.raises(ModelError, match="TFLite Micro stops at case 0 .*an index may lie outside"):
        make_golden(model, [values[None]])
    graph = parse_model(model)
    golden = make_golden(model, random_inputs(graph, 2, 0))
    manifest = compile_model(model, golden, tmp_path, name="m", settings={})
    for run in (Reference(graph).run, HostModel(tmp_path, manifest).run):
        assert run([values])[0].tolist() == np.array(expected).tolist()


def test_an_index_of_gather_nd_beside_its_row_is_tflite_micros(tmp_path: Path) -> None:
    """It adds coordinates up and looks at the sum only."""
    model = lookup("GATHER_ND")
    golden = make_golden(model, [np.array([[[1, -1], [0, 7]]], np.int32)])
    assert golden.case_outputs(0)[0].tolist() == [2, 7]
    manifest = compile_model(model, golden, tmp_path, name="m", settings={})
    assert HostModel(tmp_path, manifest).run(golden.case_inputs(0))[0].tolist() == [2, 7]


@pytest.mark.parametrize("dtype", ["int32", "float32", "int8"])
def test_random_indices_are_inside(dtype: str) -> None:
    graph = parse_model(lookup("GATHER", dtype))
    (values,) = random_inputs(graph, 30, 1)
    assert values.dtype == dtype
    assert set(np.unique(values).tolist()) == {0, 1, 2, 3}
    assert values[0].tolist() == [0, 0]
    assert values[1].tolist() == [3, 3]


def test_a_table_of_int8_that_gives_floats_is_refused() -> None:
    with pytest.raises(UnsupportedOperator, match="an int8 table gives floats; convert with int8"):
        compile_graph(parse_model(lookup("EMBEDDING_LOOKUP", output="float32")))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_every_place_of_an_update_is_tflite_micros(dtype: str, tmp_path: Path) -> None:
    b = ModelBuilder()
    x, part, place = b.tensor([4, 3], **Q), b.tensor([2, 2], **Q), b.tensor([2], dtype=dtype)
    y = b.tensor([4, 3], **Q)
    b.operator("DYNAMIC_UPDATE_SLICE", [x, part, place], [y], "DynamicUpdateSliceOptions")
    model = b.pack([x, part, place], [y])
    limits = np.iinfo(dtype)
    places = [(i, j) for i in (limits.min, -1, 0, 1, 2, 3, limits.max) for j in (-2, 0, 1, 2)]
    count = len(places)
    inputs = [np.repeat(v[None], count, axis=0) for v in (TABLE, -TABLE[:2, 1:])]
    golden = make_golden(model, [*inputs, np.array(places, dtype)])
    manifest = compile_model(model, golden, tmp_path, name="m", settings={})
    host = HostModel(tmp_path, manifest)
    for case in range(count):
        assert np.array_equal(host.run(golden.case_inputs(case))[0], golden.case_outputs(case)[0])
