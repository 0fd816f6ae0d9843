"""Damage what a user gives beside a .tflite: C source, .npz, PyTorch programs, foldable graphs.

Each kind is a function of a random generator that draws one hostile file; judge() reads it as the
commands do.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from model.errors import TinyproofError
from quantize.ops import OPS
from quantize.pt2 import clean_program
from quantize.representative import Inputs, from_file
from quantize.tflite.constants import EVALUATED
from quantize.tflite.evaluators import EVALUATORS
from quantize.tflite.files import model_bytes
from quantize.tflite.graph import Graph, Tensor
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder
from tests.generators import GENERATORS

Rng = np.random.Generator
BIG = 2**31 - 1

# --- C source -------------------------------------------------------------------------------------

HEADS = ("const unsigned char g[] = {", "alignas(8) const uint8_t g[N] = {", "uint8_t g[12]={")
PIECES = (
    "/*", "*/", "//", "\n", "\\\n", "\r\n", "{", "}", ";", ",", "'", '"', '""', "#", "#if 0\n",
    "#define A {1, \\\n", "??/\n", "??<", "\0", "\ufeff", "0x", "0x1FF", "256", "-1", "1e9",
    "9" * 40, "0b1", "1'000", "(1)", "sizeof(int)", "A", 'R"(', ')"', "[", "]", "=", "é", "0777",
    "<:", "%>", "/**/", "\v", " " * 300, "a" * 300, "uint8_t h[]={", "= {1,2};",
)  # fmt: skip


def source(rng: Rng) -> bytes:
    """C source of a small model with a few wrong pieces in it."""
    name = sorted(GENERATORS)[int(rng.integers(len(GENERATORS)))]
    data = GENERATORS[name](rng)
    form = ("{:#04x}", "{}", "0X{:X}")[int(rng.integers(3))]
    elements = ", ".join(form.format(b) for b in data)
    text = HEADS[int(rng.integers(len(HEADS)))] + elements + "};\n"
    text = text * int(rng.choice([1, 1, 1, 2]))
    for _ in range(int(rng.integers(0, 4))):
        at = int(rng.integers(len(text) + 1)) if rng.random() < 0.7 else int(rng.integers(60))
        piece = PIECES[int(rng.integers(len(PIECES)))]
        keep = at + int(rng.choice([0, 0, 1, len(piece)]))
        text = text[:at] + piece + text[keep:]
    cut = int(rng.integers(len(text))) if rng.random() < 0.1 else len(text)
    raw = bytearray(text[:cut].encode())
    if rng.random() < 0.2 and raw:
        raw[int(rng.integers(len(raw)))] = int(rng.integers(256))
    return bytes(raw)


# --- representative inputs ------------------------------------------------------------------------

SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (1, 2), (2,), (0,))
_GRAPHS = tuple(
    Graph(
        tensors=(Tensor(index=0, name="x", dtype=dtype, shape=shape, quant=None, data=None),),
        operators=(),
        inputs=(0,),
        outputs=(),
    )
    for shape in SHAPES[:3]
    for dtype in ("float32", "int32")
)
ONE_INPUT = tuple(map(Inputs.of, _GRAPHS))
NAMES = ("x", "labels", "a/../b", "\x1b[31m", "x.npy", "é" * 99, "")


def _npy(rng: Rng) -> bytes:
    """An array, or a header that says something else than follows."""
    shape = [int(rng.choice([0, 1, 2, 3])), *SHAPES[int(rng.integers(len(SHAPES)))]]
    shape = shape[: int(rng.integers(len(shape) + 1))]
    kind = str(rng.choice(["f4", "f8", "f2", ">f4", "i1", "i8", "u8", "?", "c8", "U2", "O", "V3"]))
    if kind == "O":
        values: Any = np.full(shape, None)
    else:
        values = np.zeros(shape, kind)
        if values.dtype.kind in "fi" and values.size:
            odd = [0, 1, -1, 3, 100] + ([np.nan, np.inf, 1e30] if kind in ("f4", "f8") else [])
            values.reshape(-1)[-1] = odd[int(rng.integers(len(odd)))]
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=True)
    data = stream.getvalue()
    if rng.random() < 0.3:
        old = f"'shape': {values.shape}".encode()
        new = str(
            rng.choice(["(-1,)", "(99999999999,)", "(1e9,)", "(True,)", "((1,),)", "None", "()"])
        )
        data = data.replace(old, b"'shape': " + new.encode())
    return data


def representative(rng: Rng) -> bytes:
    """An .npz with arrays that fit, do not, or are none."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", int(rng.choice([0, 8, 8, 12, 14]))) as archive:
        chosen = rng.permutation(len(NAMES))[: int(rng.integers(0, 3))]
        for number in {0, *chosen} if rng.random() < 0.9 else chosen:
            archive.writestr(f"{NAMES[int(number)]}.npy", _npy(rng))
    return _flipped(stream.getvalue(), rng, 0.2)


