"""Pruning and clustering leave the zeros and the few values that were asked for."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.datasets import load_dataset
from model.features import split_windows
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.recipe import CompressionConfig
from model.recipe_file import load_recipe
from model.stages.check import check
from model.stages.splits import load_splits
from model.stages.train import train
from model.tasks import task_of
from quantize.errors import QuantizeError
from quantize.float_outputs import load_float_outputs
from quantize.pipeline import quantise_recipe


def _compressed(sparsity: float, clusters: int) -> tuple[list[Any], list[Any]]:
    """The kernels before and after."""
    from model import train
    from quantize.compress import compress

    config = CompressionConfig(sparsity=sparsity, clusters=clusters, steps=4, learning_rate=1e-3)
    recipe = dataclasses.replace(load_recipe("digits"), compression=config)
    dataset = load_dataset(recipe.dataset)
    task = task_of(recipe, dataset.labels)
    splits = split_windows(dataset, recipe.dataset, Extractor(recipe_front_end(recipe)))
    train.make_deterministic(1)
    network = train.new_network(recipe, dataset)
    sampler = train.make_sampler(recipe, dataset, task, set(splits.train.group.tolist()), 1)
    before = _kernels(network)
    result = compress(network, sampler, splits.val, recipe, task, lambda *progress: None)
    assert all(np.array_equal(a, b) for a, b in zip(before, _kernels(network), strict=True))
    return before, _kernels(result)


def _kernels(network: Any) -> list[Any]:
    return [w for layer in network.layers for w in layer.get_weights()[:1] if w.ndim > 1]


@pytest.mark.parametrize(("sparsity", "clusters"), [(0.5, 0), (0.0, 8), (0.5, 8)])
@pytest.mark.slow
def test_kernels_are_as_asked(sparsity: float, clusters: int) -> None:
    before, after = _compressed(sparsity, clusters)
    for old, new in zip(before, after, strict=True):
        assert (old != 0).all() and len(np.unique(old)) > 100
        assert (new == 0).mean() >= sparsity - 0.01
        assert not clusters or len(np.unique(new)) <= clusters + 1


def test_more_values_than_weights_are_refused() -> None:
    with pytest.raises(QuantizeError, match=r"compression.clusters: 128 values are more"):
        _compressed(0.99, 128)


@pytest.mark.slow
def test_a_board_is_compared_with_the_network_before_compression(tmp_path: Path) -> None:
    from model.train import load_network, predict

    recipe = load_recipe("digits")
    recipe = dataclasses.replace(
        recipe,
        compression=CompressionConfig(sparsity=0.9, clusters=0, steps=4, learning_rate=1e-3),
        train=dataclasses.replace(recipe.train, steps=4, min_balanced_accuracy=0.0),
        quantisation=dataclasses.replace(recipe.quantisation, qat_steps=0, max_drop=1.0),
    )
    check(recipe, tmp_path)
    train(recipe, tmp_path, {})
    quantise_recipe(recipe, tmp_path)
    floats = load_float_outputs(tmp_path / "float.npz")
    assert floats.network == "the trained float network before pruning and clustering"
    network = load_network(recipe, load_dataset(recipe.dataset), tmp_path / "float.weights.h5")
    expected = predict(network, load_splits(tmp_path).test)
    assert np.array_equal(floats.outputs[0][:, 0], expected)
