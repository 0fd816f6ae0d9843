"""Arrays of a user's become the inputs of a network, each the one that is meant, or are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize.errors import ModelError
from quantize.pairing import paired
from quantize.representative import (
    MAX_CASES,
    Inputs,
    from_arrays,
    from_file,
    from_folder,
    from_windows,
)
from quantize.tflite.graph import Graph, Tensor


def graph(*ends: tuple[str, tuple[int, ...], str]) -> Inputs:
    """Inputs without a network."""
    tensors = tuple(
        Tensor(index=i, name=name, dtype=dtype, shape=shape, quant=None, data=None)
        for i, (name, shape, dtype) in enumerate(ends)
    )
    return Inputs.of(
        Graph(tensors=tensors, operators=(), inputs=tuple(range(len(ends))), outputs=())
    )


TWO = graph(("serving_default_b:0", (1, 2), "float32"), ("a", (1, 3), "int32"))
ONE = graph(("x", (1, 2), "float32"))


def test_arrays_by_name_and_by_order() -> None:
    b, a = np.ones((5, 2)), np.ones((5, 1, 3), np.uint8)
    for arrays in ({"a": a, "b": b}, {"1": a, "0": b}, {"arr_0": b, "arr_1": a}):
        found = from_arrays(arrays, TWO, "x")
        assert [(v.shape, v.dtype) for v in found.inputs] == [
            ((5, 1, 2), "float32"),
            ((5, 1, 3), "int32"),
        ]
        assert found.labels is None
    found = from_arrays({"1": a, "0": b, "labels": np.arange(5)}, TWO, "x")
    assert found.labels is not None and found.labels.tolist() == [0, 1, 2, 3, 4]
    labels_end = graph(("labels", (1, 2), "float32"))
    assert from_arrays({"labels": b}, labels_end, "x").labels is None


def test_inputs_are_counted_as_numbers() -> None:
    many = graph(*((f"in_{n}", (1, 1), "float32") for n in range(12)))
    values = {f"arr_{n}": np.full((2, 1), n) for n in range(12)}
    found = from_arrays(values, many, "x")
    assert [v[0, 0] for v in found.inputs] == [*range(12)]
    assert found.pairs[2] == "arr_2 is in_2 [cases, 1]"


@pytest.mark.parametrize(
    ("names", "network", "told"),
    [
        (["x", "y"], ["b", "a"], "arrays x, y; expected one for each input, .* name: b, a .*arr_0"),
        (["b", "arr_1"], ["b", "a"], "arrays arr_1, b; expected"),
        (["input_0", "input_1"], ["input_1", "input_2"], "expected one for each input"),
        (["arr_1", "arr_2"], ["b", "a"], "arrays arr_1, arr_2; expected"),
        (["b", "a", "c"], ["b", "a"], "arrays a, b, c; expected"),
        (["x", "y"], ["same", "same"], "2 arrays; or arr_0 to arr_1"),
    ],
)
def test_arrays_are_never_given_to_inputs_by_a_guess(
    names: list[str], network: list[str], told: str
) -> None:
    with pytest.raises(ModelError, match=told):
        paired(names, network, "x.npz")


def test_numbers_are_not_taken_where_the_network_has_no_order() -> None:
    assert paired(["b", "a"], ["a", "b"], "x", ordered=False) == ["a", "b"]
    with pytest.raises(ModelError, match=r"name: a, b \(and labels, if you like\)$"):
        paired(["arr_0", "arr_1"], ["a", "b"], "x", ordered=False)


def test_many_cases_are_spread_evenly() -> None:
    count = 3 * MAX_CASES
    values = np.arange(2 * count).reshape(count, 2)
    found = from_arrays({"x": values, "labels": np.arange(count)}, ONE, "x")
    assert len(found) == MAX_CASES and found.given == count
    assert found.inputs[0][-1].tolist() == [values[-1].tolist()]
    assert found.labels is not None and (found.inputs[0][:, 0, 0] == 2 * found.labels).all()


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({}, r"arrays none; expected one for each input, with the input's name: x \(and labels,"),
        ({"x": np.ones((3, 3))}, r"x: shape \[3, 3\]; expected x \[cases, 2\]$"),
        ({"x": np.ones((3, 2, 1))}, r"expected x \[cases, 2\]; .* a case fits, so reshape it"),
        ({"x": np.ones(2)}, r"x: shape \[2\]"),
        ({"x": np.ones((0, 2))}, r"of \[0\] cases"),
        ({"x": np.full((3, 2), np.nan)}, "values that are not finite"),
        ({"x": np.full((3, 2), 1e300)}, "values beyond float32"),
        ({"x": np.ones((3, 2)), "labels": np.ones(2, int)}, r"of \[2, 3\] cases"),
        ({"x": np.ones((3, 2)), "labels": np.ones(3)}, "labels is float64"),
        ({"x": np.ones((3, 2)), "labels": np.ones((3, 1), int)}, "one whole number a case"),
        ({"x": np.ones((3, 2)), "y": np.ones((3, 2))}, "arrays x, y; expected one"),
    ],
)
def test_arrays_that_do_not_fit(arrays: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        from_arrays(arrays, ONE, "x.npz")


@pytest.mark.parametrize("values", [np.full((2, 2), 1.5), np.full((2, 2), 1 << 40)])
def test_whole_numbers_are_asked_for(values: Any) -> None:
    with pytest.raises(ModelError, match="whole numbers|values beyond int32"):
        from_arrays({"x": values}, graph(("x", (1, 2), "int32")), "x.npz")


def test_a_folder_of_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1, 2], np.float32))
    np.save(tmp_path / "b.npy", np.array([[3, 4], [5, 6]], np.float32))
    np.savez(tmp_path / "c.npz", x=np.array([[7, 8]]))
    (tmp_path / "d.txt").write_text("not read")
    found = from_folder(tmp_path, ONE)
    assert found.inputs[0].reshape(-1).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    np.save(tmp_path / "e.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ModelError, match=r"e\.npy: not a \.npy .* objects are pickles"):
        from_folder(tmp_path, ONE)
    (tmp_path / "e.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ModelError, match=r"e\.npy: not a \.npy"):
        from_folder(tmp_path, ONE)
    with pytest.raises(ModelError, match=r"0 files \.npy or \.npz"):
        from_folder(tmp_path.parent / tmp_path.name / "..", ONE)
    with pytest.raises(ModelError, match=r"c\.npz: a"):
        np.savez(tmp_path / "c.npz", a=np.ones((1, 3)))
        from_file(tmp_path / "c.npz", ONE)


def test_windows_of_a_recipe() -> None:
    windows, labels = np.ones((4, 3, 2), np.float32), np.arange(4)
    found = from_windows(windows, labels, graph(("x", (1, 3, 1, 2), "float32")), "windows")
    assert found.inputs[0].shape == (4, 1, 3, 1, 2)
    with pytest.raises(ModelError, match=r"windows of the shape \[3, 2\]; the network takes x"):
        from_windows(windows, labels, graph(("x", (1, 2, 3), "float32")), "windows")