def _flipped(data: bytes, rng: Rng, share: float) -> bytes:
    """Sometimes with a few other bytes."""
    changed = bytearray(data)
    if rng.random() < share:
        for _ in range(int(rng.integers(1, 4))):
            changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
    return bytes(changed)


# --- a PyTorch program ----------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    None, True, -1, 2**70, 1e999, "", "os.system", "a" * 999, "\0", [], {}, [[]] * 50,
    {"as_custom_obj": 1}, {"use_pickle": True},
)  # fmt: skip


def damaged_tree(tree: Any, rng: Rng, odd: tuple[Any, ...]) -> Any:
    """A copy of a JSON tree with one value replaced, a key renamed or something nested deeply."""
    copy = json.loads(json.dumps(tree))
    places: list[tuple[Any, Any]] = []
    waiting = [copy]
    while waiting:
        at = waiting.pop()
        entries = at.items() if isinstance(at, dict) else enumerate(at)
        for key, value in entries:
            places.append((at, key))
            if isinstance(value, dict | list):
                waiting.append(value)
    at, key = places[int(rng.integers(len(places)))]
    at[key] = odd[int(rng.integers(len(odd)))]
    return copy


def program(rng: Rng) -> bytes:
    """A .pt2 that is nearly whole."""
    from tests.test_pt2 import config, model

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", int(rng.choice([0, 8]))) as archive:
        trees = [model(), config()]
        for _ in range(int(rng.integers(0, 3))):
            number = int(rng.integers(2))
            trees[number] = damaged_tree(trees[number], rng, ODD)
        text = json.dumps(trees[0])
        if rng.random() < 0.05:
            text = text.replace('"relu"', "[" * 100_000, 1)
        names = {
            "models/model.json": text,
            "data/weights/model_weights_config.json": json.dumps(trees[1]),
            "data/weights/weight_0": "\0" * int(rng.choice([0, 4, 100])),
            "archive_version": "0",
        }
        if rng.random() < 0.2:
            names[str(rng.choice(["code/x.py", "../../a", "data/weights/../x", "x.pkl"]))] = ""
        for name, content in names.items():
            archive.writestr(f"net/{name}", content)
    return _flipped(stream.getvalue(), rng, 0.2)


# --- graphs that are folded -----------------------------------------------------------------------

VALUES = {
    "int32": (0, 1, -1, 2, 3, 64, 1000, 100_000, -(2**31), BIG),
    "int64": (0, 1, -1, 2, 5, 1 << 20, 10**9, -(2**63), 2**63 - 1),
    "float32": (0.0, -0.0, 1.0, -1.5, float("nan"), float("inf"), 3e38, 1e-45),
    "bool": (False, True),
    "int8": (-128, -1, 0, 1, 127),
}
CONST_SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (3,), (2, 3), (1, 1, 4), (4096,))
SIGNATURES = {n: OPS[n].signature if n in OPS else EVALUATED[n] for n in (*EVALUATORS, "SHAPE")}
OPTIONS = {
    name: next(
        (o for o in vars(schema.BuiltinOptions)
         if o.removesuffix("Options").lower() == name.replace("_", "").lower()
         or (o == "ReducerOptions" and name in ("SUM", *(n for n in EVALUATED if "REDUCE" in n)))),
        "",
    )
    for name in SIGNATURES
}  # fmt: skip


def _option(old: Any, rng: Rng) -> Any:
    if isinstance(old, bool):
        return bool(rng.integers(2))
    if isinstance(old, int):
        return int(rng.choice([0, 0, 1, 2, -1, 3, 7, 127]))
    return old


