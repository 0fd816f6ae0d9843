"""The part of TFLite's schema (version 3) that we read: names, field slots and defaults.

Source: schema.fbs of the TensorFlow Lite project; slots count the fields of a table from 0.
"""

from __future__ import annotations

import numpy as np

TENSOR_TYPES: dict[int, tuple[str, np.dtype | None]] = {
    0: ("float32", np.dtype(np.float32)),
    1: ("float16", np.dtype(np.float16)),
    2: ("int32", np.dtype(np.int32)),
    3: ("uint8", np.dtype(np.uint8)),
    4: ("int64", np.dtype(np.int64)),
    5: ("string", None),
    6: ("bool", np.dtype(np.bool_)),
    7: ("int16", np.dtype(np.int16)),
    8: ("complex64", np.dtype(np.complex64)),
    9: ("int8", np.dtype(np.int8)),
    10: ("float64", np.dtype(np.float64)),
    11: ("complex128", np.dtype(np.complex128)),
    12: ("uint64", np.dtype(np.uint64)),
    13: ("resource", None),
    14: ("variant", None),
    15: ("uint32", np.dtype(np.uint32)),
    16: ("uint16", np.dtype(np.uint16)),
    17: ("int4", np.dtype(np.int8)),  # two to a byte in the file; unpacked when it is read
}

# What has no fixed size counts as nothing; an int4 counts as a whole byte.
ELEMENT_BYTES = {name: dtype.itemsize if dtype else 0 for name, dtype in TENSOR_TYPES.values()}

# Operator codes of schema.fbs, by number. Those without a module in quantize.ops are refused.
_NAMES = """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
    LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1
    RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM
    CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
    SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
    BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM
    CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE
    SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
    ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
    REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
    LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS
    WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
    BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG
    REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
    CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL
    BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD
    UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR
    RIGHT_SHIFT
"""
OPERATOR_NAMES: tuple[str, ...] = tuple(_NAMES.split())

# Options of each operator: field -> (slot, kind, default).
OPTIONS: dict[str, dict[str, tuple[int, str, float]]] = {
    "CONV_2D": {
        "padding": (0, "i8", 0),
        "stride_w": (1, "i32", 0),
        "stride_h": (2, "i32", 0),
        "activation": (3, "i8", 0),
        "dilation_w": (4, "i32", 1),
        "dilation_h": (5, "i32", 1),
    },
    "DEPTHWISE_CONV_2D": {
        "padding": (0, "i8", 0),
        "stride_w": (1, "i32", 0),
        "stride_h": (2, "i32", 0),
        "depth_multiplier": (3, "i32", 0),
        "activation": (4, "i8", 0),
        "dilation_w": (5, "i32", 1),
        "dilation_h": (6, "i32", 1),
    },
    "POOL_2D": {
        "padding": (0, "i8", 0),
        "stride_w": (1, "i32", 0),
        "stride_h": (2, "i32", 0),
        "filter_w": (3, "i32", 0),
        "filter_h": (4, "i32", 0),
        "activation": (5, "i8", 0),
    },
    "FULLY_CONNECTED": {
        "activation": (0, "i8", 0),
        "weights_format": (1, "i8", 0),
        "keep_num_dims": (2, "bool", 0),
    },
    "SOFTMAX": {"beta": (0, "f32", 0.0)},
    "ADD": {"activation": (0, "i8", 0)},
    "SUB": {"activation": (0, "i8", 0)},
    "MUL": {"activation": (0, "i8", 0)},
    "LEAKY_RELU": {"alpha": (0, "f32", 0.0)},
    "SUM": {"keep_dims": (0, "bool", 0)},
    "REDUCE_MAX": {"keep_dims": (0, "bool", 0)},
    "MEAN": {"keep_dims": (0, "bool", 0)},
    "RESHAPE": {},
    "MIRROR_PAD": {"mode": (0, "i8", 0)},
    "CONCATENATION": {"axis": (0, "i32", 0), "activation": (1, "i8", 0)},
    "PACK": {"values_count": (0, "i32", 0), "axis": (1, "i32", 0)},
    "UNPACK": {"num": (0, "i32", 0), "axis": (1, "i32", 0)},
    "SPLIT": {"num_splits": (0, "i32", 0)},
    "GATHER": {"axis": (0, "i32", 0), "batch_dims": (1, "i32", 0)},
    "SPACE_TO_DEPTH": {"block_size": (0, "i32", 0)},
    "DEPTH_TO_SPACE": {"block_size": (0, "i32", 0)},
    "RESIZE_NEAREST_NEIGHBOR": {
        "align_corners": (0, "bool", 0),
        "half_pixel_centers": (1, "bool", 0),
    },
    "STRIDED_SLICE": {
        "begin_mask": (0, "i32", 0),
        "end_mask": (1, "i32", 0),
        "ellipsis_mask": (2, "i32", 0),
        "new_axis_mask": (3, "i32", 0),
        "shrink_axis_mask": (4, "i32", 0),
        "offset": (5, "bool", 0),
    },
    "BATCH_MATMUL": {"adj_x": (0, "bool", 0), "adj_y": (1, "bool", 0)},
    "RESIZE_BILINEAR": {"align_corners": (2, "bool", 0), "half_pixel": (3, "bool", 0)},
    "SVDF": {"rank": (0, "i32", 0), "activation": (1, "i8", 0)},
    "CALL_ONCE": {"subgraph": (0, "i32", 0)},
    "UNIDIRECTIONAL_SEQUENCE_LSTM": {
        "activation": (0, "i8", 0),
        "cell_clip": (1, "f32", 0.0),
        "time_major": (3, "bool", 0),
        "diagonal": (5, "bool", 0),
    },
    "TRANSPOSE_CONV": {
        "padding": (0, "i8", 0),
        "stride_w": (1, "i32", 0),
        "stride_h": (2, "i32", 0),
        "activation": (3, "i8", 0),
    },
}
OPTIONS["AVERAGE_POOL_2D"] = OPTIONS["MAX_POOL_2D"] = OPTIONS.pop("POOL_2D")
