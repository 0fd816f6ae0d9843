"""What is said of an operator that we do not compile: why, and what people do instead."""

from __future__ import annotations

# What TFLite Micro registers of those that are not in quantize.ops.OPS
# (micro_mutable_op_resolver.h).
_MICRO = """
    BROADCAST_ARGS CEIL COS EXP FLOOR FLOOR_DIV FLOOR_MOD IF L2_POOL_2D LOG ROUND
    SHAPE SIN WHILE
"""
MICRO = frozenset(_MICRO.split())
# Of these it has no kernel but for float32; docs/OPERATORS.md has the types of all.
FLOAT_ONLY = MICRO - {"BROADCAST_ARGS", "IF", "SHAPE", "WHILE"}

FLEX = (
    "it is TensorFlow's own (a select op), which no microcontroller runtime has; convert with "
    "target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8], and replace what fails"
)
ADVICE = {
    "BROADCAST_ARGS": "shapes of constants are evaluated, these are computed at run time, and "
    "TFLite Micro aborts where they do not fit; export with all dimensions fixed (batch_size=1)",
    "TILE": "UpSampling2D with interpolation='nearest' and tf.repeat become it: use "
    "interpolation='bilinear', or Conv2DTranspose",
    "SELECT": "the Embedding layer of Keras 3 becomes it: give its .keras to `make quantise`, or "
    "look rows up with tf.gather",
    "WHILE": "a recurrent layer became a loop: build it with unroll=True, or as a Keras LSTM "
    "converted with a fixed batch of 1, which becomes UNIDIRECTIONAL_SEQUENCE_LSTM",
    "IF": "export a model without branches",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "use one direction",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "use an LSTM, or unroll=True",
    "GELU": "write it out as x * sigmoid(1.702 * x), or its tanh form, which stay int8",
    "TOPK_V2": "leave the choice of the best to the program: end the model before it",
    "NON_MAX_SUPPRESSION_V4": "end the model before it and choose boxes in the program",
    "NON_MAX_SUPPRESSION_V5": "end the model before it and choose boxes in the program",
    "CONV_3D": "use Conv2D, with time as rows or channels",
    "RFFT2D": "compute the spectrum in front of the model",
    "FAKE_QUANT": "a training graph: convert it with the int8 settings of TFLiteConverter",
    "DENSIFY": "a sparse model: export it dense (strip_pruning)",
    "HASHTABLE": "look strings up in the program; end the model before it",
}


def why_not(name: str, dtypes: frozenset[str]) -> str:
    """Why `name` is not compiled with tensors of `dtypes`, and what to do; in one line."""
    told = ADVICE.get(name)
    if name.startswith("CUSTOM"):
        custom = name.removeprefix("CUSTOM").strip(" '\"")
        if custom.startswith("Flex"):
            return FLEX
        return "a custom operator has no definition to prove anything by; use built-in ones"
    if name not in MICRO:
        return f"TFLite Micro has no {name}; {told or 'replace it when building the model'}"
    if name in FLOAT_ONLY and not dtypes & {"float32"}:
        return f"TFLite Micro has {name} in float32 only; {told or 'replace it'}"
    return told or "tinyproof has no kernel for it yet; replace it when building the model"
