"""A .tflite file may be damaged or malicious: it ends in our error, soon, or in C that compiles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from quantize.errors import QuantizeError
from quantize.lowering import lower
from quantize.ops import OPS, table
from quantize.planner import plan_arena
from quantize.reference import compile_graph
from quantize.tflite.constants import EVALUATED
from quantize.tflite.external_buffers import inlined
from quantize.tflite.reader import parse_model
from quantize.tflite.schema import OPERATOR_NAMES
from quantize.tflite.variables import FOLDED
from tests.factory import ModelBuilder
from tests.factory_state import Streaming
from tests.generators import GENERATORS, SEEDS
from tests.host_c import KERNELS, ROOT, WARNINGS
from tests.hostile import external, mutants, mutated, pack, unpack

VECTORS = ROOT / "tests" / "vectors" / "hostile"
CODES = [OPERATOR_NAMES.index(name) for name in (*OPS, *EVALUATED) if name in OPERATOR_NAMES]
SAMPLE, WHOLE_WAY = 20, 60  # mutants read of each operator; files that are compiled
FUZZ_SECONDS = 60
FINE = {"refused", "accepted"}
Files = dict[str, bytes]
Verdicts = dict[str, tuple[str, str]]


def some(files: Files) -> Files:
    """WHOLE_WAY of them."""
    chosen = np.random.default_rng(1).permutation(sorted(files))[:WHOLE_WAY]
    return {str(name): files[str(name)] for name in chosen}


def judged(folder: Path, files: Files) -> Verdicts:
    """What the worker says about each file, by name; see tests.hostile_worker."""
    names = {f"m{number}.tflite": name for number, name in enumerate(files)}
    for file, name in names.items():
        (folder / file).write_bytes(files[name])
    run = subprocess.run(
        [sys.executable, "-m", "tests.hostile_worker", str(folder)],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        timeout=300,
        check=True,
    )
    verdicts = json.loads(run.stdout)
    return {name: (verdicts[file][0], verdicts[file][1]) for file, name in names.items()}


def assert_fine(verdicts: Verdicts) -> None:
    wrong = {name: v for name, v in verdicts.items() if v[0] not in FINE}
    assert not wrong, "\n".join(f"{name}: {v[0]}: {v[1]}" for name, v in wrong.items())


def assert_compiles(folder: Path) -> int:
    """The C of every model that was accepted; returns how many there are."""
    sources = sorted(folder.glob("*/model.c"))
    command = ["gcc", "-std=c11", "-fsyntax-only", *WARNINGS, f"-I{KERNELS}", *sources]
    subprocess.run([str(c) for c in command], check=bool(sources), timeout=120)
    return len(sources)


def some_mutants(name: str, seed: int, count: int | None) -> Iterator[tuple[str, bytes]]:
    """`count` mutants of an operator, or all."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    data = SEEDS[name](np.random.default_rng(seed))
    changes = list(mutants(data, CODES))
    for index in rng.permutation(len(changes))[:count]:
        what, change = changes[index]
        if (mutant := mutated(data, change)) is not None:
            yield f"{name} seed {seed}: {what}", mutant


def accepted(name: str, data: bytes) -> bool:
    """Whether a file is compiled; any error but ours fails the test, and so does a long wait."""
    started = time.process_time()
    try:
        graph = parse_model(inlined(data))
        plan_arena(graph, lower(graph, compile_graph(graph)))
    except QuantizeError:
        return False
    finally:
        assert time.process_time() - started < 2, f"{name}: slow"
    return True


def test_every_operator_that_is_read_has_a_seed() -> None:
    """What the sweeps and the fuzzer start from, whatever operators there will be."""
    found = set()
    for generate in SEEDS.values():
        model = unpack(generate(np.random.default_rng(0)))
        found |= {OPERATOR_NAMES[code.builtinCode] for code in model.operatorCodes}
    assert {*OPS, *EVALUATED, *FOLDED} - {table.NAME} <= found


