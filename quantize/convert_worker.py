"""python -m quantize.convert_worker TASK KIND FILE FOLDER: convert a float network of somebody's.

quantize.convert starts this as a process with bounded memory. TASK is float (FILE to
FOLDER/float.tflite) or int8 (FILE, FOLDER/float.tflite and FOLDER/inputs.npz to FOLDER/int8.tflite,
and of both on the inputs layers.json and outputs.npz). KIND is keras, saved_model, pytorch or
tflite. answer.json says which tools have done it, or what is wrong.
"""

from __future__ import annotations

import functools
import importlib
import io
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import told_as
from model.files import MAX_NETWORK_BYTES, write_arrays, write_bytes, write_json
from model.keras_file import GIVE_A_TFLITE, called, input_keys, load_keras_file
from quantize.compare_layers import Layers
from quantize.ends import SIGNATURE, in_order, signature_names, with_ends_of, with_signature
from quantize.errors import ModelError
from quantize.float_worker import MAX_MEMORY, answered, stored_inputs
from quantize.pairing import plain_name
from quantize.pt2 import AGAIN, clean_program
from quantize.reference import compile_graph
from quantize.tflite.external_buffers import inlined
from quantize.tflite.reader import parse_model, read_model
from quantize.tflm import TfliteMicro

Array = npt.NDArray[Any]
MAX_PYTORCH_MEMORY = 64 << 30  # bytes of address space, most of which is never touched
MAX_SAVED_FILES = 1000
SAVE_AGAIN = "save it again, tf.saved_model.save(network, folder), or copy the whole folder"
OTHER_FORM = (
    "leave out the layer that it names, or give the network in another form: .keras, a SavedModel "
    "or a float .tflite"
)
# Operators of a SavedModel that call back into Python, or read and write files and the network.
# What a checkpoint is saved and restored with is no part of what is converted.
CHECKPOINT = {"SaveV2", "RestoreV2", "ShardedFilename", "MergeV2Checkpoints"}
WRITING = {"SaveV2", "MergeV2Checkpoints"}
REFUSED_WORDS = (
    *("PyFunc", "File", "Save", "Restore", "Dataset", "Iterator", "Print", "Summary", "Debug"),
    *("Rpc", "Remote", "Send", "Recv", "Socket", "Sql", "Record", "Reader", "LogMessage", "Lookup"),
)


@dataclass(frozen=True, kw_only=True)
class _Function:
    """A network as a function of TensorFlow with one case as input."""

    function: Any
    holder: Any  # of its variables
    tool: str
    inputs: dict[str, str]  # names of the function's signature: what the network calls them
    outputs: list[str]  # what the network calls them; may be left open
    ordered: bool  # whether the network has an order


def _function(kind: str, path: Path) -> _Function:
    from model.networks import tf

    if kind == "keras":
        network, tool = load_keras_file(path)
        _look_up_plainly(network)
        names = input_keys(network) or [plain_name(t.name) for t in network.inputs]
        inputs = signature_names(names)
        specs = [
            tf.TensorSpec(_one_case(t.name, t.shape), t.dtype, own)
            for t, own in zip(network.inputs, inputs, strict=True)
        ]
        outputs = [str(n) for n in getattr(network, "output_names", [])]

        def call(*values: Any) -> Any:
            return called(network, values)

        holder = tf.Module()  # the converter does not find the variables of Keras 3 in a network
        holder.own = [v if isinstance(v, tf.Variable) else v._value for v in network.variables]
    else:
        with told_as("not a whole SavedModel", SAVE_AGAIN, ModelError):
            check_saved_model(path)
            holder = tf.saved_model.load(str(path))
        if SIGNATURE not in holder.signatures:
            found = ", ".join(sorted(map(str, holder.signatures))) or "none"
            raise ModelError(
                f"no signature {SIGNATURE!r}, there are {found[:200]}; save one: "
                "tf.saved_model.save(network, folder, signatures=function)"
            )
        signature, tool = holder.signatures[SIGNATURE], "SavedModel"
        ends = sorted(signature.structured_input_signature[1].items())
        names = [name for name, _ in ends]
        inputs, outputs = signature_names(names), list[str]()
        specs = [
            tf.TensorSpec(_one_case(n, t.shape), t.dtype, own)
            for (n, t), own in zip(ends, inputs, strict=True)
        ]

        def call(*values: Any) -> Any:
            return signature(**dict(zip(names, values, strict=True)))

    with told_as("TensorFlow cannot trace the network", GIVE_A_TFLITE, ModelError):
        function = tf.function(call, input_signature=specs).get_concrete_function()
    return _Function(
        function=function,
        holder=holder,
        tool=f"{tool}, TensorFlow {tf.__version__}",
        inputs=dict(zip(inputs, names, strict=True)),
        outputs=outputs,
        ordered=len(names) == 1 or (kind == "keras" and not input_keys(network)),
    )


