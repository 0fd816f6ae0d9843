"""Check a recipe's network before data is cut into windows; a built-in one without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.architectures import architecture, weights_of
from model.datasets import dataset_labels
from model.errors import ConfigError
from model.features.design import recipe_front_end
from model.files import write_json
from model.network_config import OWN
from model.network_files import network_digest
from model.recipe import Recipe
from model.tasks import outputs_of
from quantize.errors import ModelError


def network(recipe: Recipe, out_dir: Path) -> None:
    """Write network.json; ConfigError for a network that does not fit the recipe or any board."""
    front_end, config = recipe_front_end(recipe), recipe.network
    rows, columns = front_end.rows, front_end.columns
    classes = len(dataset_labels(recipe.dataset))
    outputs = outputs_of(recipe.task, classes, rows * columns)
    if config.kind in OWN:
        weights = _own(recipe, classes)
    else:
        layers = architecture(config, rows, columns, outputs, recipe.task)
        weights = weights_of(layers, (rows, 1, columns))
    write_json(
        out_dir / "network.json",
        {
            "kind": config.kind,
            "sha256": network_digest(config),
            "input": [rows, 1, columns],
            "outputs": outputs,
            "weight_bytes": weights,
        },
    )
    print(
        f"{recipe.name}: network {config.kind}: [{rows}, 1, {columns}] to [{outputs}], {weights:,} "
        f"bytes of int8 weights (at most {config.max_weight_bytes:,})"
    )


def _own(recipe: Recipe, classes: int) -> int:
    """The weights of a network of the user's own, after its conversion to int8 for a trial."""
    from model import train as training

    training.make_deterministic(recipe.train.seed)
    made = training.network_of(recipe, classes)
    if problem := _problem(made):
        found = "; ".join(_bad_layers(made)) or problem
        raise ConfigError(
            f"network.{recipe.network.kind}: {recipe.network.options.file}: not supported as int8: "
            f"{found}; use other layers there (docs/OPERATORS.md has what runs)"
        )
    return sum(w.shape.num_elements() for w in made.weights if "kernel" in w.name)


def _problem(made: Any) -> str | None:
    """Why a network cannot become an int8 model of ours; None when it can."""
    import numpy as np

    from quantize import ptq
    from quantize.reference import compile_graph
    from quantize.tflite.reader import parse_model

    cases = np.random.default_rng(0).normal(size=(2, *made.input_shape[1:])).astype(np.float32)
    try:
        compile_graph(parse_model(ptq.convert_int8(made, cases, "")))
    except ModelError as error:
        return str(error)
    except Exception as error:  # of the converter, which raises whatever it likes
        return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"
    return None


def _bad_layers(made: Any) -> list[str]:
    """'layer spam (Spam): reason' of each layer that alone is not supported either."""
    from model.networks import keras

    found = []
    for layer in made.layers:
        if type(layer).__name__ == "InputLayer" or isinstance(layer.input, list):
            continue
        alone = keras.Input(layer.input.shape[1:])
        if problem := _problem(keras.Model(alone, layer(alone))):
            found.append(f"layer {layer.name!r} ({type(layer).__name__}): {problem}")
    return found