def _shape_guess(tensors: list[Any], inputs: list[int], known: dict[int, Any], rng: Rng) -> Any:
    """A shape that an operator may give its output, or one that none can."""
    way = int(rng.integers(10))
    first = tuple(int(d) for d in tensors[inputs[0]].shape)
    last = known.get(inputs[-1])
    if way < 4:
        try:
            return np.broadcast_shapes(*(tuple(tensors[i].shape) for i in inputs))
        except ValueError:
            return first
    if way < 6 and last is not None and last.dtype.kind == "i" and last.size <= 6:
        return tuple(int(v) & BIG for v in last.reshape(-1))
    if way == 6:
        return (len(first),)
    if way == 7:
        return (min(2 * first[0], BIG), *first[1:]) if first else (2,)
    if way == 8:
        return tuple(int(v) for v in rng.choice([1, 2, 64, 4096, 65536, BIG], 2))
    return ()


def folded(rng: Rng) -> bytes:
    """A model with operators of constants that are nearly right."""
    b, known = ModelBuilder(), {}
    ready = []
    for _ in range(int(rng.integers(2, 6))):
        dtype = str(rng.choice([*VALUES, "int32", "int32"]))
        shape = CONST_SHAPES[int(rng.integers(len(CONST_SHAPES)))]
        values = np.array(VALUES[dtype], dtype)
        if rng.random() < 0.6:
            values = values[: int(rng.integers(1, 4))]  # harmless ones
        data = rng.choice(values, shape or (1,)).astype(dtype).reshape(shape)
        ready.append(b.tensor(shape, dtype=dtype, data=data))
        known[ready[-1]] = data
    names = sorted(SIGNATURES)
    for _ in range(int(rng.integers(1, 8))):
        name = names[int(rng.integers(len(names)))]
        fewest, most = SIGNATURES[name].inputs
        count = int(rng.integers(fewest, min(most, fewest + 3) + 1))
        pool = ready
        if rng.random() < 0.7:  # of one type
            dtype = b.tensors[int(rng.choice(ready))].type
            pool = [i for i in ready if b.tensors[i].type == dtype]
        inputs = [int(i) for i in rng.choice(pool, count)]
        outputs = []
        for _ in range(int(rng.choice([1, 1, 1, 2]))):
            shape = _shape_guess(b.tensors, inputs, known, rng)
            outputs.append(b.tensor(shape[:6]))
            b.tensors[-1].type = b.tensors[int(rng.choice(inputs))].type
            if name in ("EQUAL", "LESS", "GREATER", "NOT_EQUAL", "LESS_EQUAL", "GREATER_EQUAL"):
                b.tensors[-1].type = 6
        options: dict[str, Any] = {}
        if OPTIONS[name]:
            table = getattr(schema, f"{OPTIONS[name]}T")()
            options = {k: _option(v, rng) for k, v in vars(table).items()}
            options = {k: v for k, v in options.items() if isinstance(v, bool | int)}
            counts = {"valuesCount": len(inputs), "num": len(outputs), "numSplits": len(outputs)}
            options |= {k: v for k, v in counts.items() if k in options and rng.random() < 0.9}
        b.operator(name, inputs, outputs, OPTIONS[name], 1, **options)
        ready += outputs
    quant: dict[str, Any] = {"scale": [0.1], "zero_point": [0]}
    x, y = b.tensor([1, 4], **quant), b.tensor([1, 4], **quant)
    b.operator("ADD", [x, x], [y], "AddOptions", 2)
    return b.pack([x], [y])


# --- what reads them ------------------------------------------------------------------------------


def _read_source(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".cc") as file:
        Path(file.name).write_bytes(data)
        parse_model(model_bytes(Path(file.name)))


def _read_inputs(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        Path(file.name).write_bytes(data)
        for network in ONE_INPUT[1:]:
            try:
                from_file(Path(file.name), network)
            except TinyproofError:
                continue
        from_file(Path(file.name), ONE_INPUT[0])


def _read_program(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".pt2") as file:
        Path(file.name).write_bytes(data)
        clean_program(Path(file.name))


KINDS: dict[str, tuple[Callable[[Rng], bytes], Callable[[bytes], object]]] = {
    "source": (source, _read_source),
    "representative": (representative, _read_inputs),
    "program": (program, _read_program),
    "folded": (folded, parse_model),
}


def judge(kind: str, data: bytes) -> str | None:
    """None for a file that is taken, else our message; any other error is the caller's."""
    try:
        KINDS[kind][1](data)
    except TinyproofError as error:
        return str(error)
    return None
