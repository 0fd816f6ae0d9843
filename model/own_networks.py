"""Networks of the user's own: what a function of the project returns, and a trained Keras file.

Either becomes a network of Keras 2, which quantisation-aware training needs, from the front end's
[rows, 1, columns] to [outputs]. The function is the project's code and runs as such: who may have
it run is decided before (host_tools.trust). Of a file no code runs (model.keras_file).
"""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from model.architectures import check_weights
from model.errors import ConfigError
from model.keras_file import load_keras_file
from model.network_config import NetworkConfig
from model.network_files import read_network_file
from model.networks import keras
from model.quiet import captured_stderr

layers = keras.layers
GIVEN = ("input_shape", "outputs", "task")  # what a function may ask for by name, besides its own
CHECKED = 4  # random cases on which a network has to stay the same
TOLERANCE = 1e-4  # relative to the largest output


def own_network(config: NetworkConfig, rows: int, columns: int, outputs: int, task: str) -> Any:
    """The network of the kind 'python' or 'file'; ConfigError that says what does not fit, and
    where."""
    shape = (rows, 1, columns)
    if config.kind == "python":
        network, where = _from_function(config, {"input_shape": shape, "outputs": outputs,
                                                 "task": task})  # fmt: skip
    else:
        network, where = _from_file(config)
    network = _fitted(_keras_2(network, where), shape, outputs, task, where)
    for layer in network.layers:
        if not all(np.isfinite(values).all() for values in layer.get_weights()):
            raise ConfigError(
                f"{where}: the weights of layer {layer.name!r} ({type(layer).__name__}) are not "
                "finite, expected numbers, got infinite ones or NaN: its training has failed; "
                "train it again with a smaller learning rate, and save it"
            )
    kernels = (w.shape.num_elements() for w in network.weights if "kernel" in w.name)
    check_weights(sum(kernels), config)
    return network


def _from_function(config: NetworkConfig, given: dict[str, Any]) -> tuple[Any, str]:
    """(what the function returns, its file, line and name)."""
    path, source = read_network_file(config)
    function = _function(path, source, config.options.function)
    code = inspect.unwrap(function).__code__
    where = f"{path}:{code.co_firstlineno}: {config.options.function}()"
    wanted, own = inspect.signature(function).parameters, config.options.arguments or {}
    needed = {name for name, p in wanted.items() if p.default is p.empty}
    fits = {"input_shape", "outputs"} <= set(wanted) and needed <= {*GIVEN, *own}
    if not fits or not set(own) <= set(wanted) - set(GIVEN):
        raise ConfigError(
            f"{where}: expected the parameters input_shape, outputs, if it is of use task, and "
            f"those of [network.python.arguments] ({', '.join(own) or 'none'}); got "
            f"{', '.join(wanted) or 'none'}"
        )
    values = {**own, **given}
    network = _run(path, where, lambda: function(**{n: values[n] for n in wanted if n in values}))
    if network is None:
        raise ConfigError(f"{where}: returned None, expected a Keras model; end it with `return`")
    return network, where


def _function(path: Path, source: bytes, name: str) -> Callable[..., Any]:
    """A function of the file, which is run as a module of its own."""
    module = ModuleType("tinyproof_network")
    module.__file__ = str(path)
    # a class of it finds its module, as when it is copied
    sys.modules[module.__name__] = module

    def execute() -> None:
        exec(compile(source, str(path), "exec"), module.__dict__)

    _run(path, str(path), execute)
    function = getattr(module, name, None)
    if not inspect.isfunction(function):
        known = [k for k, v in vars(module).items() if inspect.isfunction(v)]
        raise ConfigError(
            f"{path}: no function {name!r} (network.python.function); it has: "
            f"{', '.join(known) or 'none'}"
        )
    return function