def _look_up_plainly(network: Any) -> None:
    """Let the Embedding layers of Keras 3 look up what they are given.

    Their own call takes a negative index as one from the end, by a SELECT that TFLite Micro lacks;
    for an index of the table, which alone is taken here, both are the same.
    """
    from model.networks import tf

    def plain(layer: Any, inputs: Any) -> Any:
        return tf.cast(tf.gather(layer.embeddings, tf.cast(inputs, tf.int32)), layer.compute_dtype)

    if type(network).__module__.split(".")[0] == "keras":
        embedding = importlib.import_module("keras").layers.Embedding
        for layer in network._flatten_layers():
            if isinstance(layer, embedding):
                layer.call = functools.partial(plain, layer)


def _one_case(name: str, shape: Sequence[int | None]) -> tuple[int, ...]:
    sizes = tuple(shape)
    if not sizes or sizes[0] not in (None, 1) or None in sizes[1:]:
        raise ModelError(
            f"input {name!r} has the shape {sizes}; expected [cases, ...] with fixed sizes behind "
            "the first; build the network with them"
        )
    return (1, *(int(n) for n in sizes[1:] if n is not None))


def check_saved_model(folder: Path) -> None:
    """Refuse a SavedModel that is too large, or whose graph does more than compute."""
    from tensorflow.core.protobuf import saved_model_pb2

    found = list(itertools.islice(folder.rglob("*"), MAX_SAVED_FILES + 1))
    if other := [p for p in found if not (p.is_file() or p.is_dir())]:
        raise ModelError(f"{other[0].name[:60]!r} is neither a file nor a folder; {SAVE_AGAIN}")
    size = sum(p.stat().st_size for p in found if p.is_file())
    if len(found) > MAX_SAVED_FILES or size > MAX_NETWORK_BYTES:
        raise ModelError(
            f"{len(found)} files of {size:,} bytes; at most {MAX_SAVED_FILES:,} of "
            f"{MAX_NETWORK_BYTES:,} are accepted; save the network alone"
        )
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    for meta in saved.meta_graphs:
        nodes = [*meta.graph_def.node, *(n for f in meta.graph_def.library.function
                                         for n in f.node_def)]  # fmt: skip
        refused = {op for op in {n.op for n in nodes} - CHECKPOINT
                   if any(word in op for word in REFUSED_WORDS)}  # fmt: skip
        if refused := refused | (WRITING & _run_operators(meta)):
            raise ModelError(
                f"the operator {min(refused)[:60]!r} is not loaded, because it does more than "
                "compute: it calls Python, or reads or writes files; save the network without it"
            )


def _run_operators(meta: Any) -> set[str]:
    """The operators that loading or calling may run: of all but what saves a checkpoint."""
    nodes = {node.name: node for node in meta.graph_def.node}
    functions = {f.signature.name: f.node_def for f in meta.graph_def.library.function}
    objects = meta.object_graph_def
    ends = [info.name for s in meta.signature_def.values() for info in s.outputs.values()]
    ends += [name for c in meta.collection_def.values() for name in c.node_list.value]
    called = [*objects.concrete_functions]
    for entry in objects.nodes:
        called += [*entry.function.concrete_functions]
        called.append(entry.bare_concrete_function.concrete_function_name)
    waiting = [name.split(":")[0] for name in [*ends, meta.saver_def.restore_op_name]]
    found: set[str] = set()
    while waiting or called:
        if waiting:
            node = nodes.pop(waiting.pop(), None)
            run = [node] if node is not None else []
            waiting += [name.lstrip("^").split(":")[0] for n in run for name in n.input]
        else:
            run = functions.pop(called.pop(), [])
        for node in run:
            found.add(node.op)
            called.append(node.op)
            for value in node.attr.values():
                called += [value.func.name, *(f.name for f in value.list.func)]
    return found


