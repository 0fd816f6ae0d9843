"""Pruning and clustering of a trained network's weights, before quantisation.

Both come from the tensorflow-model-optimization toolkit. They leave the operators as they are, so a
firmware takes neither less flash nor fewer instructions for them; what shrinks is the file that is
sent over the air, because zeros and repeated values compress.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from model.augment import WindowSampler
from model.features import Windows
from model.networks import keras, tf
from model.progress import Progress
from model.recipe import CompressionConfig, Recipe
from model.tasks import Task
from model.train import fit
from quantize.errors import QuantizeError

import tensorflow_model_optimization as tfmot  # isort: skip

Tune = Callable[[Any, Progress], None]  # fine-tune a wrapped network in place


def compress(
    network: Any,
    sampler: WindowSampler,
    val: Windows,
    recipe: Recipe,
    task: Task,
    progress: Progress,
) -> Any:
    """`network` pruned, then clustered, each fine-tuned for compression.steps; itself left alone.

    Raises QuantizeError when the result has more weights or values than was asked for.
    """
    config = recipe.compression
    assert config is not None

    def tune(wrapped: Any, advance: Progress) -> None:
        steps, rate = config.steps, config.learning_rate
        fit(wrapped, sampler, val, recipe, task, steps=steps, learning_rate=rate, progress=advance)

    if config.sparsity:
        network = _pruned(network, config, tune, progress)
    if config.clusters:
        network = _clustered(network, config, tune, progress)
    _check(network, config, recipe.name)
    return network


def preserving_scheme(config: CompressionConfig) -> Any:
    """The quantisation scheme under which fine-tuning keeps zeros and shared values."""
    if config.clusters:
        return tfmot.experimental.combine.Default8BitClusterPreserveQuantizeScheme(
            preserve_sparsity=config.sparsity > 0
        )
    return tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()


def _pruned(network: Any, config: CompressionConfig, tune: Tune, progress: Progress) -> Any:
    wrapped = tfmot.sparsity.keras.prune_low_magnitude(
        _copy(network),
        tfmot.sparsity.keras.PolynomialDecay(
            0.0, config.sparsity, 0, max(config.steps // 2, 1), frequency=1
        ),
    )
    steps = [layer.pruning_step for layer in wrapped.layers if hasattr(layer, "pruning_step")]

    def advance(step: int, loss: float, score: float | None) -> None:
        for counter in steps:
            counter.assign(step)
        progress(step, loss, score)

    advance(0, 0.0, None)
    tune(wrapped, advance)
    for layer in wrapped.layers:
        if hasattr(layer, "pruning_obj"):
            layer.pruning_obj.weight_mask_op()
    return _with_weights(network, tfmot.sparsity.keras.strip_pruning(wrapped))


def _clustered(network: Any, config: CompressionConfig, tune: Tune, progress: Progress) -> Any:
    try:
        wrapped = tfmot.clustering.keras.cluster_weights(
            _copy(network),
            number_of_clusters=config.clusters,
            cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
            preserve_sparsity=config.sparsity > 0,
        )
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        raise QuantizeError(
            f"compression.clusters: {config.clusters} values are more than a kernel "
            f"has weights that are not zero ({str(error).splitlines()[0]}); use fewer"
        ) from error
    tune(wrapped, progress)
    return _with_weights(network, tfmot.clustering.keras.strip_clustering(wrapped))


def _copy(network: Any) -> Any:
    return _with_weights(network, network)


def _with_weights(network: Any, source: Any) -> Any:
    """A new network like `network` with the weights of `source`, which the toolkit has rebuilt."""
    copy = keras.models.clone_model(network)
    for layer, other in zip(copy.layers, source.layers, strict=True):
        layer.set_weights(other.get_weights())
    return copy


def _check(network: Any, config: CompressionConfig, name: str) -> None:
    layers = [x for x in network.layers if isinstance(x, keras.layers.Conv2D | keras.layers.Dense)]
    for index, layer in enumerate(layers):
        kernel = layer.get_weights()[0]
        zeros = float((kernel == 0).mean())
        values = len(np.unique(kernel))
        if config.sparsity and zeros < config.sparsity - 0.05:
            raise QuantizeError(
                f"{name}: compression left {zeros:.0%} of kernel {index} zero, expected "
                f"{config.sparsity:.0%}; raise compression.steps"
            )
        if config.clusters and values > config.clusters + 1:
            raise QuantizeError(
                f"{name}: compression left {values} values in kernel {index}, expected at most "
                f"{config.clusters}; raise compression.steps"
            )