def _run(path: Path, where: str, call: Callable[[], Any]) -> Any:
    """What `call` returns; ConfigError with the line of the user's file for whatever it raises."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        place, text = where, (str(error).strip().splitlines() or [""])[0][:300]
        if isinstance(error, SyntaxError) and error.filename == str(path):
            place, text = f"{path}:{error.lineno}", error.msg
        elif lines := [f for f in traceback.extract_tb(error.__traceback__)
                       if f.filename == str(path)]:  # fmt: skip
            place = f"{path}:{lines[-1].lineno}: in {lines[-1].name}"
        more = ""
        if isinstance(error, ModuleNotFoundError):
            more = "; modules beside it are not found: keep the network in one file"
        raise ConfigError(f"{place}: {type(error).__name__}: {text}{more}") from error


def _from_file(config: NetworkConfig) -> tuple[Any, str]:
    """(the network of the file, its name for messages)."""
    path, _ = read_network_file(config)
    where = f"network.file.file = {config.options.file!r}"
    try:
        with captured_stderr():
            network, _ = load_keras_file(path)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return network, where


def _keras_2(network: Any, where: str) -> Any:
    """A network of one input and one output whose layers are Keras 2's."""
    newer = sys.modules.get("keras")
    if newer is None and type(network).__module__.split(".")[0] == "keras":
        newer = importlib.import_module("keras")
    of_3 = newer is not None and newer is not keras and isinstance(network, newer.Model)
    if not of_3 and not isinstance(network, keras.Model):
        raise ConfigError(
            f"{where}: returned {type(network).__module__}.{type(network).__qualname__}, expected "
            "a Keras model: keras.Sequential([...]) or keras.Model(inputs, outputs)"
        )
    kind = type(network).__name__
    if not (hasattr(network, "_nodes_by_depth") or kind == "Sequential"):
        raise ConfigError(
            f"{where}: {kind} is a class of its own, whose layers cannot be seen; expected "
            "keras.Sequential([...]) or keras.Model(inputs, outputs)"
        )
    try:
        ends = [list(network.inputs or []), list(network.outputs or [])]
    except (AttributeError, ValueError):
        ends = [[], []]
    if not ends[0]:
        raise ConfigError(
            f"{where}: the network has no input shape; begin it with keras.Input(input_shape)"
        )
    if [len(end) for end in ends] != [1, 1]:
        raise ConfigError(
            f"{where}: the network has {len(ends[0])} inputs and {len(ends[1])} outputs; expected "
            "one of each"
        )
    return _translated(network, newer, where) if of_3 else network


def _translated(network: Any, newer: Any, where: str) -> Any:
    """A network of Keras 3 in Keras 2, with its weights, and the same outputs."""
    made: dict[int, Any] = {}

    def layer_of(operation: Any) -> Callable[..., Any]:
        if isinstance(operation, newer.Model):
            return lambda x: replay(operation, x)
        if id(operation) not in made:
            made[id(operation)] = _layer_2(operation, newer, where)
        layer = made[id(operation)]

        def call(*values: Any, **options: Any) -> Any:
            kept = {k: v for k, v in options.items() if k not in ("training", "mask")}
            result = layer(*values, **kept)
            if weights := operation.get_weights():
                layer.set_weights(weights)
            return result

        return call

    def replay(model: Any, x: Any) -> Any:
        graph = model._functional if isinstance(model, newer.Sequential) else model
        found = graph._run_through_graph([x], operation_fn=layer_of)
        return found[0] if isinstance(found, list) else found

    source = layers.Input(tuple(network.input_shape[1:]), name="window")
    result = keras.Model(source, replay(network, source))
    cases = np.random.default_rng(0).normal(size=(CHECKED, *network.input_shape[1:]))
    expected, got = (np.asarray(n(cases.astype(np.float32), training=False))
                     for n in (network, result))  # fmt: skip
    if not np.allclose(expected, got, rtol=0, atol=TOLERANCE * max(1.0, np.abs(expected).max())):
        raise ConfigError(
            f"{where}: the network has other outputs in Keras 2, which quantisation needs, than "
            f"in Keras {newer.__version__} (up to {np.abs(expected - got).max():.3g}); build it "
            "with `import tf_keras as keras`"
        )
    return result