def _converted(
    kind: str, path: Path, samples: Sequence[Array] | None
) -> tuple[bytes, str, dict[str, Any]]:
    """A .tflite by TensorFlow's converter: float, or int8 throughout with representative inputs.

    Third what ends.json says of the inputs.
    """
    from model.networks import tf

    network = _function(kind, path)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.function], network.holder)
    if samples is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converter.representative_dataset = lambda: (
            dict(zip(network.inputs, case, strict=True)) for case in _cases(samples)
        )
    ends = {"inputs": [*network.inputs.values()], "ordered": network.ordered}
    with told_as("TensorFlow's converter does not take it", OTHER_FORM, ModelError):
        converted = bytes(converter.convert())
    model = in_order(converted, network.inputs, network.outputs)
    return model, network.tool, ends


def _cases(inputs: Sequence[Array]) -> Iterator[list[Array]]:
    for case in range(len(inputs[0])):
        yield [values[case] for values in inputs]


def _from_pytorch(path: Path, folder: Path) -> tuple[bytes, str, dict[str, Any]]:
    try:
        import litert_torch
        import torch
    except ImportError as error:
        raise ModelError(
            f"needs litert-torch, which is not installed ({error}): "
            "pip install 'tinyproof[pytorch]'"
        ) from error
    data = clean_program(path)
    with told_as("PyTorch does not load it", AGAIN, ModelError):
        program = torch.export.load(io.BytesIO(data))
    wanted = set(program.graph_signature.user_inputs)
    nodes = [n for n in program.graph.nodes if n.op == "placeholder" and n.name in wanted]
    ends = [node.meta["val"] for node in nodes]
    example = tuple(torch.zeros(tuple(end.shape), dtype=end.dtype) for end in ends)
    target = folder / "converted.tflite"
    with torch.no_grad(), told_as("litert-torch does not take it", OTHER_FORM, ModelError):
        # without in-place operators, as of torch.tensor(...) in a network, which it cannot trace
        converted = litert_torch.convert(program.run_decompositions({}).module(), example)
        converted.export(str(target))
    names = {f"args_{i}": node.name for i, node in enumerate(nodes)}
    model = in_order(inlined(target.read_bytes()), names, [])
    told = {"inputs": [*names.values()], "ordered": True}
    return model, f"litert-torch {version('litert-torch')}", told


def _quantised(model: bytes, inputs: Sequence[Array]) -> tuple[bytes, str]:
    """An int8 .tflite of a float one."""
    try:
        import litert_quantizer  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"needs litert-quantizer, which is not installed ({error}): run make setup in a "
            "checkout, else pip install litert-quantizer"
        ) from error
    signed = with_signature(model, len(inputs))
    name = f"litert-quantizer {version('litert-quantizer')}"
    with told_as(f"{name} does not take it", OTHER_FORM, ModelError):
        return inlined(_by_litert(signed, inputs)), name


def _by_litert(signed: bytes, inputs: Sequence[Array]) -> bytes:
    from litert_quantizer import calibrator, quantizer, recipe, recipe_manager
    from litert_quantizer.utils.qsv_utils import min_max_update

    tool = quantizer.Quantizer(bytearray(signed))
    tool.load_quantization_recipe(recipe.static_wi8_ai8())
    rules = recipe_manager.RecipeManager()
    rules.load_quantization_recipe(recipe.static_wi8_ai8())
    samples = [{f"input_{i}": v for i, v in enumerate(case)} for case in _cases(inputs)]
    # Its own calibrate() averages the ranges of the cases, which cut off a tenth of an activation.
    ranges = calibrator.Calibrator(
        bytearray(signed),
        num_threads=1,
        mode=calibrator.CalibrationMode.CALIBRATION_PRESERVE_ALL_TENSORS,
        qsv_update_func=min_max_update,
    )
    ranges.calibrate({SIGNATURE: samples}, rules)
    result = tool.quantize(ranges.get_model_qsvs(), enable_progress_report=False)
    return bytes(result.quantized_model)