@pytest.mark.slow
def test_one_wrong_thing_at_a_time(tmp_path: Path) -> None:
    """A sample of the mutants of every operator; a part of those that are accepted is compiled."""
    survivors: Files = {}
    for name in sorted(SEEDS):
        survivors |= {n: data for n, data in some_mutants(name, 0, SAMPLE) if accepted(n, data)}
    assert_fine(judged(tmp_path, some(survivors)))
    assert assert_compiles(tmp_path) > WHOLE_WAY // 2


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SEEDS))
def test_everything_wrong_once(name: str, tmp_path: Path) -> None:
    every = chain(some_mutants(name, 0, None), some_mutants(name, 1, None))
    assert_fine(judged(tmp_path, some({n: data for n, data in every if accepted(n, data)})))
    assert_compiles(tmp_path)


def flipped(name: str, count: int) -> Iterator[tuple[str, bytes]]:
    """Files with a few damaged bits that the reader still accepts, every other one with its data
    behind the FlatBuffer."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    plain = SEEDS[name](np.random.default_rng(1))
    forms = (plain, external(plain))
    for row in range(count):
        data = bytearray(forms[row % 2])
        for position in rng.integers(0, len(data), int(rng.integers(1, 4))):
            data[position] ^= 1 << int(rng.integers(8))
        title = f"{name} flip {row}"
        if accepted(title, bytes(data)):
            yield title, bytes(data)


def test_flipped_bits_that_the_reader_accepts(tmp_path: Path) -> None:
    """TFLite Micro reads the file on its own: what passes our checks must not crash it."""
    found = dict(chain.from_iterable(flipped(name, 20) for name in sorted(SEEDS)))
    assert_fine(judged(tmp_path, some(found)))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SEEDS))
def test_many_flipped_bits(name: str, tmp_path: Path) -> None:
    assert_fine(judged(tmp_path, some(dict(flipped(name, 400)))))


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_truncated(name: str) -> None:
    plain = SEEDS[name](np.random.default_rng(0))
    for data in (plain, external(plain)):
        for length in range(0, len(data) - 16, max(1, len(data) // 40)):
            assert not accepted(f"{name} cut at {length}", data[:length])


# --- made by hand -------------------------------------------------------------------------------

Q: dict[str, Any] = {"scale": [0.1], "zero_point": [0]}


def _chain(operators: int) -> bytes:
    b = ModelBuilder()
    tensors = [b.tensor([1, 4], **Q) for _ in range(operators + 1)]
    for i in range(operators):
        b.operator("ADD", [tensors[i], tensors[i]], [tensors[i + 1]], "AddOptions", 2)
    return b.pack([tensors[0]], [tensors[-1]])


def _million_tensors() -> bytes:
    """A vector of a million offsets that all lead to one tensor."""
    return _stretched("tensors", 1_000_000)


def _stretched(field: str, count: int) -> bytes:
    """A valid file whose list `field` of the graph is replaced by `count` times its first entry."""
    data = bytearray(_chain(1))
    slot = {"tensors": 0, "operators": 3}[field]
    graph = schema.Model.GetRootAs(data, 0).Subgraphs(0)
    table = graph._tab
    place = table.Pos + table.Offset(4 + 2 * slot)
    first = table.Vector(table.Offset(4 + 2 * slot))
    target = first + int.from_bytes(data[first : first + 4], "little")
    start = len(data) + (-len(data)) % 4
    data += bytes(start - len(data))
    data += count.to_bytes(4, "little")
    # offsets are unsigned: the entries must lie before what they lead to, so the target moves too
    moved = start + 4 + 4 * count
    body = bytes(data[target:])
    data[place : place + 4] = (start - place).to_bytes(4, "little")
    entries = np.arange(count, dtype=np.int64) * 4 + start + 4
    data += (moved + 64 - entries).astype("<u4").tobytes()
    return bytes(data) + bytes(64) + body


def _shared_buffer() -> bytes:
    """4000 constants of 256 KB that are all the same bytes."""
    b = ModelBuilder()
    big = np.zeros(1 << 18, np.int8)
    x = b.tensor([1, 4], **Q)
    first = b.tensor([1 << 18], data=big, **Q)
    for _ in range(4000):
        b.tensors.append(b.tensors[first])
    y = b.tensor([1, 4], **Q)
    b.operator("ADD", [x, x], [y], "AddOptions", 2)
    return b.pack([x], [y])


def _shared_weights() -> bytes:
    """One constant that a thousand operators use, each of which would store it anew."""
    b = ModelBuilder()
    w = b.tensor([100, 100], scale=[0.1], data=np.ones((100, 100), np.int8))
    last = first = b.tensor([1, 100], **Q)
    for _ in range(1000):
        out = b.tensor([1, 100], **Q)
        b.operator("FULLY_CONNECTED", [last, w, -1], [out], "FullyConnectedOptions", 4)
        last = out
    return b.pack([first], [last])


def _dense(rows: int, columns: int) -> bytes:
    b = ModelBuilder()
    x, y = b.tensor([1, columns], **Q), b.tensor([1, rows], **Q)
    data = np.random.default_rng(0).integers(-127, 128, (rows, columns)).astype(np.int8)
    w = b.tensor([rows, columns], scale=[0.01], data=data)
    b.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", 4)
    return b.pack([x], [y])


def _add(shape: list[int], **quant: Any) -> bytes:
    b = ModelBuilder()
    x, y = (b.tensor(shape, **(Q | quant)) for _ in range(2))
    b.operator("ADD", [x, x], [y], "AddOptions", 2)
    return b.pack([x], [y])


def _pool(side: int, window: int) -> bytes:
    b = ModelBuilder()
    x, y = (b.tensor([1, side, side, 4], **Q) for _ in range(2))
    b.operator("MAX_POOL_2D", [x], [y], "Pool2DOptions", 2, padding=0, strideH=1, strideW=1,
               filterHeight=window, filterWidth=window)  # fmt: skip
    return b.pack([x], [y])


def _cycle() -> bytes:
    b = ModelBuilder()
    x, y, z = (b.tensor([1, 4], **Q) for _ in range(3))
    b.operator("ADD", [x, z], [y], "AddOptions", 2)
    b.operator("ADD", [y, y], [z], "AddOptions", 2)
    return b.pack([x], [z])


def _own_input() -> bytes:
    b = ModelBuilder()
    x = b.tensor([1, 4], **Q)
    b.operator("ADD", [x, x], [x], "AddOptions", 2)
    return b.pack([x], [x])


def _with(change: Callable[[Any], None]) -> bytes:
    model = unpack(_chain(1))
    change(model)
    return pack(model)


def _metadata(name: bytes | None) -> bytes:
    def change(model: Any) -> None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, 2**32 - 1
        model.metadata = [entry]

    return _with(change)


def _two_graphs(model: Any) -> None:
    model.subgraphs = model.subgraphs * 2


def _calls(*called: int) -> bytes:
    """Subgraph k runs subgraph called[k] once; the first computes too."""
    main = ModelBuilder()
    graphs = [main, *(main.beside() for _ in called[1:])]
    for graph, number in zip(graphs, called, strict=True):
        graph.operator("CALL_ONCE", [], [], "CallOnceOptions", initSubgraphIndex=number)
    x, y = (main.tensor([1, 4], **Q) for _ in range(2))
    main.operator("ADD", [x, x], [y], "AddOptions", 2)
    return main.pack([x], [y], graphs[1:])


def _variables(count: int, size: int) -> bytes:
    """Variables of one model with random first values."""
    main, rng = ModelBuilder(), np.random.default_rng(0)
    s = Streaming(main=main, start=main.beside())
    x = main.tensor([1, size], **Q)
    values = [rng.integers(-9, 9, (1, size)).astype(np.int8) for _ in range(count)]
    handles = [s.variable(value, **Q) for value in values]
    for handle in handles:
        s.assign(handle, s.read(handle, [1, size], **Q))
    s.assign(handles[0], x)
    return s.pack([x], [s.read(handles[0], [1, size], **Q)])


def _self_reference() -> bytes:
    """The list of graphs leads back to the model itself."""
    data = bytearray(_chain(1))
    table = schema.Model.GetRootAs(data, 0)._tab
    first = table.Vector(table.Offset(8))
    data[first : first + 4] = ((table.Pos - first) % 2**32).to_bytes(4, "little")
    return bytes(data)


class _Shared:
    """A table that is packed once, wherever it stands."""

    def __init__(self, table: Any) -> None:
        self.table, self.at = table, 0

    def Pack(self, builder: Any) -> int:
        self.at = self.at or self.table.Pack(builder)
        return self.at


def _shared_signatures() -> bytes:
    """25 KB in which 3000 signatures have the same 3000 inputs, of a model that is written anew."""
    model = unpack(SEEDS["TILE__CONSTANT"](np.random.default_rng(0)))
    signature, entry = schema.SignatureDefT(), schema.TensorMapT()
    entry.name = b"a"
    signature.inputs = [_Shared(entry)] * 3000
    model.signatureDefs = [_Shared(signature)] * 3000
    return pack(model)


def _external(**places: int) -> bytes:
    """A model whose weights and bias lie behind the FlatBuffer; the bias where it is said."""
    b = ModelBuilder()
    x, y = b.tensor([1, 4], **Q), b.tensor([1, 8], **Q)
    w = b.tensor([8, 4], scale=[0.1], data=np.ones((8, 4), np.int8))
    bias = b.tensor([8], dtype="int32", scale=[0.01], data=np.arange(8, dtype=np.int32))
    b.operator("FULLY_CONNECTED", [x, w, bias], [y], "FullyConnectedOptions", 4)

    def change(buffers: list[Any]) -> None:
        last = buffers[-1]
        last.offset += places.get("further", 0)
        last.offset = places.get("offset", last.offset)
        last.size = places.get("size", last.size)

    return external(b.pack([x], [y]), change)


def _external_and_own() -> bytes:
    """The buffers of constants have their data in the FlatBuffer, and others behind it."""
    model = unpack(_dense(8, 8))
    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data):
            buffer.offset, buffer.size = 16, 64
    return pack(model)


BY_HAND: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "refused"),
    "identifier only": (lambda: b"\0\0\0\0TFL3", "refused"),
    "root far away": (lambda: b"\xff\xff\xff\xffTFL3" + bytes(64), "refused"),
    "a million tensors": (_million_tensors, "refused"),
    "4000 times one tensor": (lambda: _stretched("tensors", 4000), "refused"),
    "100000 operators": (lambda: _stretched("operators", 100_000), "refused"),
    "overlapping buffers": (_shared_buffer, "refused"),
    "shared weights": (_shared_weights, "refused"),
    "shared signatures": (_shared_signatures, "refused"),
    "external buffers": (_external, "accepted"),
    "external buffers that overlap": (lambda: _external(further=-32), "refused"),
    "external buffer behind the file": (lambda: _external(further=4096), "refused"),
    "external buffer at 2**64": (lambda: _external(offset=2**64 - 1, size=2**64 - 1), "refused"),
    "external buffer of 2**63 bytes": (lambda: _external(size=2**63), "refused"),
    "external buffer of no bytes": (lambda: _external(size=0), "refused"),
    "external buffer one byte short": (lambda: _external(size=31), "refused"),
    "external buffer in the FlatBuffer": (lambda: _external(offset=2), "refused"),
    "external buffer in its header": (lambda: _external(offset=200), "refused"),
    "external buffer and its own": (_external_and_own, "refused"),
    "cyclic graph": (_cycle, "refused"),
    "operator writes its input": (_own_input, "refused"),
    "list leads to itself": (_self_reference, "refused"),
    "calls itself": (lambda: _calls(0), "refused"),
    "calls in a circle": (lambda: _calls(1, 2, 1), "refused"),
    "17 graphs": (lambda: _calls(*range(1, 17), 0), "refused"),
    "300 KB of first values": (lambda: _variables(3, 100_000), "accepted"),
    "10 MB of first values": (lambda: _variables(10, 1_000_000), "refused"),
    "two graphs": (lambda: _with(_two_graphs), "refused"),
    "long chain": (lambda: _chain(250), "accepted"),
    "too long a chain": (lambda: _chain(1025), "refused"),
    "huge dimensions": (lambda: _add([2**31 - 1] * 4), "refused"),
    "dimensions whose product is small modulo 2**64": (lambda: _add([2**30, 2**30, 16]), "refused"),
    "large tensor": (lambda: _add([1, 4096, 4096]), "refused"),
    "many dimensions": (lambda: _add([1] * 2000), "refused"),
    "300 KB of weights": (lambda: _dense(512, 600), "accepted"),
    "20 MB of weights": (lambda: _dense(5000, 4000), "refused"),
    "wide window": (lambda: _pool(300, 299), "refused"),
    "scale 0": (lambda: _add([4], scale=[0.0]), "refused"),
    "scale not a number": (lambda: _add([4], scale=[float("nan")]), "refused"),
    "scale infinite": (lambda: _add([4], scale=[float("inf")]), "refused"),
    "scale denormal": (lambda: _add([4], scale=[1e-44]), "accepted"),
    "scale negative": (lambda: _add([4], scale=[-0.1]), "refused"),
    "zero point below int8": (lambda: _add([4], zero_point=[-129]), "refused"),
    "zero point lowest": (lambda: _add([4], zero_point=[-128]), "accepted"),
    "a million scales": (lambda: _add([4], scale=[0.1] * 1_000_000), "refused"),
    "offline memory plan": (lambda: _metadata(b"OFFLINE_MEMORY_ALLOCATION"), "refused"),
    "metadata without a name": (lambda: _metadata(None), "refused"),
    "metadata without a buffer": (lambda: _metadata(b"min_runtime_version"), "accepted"),
}  # fmt: skip


def test_made_by_hand(tmp_path: Path) -> None:
    verdicts = judged(tmp_path, {name: make() for name, (make, _) in BY_HAND.items()})
    assert_fine(verdicts)
    assert {n: v[0] for n, v in verdicts.items()} == {n: e for n, (_, e) in BY_HAND.items()}
    assert_compiles(tmp_path)


NAMES = (
    '*/ int main(void){ /* "', "\n#error no\n", "??/\n??>", "while", "a\\", "%s%n", "\0\x01\x7f",
    "é" * 1000, "[bold]x[/bold] [/]",
)  # fmt: skip


def test_names_in_the_file_never_reach_the_c_text(tmp_path: Path) -> None:
    def named(name: bytes) -> bytes:
        def change(model: Any) -> None:
            graph = model.subgraphs[0]
            model.description = graph.name = name
            for tensor in graph.tensors:
                tensor.name = name

        return _with(change)

    files = {name: named(name.encode()) for name in NAMES}
    assert_fine(judged(tmp_path, files))
    assert assert_compiles(tmp_path) == len(NAMES)
    (plain,) = {(p.parent / "model.c").read_text().split("*/", 1)[1].split("model_sha256", 1)[0]
                for p in tmp_path.glob("*/model.c")}  # fmt: skip
    assert "main" not in plain


SIGNATURES = {n: spec.signature for n, spec in OPS.items() if n != table.NAME} | FOLDED | EVALUATED


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_signatures_know_the_schema(name: str) -> None:
    assert name in OPERATOR_NAMES
    if name in GENERATORS:
        model = unpack(GENERATORS[name](np.random.default_rng(0)))
        code = OPERATOR_NAMES.index(name)
        for op in model.subgraphs[0].operators:
            if model.operatorCodes[op.opcodeIndex].builtinCode == code and op.builtinOptionsType:
                assert SIGNATURES[name].table in (0, op.builtinOptionsType)


def test_findings_of_the_fuzzer_stay_fixed(tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in sorted(VECTORS.glob("*.tflite"))}
    assert files
    assert_fine(judged(tmp_path, files))


@pytest.mark.slow
def test_a_minute_of_fuzzing(tmp_path: Path) -> None:
    """Coverage-guided; a finding stays in the folder that the failure names."""
    pytest.importorskip("atheris", reason="no wheel of atheris for this system")
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzz_reader", str(tmp_path / "corpus"),
         f"-max_total_time={FUZZ_SECONDS}", f"-artifact_prefix={tmp_path}/"],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=5 * FUZZ_SECONDS,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, f"{tmp_path}: {run.stderr[-4000:]}"
    assert "Done " in run.stderr
