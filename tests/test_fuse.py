"""PAD becomes padding of what follows, where that is the same for every input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize.fuse import simplify
from quantize.golden import make_golden, random_inputs
from quantize.lowering import KERNEL_SETS
from quantize.manifest import compile_model
from quantize.tflite.reader import parse_model
from tests.host_c import HostModel, host_models
from tests.sweeps import sweep
from tests.window_chains import Windows, padded

CASES = 3


def compiled(model: bytes, folder: Path, kernels: str) -> tuple[dict[str, Any], Any]:
    """The manifest and the golden cases of a model, in `folder`."""
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 1))
    made = compile_model(model, golden, folder, name="m", settings={}, kernels=kernels)
    return made, golden


def check(host: HostModel, golden: Any, what: str) -> None:
    """Host C equals TFLite Micro."""
    for case in range(CASES):
        got = host.run(golden.case_inputs(case))
        for a, b in zip(got, golden.case_outputs(case), strict=True):
            assert np.array_equal(a, b), f"{what}, case {case}"


@pytest.mark.parametrize("kernels", sorted(KERNEL_SETS))
@pytest.mark.parametrize("block", sweep(range(6), [0]))
def test_padding_instead_of_pad_equals_tflite_micro(
    block: int, kernels: str, tmp_path: Path
) -> None:
    made, fused = [], 0
    for seed in range(block * 24, block * 24 + 24):
        manifest, golden = compiled(padded(seed).pack(), tmp_path / str(seed), kernels)
        fused += len(manifest["fused"]) > 0
        made.append((seed, manifest, golden))
    hosts = host_models([(tmp_path / str(seed), manifest) for seed, manifest, _ in made])
    for host, (seed, _, golden) in zip(hosts, made, strict=True):
        check(host, golden, f"padded({seed}), kernels {kernels}")
    assert fused > 12


def net(zero: int = -128) -> Windows:
    return Windows(rng=np.random.default_rng(3), shape=(6, 6, 4), zero=zero)


def fusions(model: bytes) -> list[str]:
    """What is fused of a model."""
    return [f.text for f in simplify(parse_model(model)).fusions]


def test_the_padded_tensor_is_gone(tmp_path: Path) -> None:
    n = net(5)
    n.pad((0, 1), (0, 1))
    n.layer("CONV_2D", kernel=(3, 3), stride=(2, 2), same=0)
    manifest, _ = compiled(n.pack(), tmp_path, "ref")
    assert [f["text"] for f in manifest["fused"]] == ["PAD #0 is padding of CONV_2D #1"]
    assert manifest["operators"][0]["step"] is None and manifest["operators"][1]["step"] == 0
    assert manifest["operators"][0]["output"]["shape"] == [1, 6, 6, 4]


@pytest.mark.parametrize("lowest", [-128, 5])
def test_a_maximum_takes_it_where_no_input_is_lower(lowest: int) -> None:
    n = net(lowest)
    n.pad((1, 1), (1, 1))
    n.layer("MAX_POOL_2D", kernel=(3, 3), stride=(2, 2), same=0)
    assert len(fusions(n.pack())) == (lowest == -128)


def test_another_value_stays() -> None:
    n = net(5)
    n.pad((1, 1), (1, 1), value=6)
    n.layer("CONV_2D", kernel=(3, 3), same=0)
    assert fusions(n.pack()) == []


def test_an_output_of_the_model_stays() -> None:
    n = net()
    y = n.pad((1, 1), (1, 1))
    n.layer("CONV_2D", kernel=(3, 3), same=0)
    assert fusions(n.pack(y, n.end)) == []


def test_a_window_that_sees_only_padding_stays() -> None:
    n = net()
    n.pad((0, 3), (0, 0))
    n.layer("CONV_2D", kernel=(3, 1), stride=(1, 1), same=0)
    assert fusions(n.pack()) == []


def test_all_readers_take_it_or_none() -> None:
    n = net()
    y = n.pad((1, 1), (1, 1))
    n.layer("CONV_2D", kernel=(3, 3), stride=(1, 1), same=0)
    first = n.end
    n.end, n.shape = y, (8, 8, 4)
    n.layer("DEPTHWISE_CONV_2D", kernel=(3, 3), stride=(1, 1), same=0)
    assert fusions(n.pack(first, n.end)) == [
        "PAD #0 is padding of CONV_2D #1 and DEPTHWISE_CONV_2D #2"
    ]
    z = n.b.tensor((1, 8, 8, 4), scale=[0.05], zero_point=[-128])
    n.b.operator("RELU", [y], [z])
    assert fusions(n.pack(first, n.end, z)) == []
