"""Functions of one int8 value that follow each other are one table, where that is the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.parity.tap import Tap
from quantize.fuse import left_of, simplify
from quantize.golden import load_golden
from quantize.inspect import inspect_model
from quantize.lowering import KERNEL_SETS
from quantize.reference import Reference
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder
from tests.host_c import host_models
from tests.sweeps import sweep
from tests.test_fuse import check, compiled, fusions
from tests.test_tap import WrongDevice, make_build

FIXED = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
LARGE = (1, 16, 16)


@dataclass(kw_only=True)
class Functions:
    """A network under construction: the tensor at its end, with its shape, scale and zero point."""

    shape: tuple[int, ...] = (1, 4, 8)
    scale: float = 0.05
    zero: int = 3
    b: ModelBuilder = field(default_factory=ModelBuilder)
    start: int = -1
    end: int = -1

    def __post_init__(self) -> None:
        self.start = self.end = self._tensor()

    def _tensor(self) -> int:
        return self.b.tensor(self.shape, scale=[self.scale], zero_point=[self.zero])

    def then(self, name: str, scale: float | None = None, zero: int | None = None) -> Functions:
        """One more operator; without a scale or a zero point those of the input."""
        before = self.end
        self.scale, self.zero = FIXED.get(
            name,
            (self.scale if scale is None else scale, self.zero if zero is None else zero),
        )
        if name == "RESHAPE":
            self.shape = (1, int(np.prod(self.shape)))
        self.end = self._tensor()
        options = {"LEAKY_RELU": {"alpha": 0.3}}.get(name, {})
        table = {"LEAKY_RELU": "LeakyReluOptions", "RESHAPE": "ReshapeOptions"}.get(name, "")
        self.b.operator(name, [before], [self.end], table, 1, **options)
        return self

    def pack(self, *more: int) -> bytes:
        """The model, with more outputs behind the last one's."""
        return self.b.pack([self.start], [self.end, *more])


def drawn(seed: int) -> bytes:
    """Some functions one behind the other, with a RESHAPE or a second reader here and there."""
    rng = np.random.default_rng(seed)
    zero = int(rng.integers(-128, 128))
    shape = LARGE if seed % 3 == 0 else (1, int(rng.integers(1, 9)), 5)
    net, more = Functions(shape=shape, scale=0.05, zero=zero), []
    names = ("QUANTIZE", "QUANTIZE", "LOGISTIC", "TANH", "RELU", "LEAKY_RELU", "ABS", "RESHAPE")
    for _ in range(int(rng.integers(2, 6))):
        net.then(
            str(rng.choice(names)),
            None if rng.random() < 0.2 else float(2.0 ** rng.uniform(-7, -3)),
            int(rng.integers(-128, 128)),
        )
        if rng.random() < 0.1:
            more.append(net.end)
    return net.pack(*[index for index in more if index != net.end])


@pytest.mark.parametrize("kernels", sorted(KERNEL_SETS))
@pytest.mark.parametrize("block", sweep(range(6), [0]))
def test_one_table_equals_tflite_micro(block: int, kernels: str, tmp_path: Path) -> None:
    made, fused = [], 0
    for seed in range(block * 24, block * 24 + 24):
        manifest, golden = compiled(drawn(seed), tmp_path / str(seed), kernels)
        fused += len(manifest["fused"]) > 0
        made.append((seed, manifest, golden))
    hosts = host_models([(tmp_path / str(seed), manifest) for seed, manifest, _ in made])
    for host, (seed, _, golden) in zip(hosts, made, strict=True):
        check(host, golden, f"drawn({seed}), kernels {kernels}")
    assert fused > 12


@pytest.mark.parametrize("seed", range(40))
def test_all_values_are_equal_tensor_by_tensor(seed: int) -> None:
    """Of every int8 value, and what `left_of` says of the tensors between."""
    graph = parse_model(drawn(seed))
    simple = simplify(graph)
    rng = np.random.default_rng(seed)
    for _ in range(6):
        values = rng.integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)
        whole, left = Reference(graph).run_all([values]), Reference(simple.graph).run_all([values])
        for op in graph.operators:
            expected = left_of(simple, op.outputs[0], whole[op.outputs[0]])
            assert np.array_equal(left[op.outputs[0]], expected), (op, simple.fusions)