def to_float(kind: str, path: Path, folder: Path) -> str:
    """Write float.tflite, and what the network says of its inputs into ends.json."""
    if kind == "pytorch":
        model, name, ends = _from_pytorch(path, folder)
    else:
        model, name, ends = _converted(kind, path, None)
    write_bytes(folder / "float.tflite", model)
    write_json(folder / "ends.json", ends)
    return name


def to_int8(kind: str, path: Path, folder: Path) -> str:
    """Write int8.tflite, if it is one that we compile, and what compare writes."""
    inputs, network = stored_inputs(folder), (folder / "float.tflite").read_bytes()
    try:
        if kind in ("keras", "saved_model"):
            model, name, _ = _converted(kind, path, inputs)
        else:
            model, name = _quantised(network, inputs)
    except ModelError:
        run = _FloatNetwork(folder / "float.tflite")
        for number, case in enumerate(_cases(inputs)):
            run.run(number, case)  # where a case is to blame, it says so
        raise
    model = with_ends_of(model, network)
    try:
        compile_graph(parse_model(model))
    except ModelError as error:
        raise ModelError(
            f"{name} has made a model that is not supported: {error}; where it has left an "
            "operator in float, leave that out of the network or give it in another form (Keras)"
        ) from error
    write_bytes(folder / "int8.tflite", model)
    return f"{name}; {compare(folder)}"


class _FloatNetwork:
    """A float .tflite in TensorFlow Lite, which keeps all tensors of a run."""

    def __init__(self, path: Path) -> None:
        from model.networks import tf

        self.graph = read_model(path)
        self.engine = f"TensorFlow Lite {tf.__version__}"
        with told_as(f"{self.engine} does not take the float network", OTHER_FORM, ModelError):
            self._interpreter = tf.lite.Interpreter(
                str(path),
                num_threads=1,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()

    def run(self, number: int, case: Sequence[Array]) -> None:
        """Start anew with a case of the inputs; ModelError that names the case if it fails."""
        self._interpreter.reset_all_variables()
        for index, value in zip(self.graph.inputs, case, strict=True):
            self._interpreter.set_tensor(index, value)
        with told_as(
            f"{self.engine} stops at case {number} of the inputs",
            _inputs_for(self, case),
            ModelError,
        ):
            self._interpreter.invoke()

    def tensor(self, index: int) -> Array:
        """A tensor after the last run."""
        return np.asarray(self._interpreter.get_tensor(index))


def _inputs_for(network: _FloatNetwork, case: Sequence[Array]) -> str:
    """What to do where a case stops the network: most often an index is too large."""
    ranges = ", ".join(
        f"{plain_name(network.graph.tensors[i].name)[:60]} {v.min():g} to {v.max():g}"
        for i, v in zip(network.graph.inputs, case, strict=True)
    )
    tables = [
        network.graph.input(op, 0).shape[0]
        for op in network.graph.operators
        if op.name == "GATHER" and network.graph.input(op, 0).shape
    ]
    rows = f", and the network looks up rows 0 to {min(tables) - 1}" if tables else ""
    return f"that case holds {ranges}{rows}; give inputs that the network is made for"


def compare(folder: Path) -> str:
    """Write layers.json and outputs.npz: float_0, int8_0, ... with int8 dequantised."""
    network = _FloatNetwork(folder / "float.tflite")
    model = (folder / "int8.tflite").read_bytes()
    inputs = stored_inputs(folder)
    layers = Layers(network.graph, parse_model(model), len(inputs[0]))
    device = TfliteMicro(model, preserve_tensors=True)
    for number, case in enumerate(_cases(inputs)):
        device.reset()
        network.run(number, case)
        with told_as(f"TFLite Micro stops at case {number} of the inputs", OTHER_FORM, ModelError):
            device.run(layers.device_inputs(case))
        layers.add(network.tensor, device.tensor)
    write_json(folder / "layers.json", layers.found())
    write_arrays(folder / "outputs.npz", layers.outputs())
    return f"{network.engine}, tflite_micro {version('tflite-micro')}"


TASKS: dict[str, Callable[[str, Path, Path], str]] = {"float": to_float, "int8": to_int8}


if __name__ == "__main__":
    task, kind, path, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
    limit = MAX_PYTORCH_MEMORY if kind == "pytorch" else MAX_MEMORY
    answered(folder, lambda: TASKS[task](kind, path, folder), limit)