def _layer_2(operation: Any, newer: Any, where: str) -> Any:
    """A new layer of Keras 2 like one of Keras 3, without its weights."""
    kind = type(operation).__name__
    own = getattr(layers, kind, None)
    if own is None or getattr(newer.layers, kind, None) is not type(operation):
        raise ConfigError(
            f"{where}: layer {operation.name!r} ({kind}) is of Keras 3 alone; use a layer that "
            "Keras 2 has too (layers.Add for +), or build the network with `import tf_keras as "
            "keras`"
        )
    accepted = {name for c in own.__mro__ for name in inspect.signature(c.__init__).parameters}
    settings = {
        key: _penalty(value) if key.endswith(PENALTIES) else value
        for key, value in operation.get_config().items()
        if key in accepted and not key.endswith("_initializer") and key != "dtype"
    }
    if any(isinstance(value, dict) for value in settings.values()):
        raise ConfigError(
            f"{where}: layer {operation.name!r} ({kind}) holds other layers or functions; use "
            "plain layers, or build the network with `import tf_keras as keras`"
        )
    return own(**{**settings, "name": operation.name})


def _penalty(value: Any) -> Any:
    """A regulariser or constraint of Keras 3 as Keras 2 has it; as it is where it has none."""
    if not isinstance(value, dict):
        return value
    for made in (keras.regularizers, keras.constraints):
        try:
            return made.deserialize({key: value[key] for key in ("class_name", "config")})
        except (KeyError, TypeError, ValueError):
            continue
    return value


def _fitted(network: Any, shape: tuple[int, int, int], outputs: int, task: str, where: str) -> Any:
    """The network from [rows, 1, columns] to [outputs], by reshapes that keep every value."""
    rows, _, columns = shape
    given, answer = tuple(network.input_shape[1:]), tuple(network.output_shape[1:])
    exact = (shape, (rows, columns), (rows, columns, 1), (rows * columns,))
    if given not in exact:
        raise ConfigError(
            f"{where}: the network's input is {list(given)}, the front end gives {list(shape)}; "
            f"expected one of {', '.join(str(list(s)) for s in exact)}"
        )
    flat = task == "anomaly" and None not in answer and int(np.prod(answer)) == outputs
    if answer != (outputs,) and not flat:
        what = {
            "classification": "one for each label",
            "multilabel": "one for each label",
            "regression": "one for each target",
            "anomaly": "one for each input",
        }
        raise ConfigError(
            f"{where}: the network's output is {list(answer)}, expected [{outputs}]"
            f"{', ' + what[task] if task in what else ''}"
        )
    if given == shape and not flat:
        return _with_ending(network, task, where)
    source = layers.Input(shape, name="window")
    # names that no layer of a file has, as flatten_1 would be
    x = layers.Flatten(name="tinyproof_flat")(source) if len(given) == 1 else source
    if len(given) > 1 and given != shape:
        x = layers.Reshape(given, name="tinyproof_shape")(source)
    x = network.call(x)
    x = layers.Flatten(name="tinyproof_answer")(x) if len(answer) > 1 else x
    adapted = keras.Model(source, x)
    copy = keras.models.clone_model(adapted)  # whose layers are in one network only
    copy.set_weights(adapted.get_weights())
    return _with_ending(copy, task, where)


PENALTIES = ("_regularizer", "_constraint")
MOVES = ("Flatten", "Reshape", "Dropout")  # layers that compute nothing after training
NONLINEAR = ("Softmax", "ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU")
ENDINGS = {
    "classification": ("softmax", layers.Softmax),
    "multilabel": ("sigmoid", lambda: layers.Activation("sigmoid")),
}


def _with_ending(network: Any, task: str, where: str) -> Any:
    """The network with its task's activation as the last layer, which many leave to the loss or to
    a Dense. ConfigError for one that ends with another activation.
    """
    if task not in ENDINGS:
        return network
    name, ending = ENDINGS[task]
    last = end = network.outputs[0]._keras_history.layer
    while type(last).__name__ in MOVES:
        last = last.input._keras_history.layer
    found = getattr(getattr(last, "activation", None), "__name__", "linear")
    if type(last).__name__ in NONLINEAR:
        found = type(last).__name__.lower()
    if found not in ("linear", name):
        raise ConfigError(
            f"{where}: the network ends with {found} (layer {last.name!r}); for the task {task!r} "
            f"expected {name}, or none, which then gets it"
        )
    if found == name and (end is not last or type(last).__name__ in ("Activation", *NONLINEAR)):
        return network
    if found == name:
        last.activation = keras.activations.linear
    return keras.Model(network.inputs[0], ending()(network.outputs[0]))