@pytest.mark.parametrize("kernels", sorted(KERNEL_SETS))
def test_quantize_behind_a_table_is_gone(kernels: str, tmp_path: Path) -> None:
    model = Functions().then("LOGISTIC").then("RESHAPE").then("QUANTIZE", 0.01, -90).pack()
    manifest, _ = compiled(model, tmp_path, kernels)
    assert manifest["fused"] == [
        {"operators": (0, 2), "how": "table", "text": "LOGISTIC #0 and QUANTIZE #2 are one table"}
    ]
    told = [(o["op"], o["step"], o["kernels"]) for o in manifest["operators"]]
    assert told == [("TABLE", 0, ["nn_lut_s8"]), ("RESHAPE", None, []), ("QUANTIZE", None, [])]
    assert manifest["weight_bytes"] == 256
    assert manifest["outputs"][0]["scale"] == pytest.approx(0.01)
    (tmp_path / "m.tflite").write_bytes(model)
    found = inspect_model(tmp_path / "m.tflite")
    assert found.fused == ["LOGISTIC #0 and QUANTIZE #2 are one table"]


@pytest.mark.parametrize(
    "names, text",
    [
        (("QUANTIZE", "TANH"), "QUANTIZE #0 and TANH #1 are one table"),
        (("TANH", "RELU"), "TANH #0 and RELU #1 are one table"),
        (
            ("QUANTIZE", "LOGISTIC", "QUANTIZE"),
            "QUANTIZE #0 and LOGISTIC #1 and QUANTIZE #2 are one table",
        ),
    ],
)
def test_what_is_one_table(names: tuple[str, ...], text: str) -> None:
    net = Functions()
    for place, name in enumerate(names):
        net.then(name, 0.02 + 0.01 * place, 10)
    assert fusions(net.pack()) == [text]


@pytest.mark.parametrize("shape", [(1, 15, 17), LARGE])
def test_two_quantize_are_a_table_where_that_saves_more_than_it_takes(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    net = Functions(shape=shape).then("QUANTIZE", 0.03, 0).then("QUANTIZE", 0.04, -5)
    assert len(fusions(net.pack())) == (shape == LARGE)
    (tmp_path / "m.tflite").write_bytes(net.pack())
    assert inspect_model(tmp_path / "m.tflite").constant_bytes == 256 * (shape == LARGE)


def test_to_the_same_scale_alone_takes_no_table() -> None:
    net = Functions(shape=LARGE).then("QUANTIZE", 0.03, 0).then("QUANTIZE").then("RESHAPE")
    assert fusions(net.pack()) == []


def test_an_output_of_the_model_stays() -> None:
    net = Functions().then("LOGISTIC")
    between = net.end
    net.then("QUANTIZE", 0.01, 0)
    assert len(fusions(net.pack())) == 1
    assert fusions(net.pack(between)) == []


def test_what_another_operator_reads_stays() -> None:
    net = Functions().then("LOGISTIC")
    between = net.end
    net.then("QUANTIZE", 0.01, 0)
    total = net.b.tensor(net.shape, scale=[0.02], zero_point=[0])
    net.b.operator("ADD", [between, net.end], [total], "AddOptions", 1)
    assert fusions(net.b.pack([net.start], [total])) == []


@pytest.mark.parametrize("wrong", [False, True])
def test_the_tap_compares_what_is_left_of_each_tensor(wrong: bool, tmp_path: Path) -> None:
    data = Functions().then("LOGISTIC").then("RESHAPE").then("QUANTIZE", 0.01, -90).pack()
    manifest = make_build(tmp_path / "m", data)

    def changed(p: Any) -> Any:
        if wrong:
            p.table[:] = p.table[::-1].copy()
        return p

    device = WrongDevice(data, manifest, 0, changed)
    golden = load_golden(tmp_path / "m" / "golden.npz")
    first = Tap(tmp_path / "m", manifest, golden, 5).first_divergence(device).first
    assert (first is not None) == wrong
    assert first is None or (first.operator, first.op) == (0, "TABLE")
