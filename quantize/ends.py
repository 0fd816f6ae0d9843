"""The inputs and outputs of a file that a converter has made: their order, names and signature."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any

from quantize.errors import ModelError

SIGNATURE = "serving_default"


def signature_names(names: Sequence[str]) -> list[str]:
    """The names as a signature of TensorFlow can have them, none twice."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        if not plain[:1].isalpha() or keyword.iskeyword(plain):
            plain = f"input_{plain}"
        lower = {n.lower() for n in found}
        while plain.lower() in lower:
            plain += "_"
        found.append(plain)
    return found


def in_order(model: bytes, inputs: Mapping[str, str], outputs: Sequence[str]) -> bytes:
    """The same model with inputs and outputs in the network's order, and with its names for them.

    The converter sorts them by name: input_10 before input_2. `inputs` are the signature's names in
    the network's order, each with the network's own; `outputs` what the network calls output_0,
    output_1 ... of the signature. Outputs that the signature names itself keep these names.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    tree = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    (signature,), graph = tree.signatureDefs, tree.subgraphs[0]
    places = {entry.name.decode(): entry.tensorIndex for entry in signature.inputs}
    if set(places) != set(inputs):
        raise ModelError(
            f"the converter has made the inputs {', '.join(sorted(places))} of "
            f"{', '.join(inputs)}; give this network in another form, as a float .tflite"
        )
    graph.inputs = [places[name] for name in inputs]
    ends = dict(zip(graph.inputs, inputs.values(), strict=True))
    found = {entry.name.decode(): entry.tensorIndex for entry in signature.outputs}
    numbered = [f"output_{i}" for i in range(len(found))]
    order = numbered if set(found) == set(numbered) else sorted(found)
    if len(found) == len(graph.outputs):  # else it gives one tensor twice
        graph.outputs = [found[name] for name in order]
        names = outputs if order == numbered and len(outputs) == len(order) else order
        ends = dict(zip(graph.outputs, names, strict=True)) | ends
    for index, name in ends.items():
        graph.tensors[index].name = name
    return bytes(flatbuffer_utils.convert_object_to_bytearray(tree))


def with_ends_of(model: bytes, network: bytes) -> bytes:
    """The int8 model with the names that the inputs and outputs of the float network have."""
    from tensorflow.lite.tools import flatbuffer_utils

    trees = [flatbuffer_utils.convert_bytearray_to_object(bytearray(m)) for m in (model, network)]
    (own, given) = (tree.subgraphs[0] for tree in trees)
    for side in ("outputs", "inputs"):
        for number, (mine, theirs) in enumerate(
            zip(getattr(own, side), getattr(given, side), strict=True)
        ):
            sizes = [[*graph.tensors[i].shape] for graph, i in ((own, mine), (given, theirs))]
            if sizes[0] != sizes[1]:
                raise ModelError(
                    f"{side[:-1]} {number} has the shape {sizes[1]}, after conversion {sizes[0]}; "
                    "give this network in another form (Keras, .tflite)"
                )
            own.tensors[mine].name = given.tensors[theirs].name
    return bytes(flatbuffer_utils.convert_object_to_bytearray(trees[0]))


def with_signature(model: bytes, inputs: int) -> bytes:
    """The same model with one signature, of its first subgraph: input_0, input_1, ... output_0.

    Its own ones are left out: they only name what the graph says, and may name it wrongly.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    tree = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    schema = flatbuffer_utils.schema_fb
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    graph = tree.subgraphs[0]
    if len(graph.inputs) != inputs:
        raise ModelError(f"{inputs} inputs for a model that has {len(graph.inputs)}")
    sides = {"inputs": graph.inputs, "outputs": graph.outputs}
    for side, indices in sides.items():
        entries = []
        for number, index in enumerate(indices):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = f"{side[:-1]}_{number}", int(index)
            entries.append(entry)
        setattr(signature, side, entries)
    tree.signatureDefs = [signature]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(tree))


def with_int8_ends(model: bytes, int8: bytes) -> bytes:
    """The model of int16 activations with the input and output of its `int8` sibling.

    A QUANTIZE behind the input and one before the output, so that front end, thresholds and limits
    are those of the sibling. Both have one input and one output.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    tree, sibling = (
        flatbuffer_utils.convert_bytearray_to_object(bytearray(m)) for m in (model, int8)
    )
    schema, graph, ends = flatbuffer_utils.schema_fb, tree.subgraphs[0], sibling.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    code.version = 2  # int16 and int8
    tree.operatorCodes.append(code)

    def quantize(source: int, target: int) -> Any:
        operator = schema.OperatorT()
        operator.opcodeIndex = len(tree.operatorCodes) - 1
        operator.inputs, operator.outputs = [source], [target]
        return operator

    def end(index: int) -> int:
        tensor = ends.tensors[index]
        tensor.buffer = 0
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    ((wide_in,), (wide_out,)) = graph.inputs, graph.outputs
    graph.inputs, graph.outputs = [end(ends.inputs[0])], [end(ends.outputs[0])]
    first = quantize(graph.inputs[0], wide_in)
    last = quantize(wide_out, graph.outputs[0])
    graph.operators = [first, *graph.operators, last]
    tree.signatureDefs = []
    return bytes(flatbuffer_utils.convert_object_to_bytearray(tree))
