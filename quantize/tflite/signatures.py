"""How many inputs and outputs an operator takes, and the number of its table of options.

Source: schema.fbs of the TensorFlow Lite project (BuiltinOptions), and the operators' own checks.
"""

from __future__ import annotations

from dataclasses import dataclass

MANY = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What an operator's lists may look like; `options` is 0 where it has no table of options."""

    inputs: tuple[int, int]  # fewest, most
    outputs: tuple[int, int]
    options: int


# operator: fewest inputs, most inputs, most outputs (fewest is 1 unless that is 0), options
_TABLE = """
ABS 1 1 1 78; ADD 2 2 1 11; ADD_N 1 M 1 82; ARG_MAX 2 2 1 40; ARG_MIN 2 2 1 57
ASSIGN_VARIABLE 2 2 0 113; AVERAGE_POOL_2D 1 1 1 5; BATCH_MATMUL 2 2 1 101
BATCH_TO_SPACE_ND 3 3 1 24; BROADCAST_TO 2 2 1 104; CALL_ONCE 0 0 0 103; CAST 1 1 1 37; CEIL 1 1 1 0
CONCATENATION 1 M 1 10; CONV_2D 2 3 1 1; COS 1 1 1 84; CUMSUM 2 2 1 102; DEPTHWISE_CONV_2D 2 3 1 2
DEPTH_TO_SPACE 1 1 1 94; DEQUANTIZE 1 1 1 38; DIV 2 2 1 29; ELU 1 1 1 0; EQUAL 2 2 1 53
EXP 1 1 1 33; EXPAND_DIMS 2 2 1 52; FILL 2 2 1 68; FLOOR 1 1 1 0; FLOOR_DIV 2 2 1 65
FLOOR_MOD 2 2 1 72; FULLY_CONNECTED 2 3 1 8; GATHER 2 2 1 23; GATHER_ND 2 2 1 83; GELU 1 1 1 116
GREATER 2 2 1 44; GREATER_EQUAL 2 2 1 45; HARD_SWISH 1 1 1 91; L2_NORMALIZATION 1 1 1 12
L2_POOL_2D 1 1 1 5; LEAKY_RELU 1 1 1 75; LESS 2 2 1 41; LESS_EQUAL 2 2 1 46; LOG 1 1 1 0
LOGICAL_AND 2 2 1 62; LOGICAL_NOT 1 1 1 63; LOGICAL_OR 2 2 1 61; LOGISTIC 1 1 1 0
LOG_SOFTMAX 1 1 1 36; MAXIMUM 2 2 1 39; MAX_POOL_2D 1 1 1 5; MEAN 2 2 1 27; MINIMUM 2 2 1 39
MIRROR_PAD 2 2 1 77; MUL 2 2 1 21; NEG 1 1 1 42; NOT_EQUAL 2 2 1 54; PACK 1 M 1 59; PAD 2 2 1 22
PADV2 3 3 1 43; POW 2 2 1 56; PRELU 2 2 1 0; QUANTIZE 1 1 1 89; READ_VARIABLE 1 1 1 112
REDUCE_MAX 2 2 1 27; REDUCE_MIN 2 2 1 27; REDUCE_PROD 2 2 1 27; RELU 1 1 1 0; RELU6 1 1 1 0
RELU_0_TO_1 1 1 1 0; RELU_N1_TO_1 1 1 1 0; RESHAPE 1 2 1 17; RESIZE_BILINEAR 2 2 1 15
RESIZE_NEAREST_NEIGHBOR 2 2 1 74; REVERSE_V2 2 2 1 81; ROUND 1 1 1 0; RSQRT 1 1 1 0; SELECT 3 3 1 47
SELECT_V2 3 3 1 98; SHAPE 1 1 1 55; SIN 1 1 1 0; SLICE 3 3 1 48; SOFTMAX 1 1 1 9
SPACE_TO_BATCH_ND 3 3 1 25; SPACE_TO_DEPTH 1 1 1 19; SPLIT 2 2 M 35; SPLIT_V 3 3 M 79; SQRT 1 1 1 0
SQUARE 1 1 1 66; SQUARED_DIFFERENCE 2 2 1 76; SQUEEZE 1 1 1 30; STRIDED_SLICE 4 4 1 32; SUB 2 2 1 28
SUM 2 2 1 27; SVDF 4 5 1 6; TANH 1 1 1 0; TILE 2 2 1 51; TRANSPOSE 2 2 1 26; TRANSPOSE_CONV 3 4 1 49
UNIDIRECTIONAL_SEQUENCE_LSTM 20 24 1 71; UNPACK 1 1 M 64; VAR_HANDLE 0 0 1 111; ZEROS_LIKE 1 1 1 67
"""


def _signatures() -> dict[str, Signature]:
    rows = [row.split() for row in _TABLE.replace(";", "\n").splitlines() if row.strip()]
    number = {"M": MANY}
    return {
        name: Signature(
            inputs=(int(fewest), number.get(most) or int(most)),
            outputs=(int(outputs != "0"), number.get(outputs) or int(outputs)),
            options=int(options),
        )
        for name, fewest, most, outputs, options in rows
    }


SIGNATURES = _signatures()

# Options that hold a vector, which TFLite Micro follows though we do not need it: operator -> slot.
OPTION_VECTORS = {"RESHAPE": 0, "SQUEEZE": 0}
