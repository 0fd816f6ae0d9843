"""Weights behind the FlatBuffer: read as TensorFlow Lite reads them, and handed on in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.cli import main
from quantize.errors import ModelError
from quantize.tflite.external_buffers import inlined
from quantize.tflite.files import model_bytes
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro
from tests.factory import ModelBuilder
from tests.generators import SEEDS
from tests.hostile import external


def dense(rows: int = 200, columns: int = 300, *, floats: bool = False) -> bytes:
    """A layer with random weights and bias, as int8 or the same in float."""
    b, rng = ModelBuilder(), np.random.default_rng(0)
    w = rng.integers(-127, 128, (rows, columns)).astype(np.int8)
    bias = rng.integers(-5000, 5000, rows).astype(np.int32)
    values = [([1, columns], 0.1, None), ([rows, columns], 0.01, w), ([rows], 0.001, bias)]
    tensors = []
    for shape, scale, data in (*values, ([1, rows], 4.0, None)):
        real = None if data is None else (scale * data).astype(np.float32)
        if floats:
            tensors.append(b.tensor(shape, dtype="float32", data=real))
        else:
            dtype = "int8" if data is None else str(data.dtype)
            tensors.append(b.tensor(shape, dtype=dtype, scale=[scale], data=data))
    b.operator("FULLY_CONNECTED", tensors[:3], tensors[3:], "FullyConnectedOptions", 4)
    return b.pack(tensors[:1], tensors[3:])


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_every_constant_is_found(name: str) -> None:
    plain = SEEDS[name](np.random.default_rng(0))
    moved = external(plain)
    before, after = parse_model(plain), parse_model(inlined(moved))
    assert len(before.tensors) == len(after.tensors)
    for old, new in zip(before.tensors, after.tensors, strict=True):
        assert (old.data is None) == (new.data is None)
        assert old.data is None or new.data is None or np.array_equal(old.data, new.data)


def test_tflite_micro_reads_the_same_weights() -> None:
    plain = dense()
    moved = external(plain)
    assert inlined(plain) is plain, "an ordinary file stays what it is"
    assert len(inlined(moved)) < len(moved) + 100
    x = np.random.default_rng(1).integers(-128, 128, (1, 300)).astype(np.int8)
    found = [TfliteMicro(model).run([x])[0].tolist() for model in (plain, inlined(moved))]
    assert found[0] == found[1] and len({*found[0][0]}) > 50


def test_data_begin_where_the_schema_wants_them() -> None:
    model = inlined(external(dense()))
    start = np.frombuffer(model, np.uint8).ctypes.data
    constants = [t.data for t in parse_model(model).tensors if t.data is not None]
    assert constants and all((c.ctypes.data - start) % 16 == 0 for c in constants)


def test_tflite_micro_never_gets_the_file_as_it_is() -> None:
    """It would compute with weights that are not there, and say nothing."""
    with pytest.raises(ModelError, match=r"buffers\[1\]: its data lie behind the FlatBuffer"):
        TfliteMicro(external(dense()))


def test_files_of_a_users_pass_parity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.tflite").write_bytes(external(dense()))
    (tmp_path / "float.tflite").write_bytes(external(dense(floats=True)))
    assert main(["inspect", "net.tflite"]) == 0
    arguments = ["--float", "float.tflite", "--board", "native"]
    assert main(["parity", "net.tflite", *arguments]) == 0
    told = capsys.readouterr().out
    assert "100 of 100 cases equal" in told
    match = re.search(r"as float_model-.*SQNR (\S+) dB", told)
    assert match and float(match[1]) > 30, told
    (made,) = (tmp_path / "build" / "models").iterdir()
    (kept,) = made.glob("float_model-*")
    for path, original in ((made / "model.tflite", "net"), (kept, "float")):
        assert path.read_bytes() == model_bytes(tmp_path / f"{original}.tflite")


@pytest.mark.parametrize(
    ("offset", "size", "told"),
    [
        (10**9, 8, r"buffers\[2\]: 8 bytes of data at byte 1000000000; expected 1 or more that li"),
        (2**64 - 1, 2**64 - 1, "expected 1 or more that lie in the file"),
        (None, 0, "0 bytes of data at byte"),
        (None, 2**40, "1099511627776 bytes of data at byte"),
        (2, 16, "external data begin at byte 2, within the FlatBuffer"),
    ],
)
def test_data_elsewhere_are_refused(offset: int | None, size: int | None, told: str) -> None:
    def change(buffers: list[Any]) -> None:
        last = buffers[-1]
        for field, value in (("offset", offset), ("size", size)):
            if value is not None:
                setattr(last, field, value)

    with pytest.raises(ModelError, match=told):
        inlined(external(dense(), change), "net")


def test_data_in_one_another_are_refused() -> None:
    def change(buffers: list[Any]) -> None:
        buffers[1].offset = buffers[0].offset + 4

    with pytest.raises(ModelError, match=r"buffers\[2\]: its data from byte \d+ on are also those"):
        inlined(external(dense(), change), "net")
