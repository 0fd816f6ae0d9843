"""A PyTorch program is rewritten before PyTorch reads it: what could run code is refused."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from quantize import pt2
from quantize.errors import ModelError
from quantize.pt2 import clean_program

TREE = json.dumps(
    [1, {"type": "builtins.tuple", "context": "null", "children_spec": [{"type": None}]}]
)
PLACE = {"dtype": 7, "sizes": [{"as_int": 1}], "device": {"type": "cpu", "index": None}}


def model() -> dict[str, Any]:
    """As torch.export.save 2.14 writes it, shortened."""
    node = {
        "target": "torch.ops.aten.relu.default",
        "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1}],
        "outputs": [{"as_tensor": {"name": "relu"}}],
        "metadata": {"stack_trace": "File \"/home/me/secret.py\"; __import__('os')"},
        "name": "relu",
    }
    return {
        "graph_module": {
            "graph": {
                "inputs": [{"as_tensor": {"name": "x"}}],
                "outputs": [{"as_tensor": {"name": "relu"}}],
                "nodes": [node],
                "tensor_values": {"x": PLACE, "relu": PLACE},
                "sym_int_values": {},
                "custom_obj_values": {},
            },
            "signature": {"input_specs": [{"user_input": {"arg": {"as_tensor": {"name": "x"}}}}]},
            "module_call_graph": [{"fqn": "", "signature": {"in_spec": TREE, "out_spec": TREE}}],
            "treespec_namedtuple_fields": {},
        },
        "range_constraints": {},
        "guards_code": ["__import__('os').system('touch PWN')"],
        "torch_version": "2.14.1+cu130",
    }


def config(**more: Any) -> dict[str, Any]:
    """The list of weights."""
    entry = {"path_name": "weight_0", "use_pickle": False, "tensor_meta": PLACE, **more}
    return {"config": {"c.weight": entry}}


def archive(path: Path, *, program: Any = None, weights: Any = None, more: str = "") -> Path:
    """A .pt2 with one weight."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in (
            ("models/model.json", json.dumps(model() if program is None else program)),
            ("data/weights/model_weights_config.json", json.dumps(weights or config())),
            ("data/weights/weight_0", "\0\0\0\0"),
            ("data/constants/model_constants_config.json", '{"config": {}}'),
            ("data/sample_inputs/model.pt", "a pickle"),
            ("archive_version", "0"),
            *([(more, "")] if more else []),
        ):
            file.writestr(f"net/{name}", content)
    return path


def test_a_program_keeps_its_graph_and_arrays_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(clean_program(archive(tmp_path / "net.pt2")))) as file:
        found = json.loads(file.read("model/models/model.json"))
        assert file.read("model/data/sample_inputs/model.pt") == b""
        assert file.read("model/data/weights/weight_0") == b"\0\0\0\0"
    assert found["guards_code"] == []
    assert found["graph_module"]["graph"]["nodes"][0]["metadata"] == {}
    assert "os" not in json.dumps(found).replace("constants", "")


def changed(keys: str, value: Any) -> dict[str, Any]:
    """The model with one value replaced; keys are separated by dots."""
    whole = model()
    at: Any = whole
    *path, last = keys.split("/")
    for key in path:
        at = at[int(key) if key.isdigit() else key]
    at[last] = value
    return whole


NODE = "graph_module/graph/nodes/0"


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (f"{NODE}/target", "torch.serialization.os.system"),
        (f"{NODE}/target", "torch.ops.aten.__class__.x"),
        (f"{NODE}/target", "torch.ops.aten.from_file.default"),
        (f"{NODE}/target", "torch.ops.mine.op.default"),
        (f"{NODE}/target", "_operator.add"),
        (f"{NODE}/name", "x; import os"),
        (f"{NODE}/name", "x\u0430"),
        (f"{NODE}/outputs", [{"as_expr": {"expr_str": "__import__('os')"}}]),
        (f"{NODE}/outputs", [{"as_custom_obj": {"name": "a"}}]),
        (f"{NODE}/outputs", [{"as_graph": {"name": "a"}}]),
        (f"{NODE}/new", "text"),
        ("graph_module/graph/tensor_values", {"a b": PLACE}),
        ("graph_module/graph/tensor_values", {"a": {"sizes": [{"as_expr": {"expr_str": "1"}}]}}),
        ("graph_module/graph/custom_obj_values", {"a": {}}),
        ("graph_module/treespec_namedtuple_fields", {"a": {}}),
        ("graph_module/module_call_graph/0/fqn", "a()"),
        ("graph_module/module_call_graph/0/signature/in_spec", '[1, {"type": "os.system"}]'),
        ("range_constraints", {"s0": {"min_val": 1}}),
    ],
)
def test_what_may_run_code_is_refused(keys: str, value: Any, tmp_path: Path) -> None:
    path = archive(tmp_path / "net.pt2", program=changed(keys, value))
    with pytest.raises(ModelError, match=r"is not loaded, because it may run code.*export\.save"):
        clean_program(path)


@pytest.mark.parametrize(
    "name",
    ["data/constants/custom_obj_0", "data/aotinductor/model/a.so", "extra/a", "../a", "a/b.pkl"],
)
def test_other_files_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="may hold code or pickles"):
        clean_program(archive(tmp_path / "net.pt2", more=name))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "net.pt2", weights=config(use_pickle=True))
    with pytest.raises(ModelError, match="'use_pickle' with the value true is not loaded"):
        clean_program(path)


def test_damaged_and_large_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path / "net.pt2")
    whole = path.read_bytes()
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"not a whole \.pt2"):
            clean_program(path)
    deep = archive(tmp_path / "deep.pt2", program=[])
    with pytest.raises(ModelError, match=r"not a whole \.pt2"):
        clean_program(deep)
    path.write_bytes(whole)
    monkeypatch.setattr(pt2, "MAX_BYTES", 100)
    with pytest.raises(ModelError, match="expected at most 4096 of 100"):
        clean_program(path)
