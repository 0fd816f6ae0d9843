/* Parameters of the kernels.
 *
 * Conventions: tensors are dense, row-major, NHWC; sizes are in elements;
 * an offset is the negated zero point of an input, or the zero point of the
 * output; act_min and act_max clamp the output to its type's range or less. Pointers
 * in a struct are constants that live in flash. Nothing here is checked at run
 * time: the code generator has validated every value.
 */
#ifndef NN_TYPES_H
#define NN_TYPES_H

#include <stdint.h>

/* A positive real factor multiplier * 2^(shift - 31); for sums of 64 bits, of
 * int16 values, multiplier * 2^(shift - 15). */
typedef struct {
    int32_t multiplier; /* 0, or 2^30 .. 2^31 - 1; of sums of 64 bits 2^14 .. 2^15 - 1 */
    int32_t shift;      /* -31 .. 30; of sums of 64 bits at most 7; above 0 shifts left */
} nn_requant_t;

typedef struct {
    int32_t n, h, w, c;
} nn_shape_t;

/* One axis of a strided walk: `count` steps of `stride` elements. */
typedef struct {
    int32_t count;
    int32_t stride;
} nn_axis_t;

/* Where a window of kernel_h x kernel_w starts over the input. */
typedef struct {
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_h, pad_w; /* rows above, columns to the left */
} nn_window_t;

typedef struct {
    nn_shape_t input, output;
    nn_window_t window;
    int32_t input_offset, output_offset, act_min, act_max;
    int32_t outputs; /* channels of one call of a convolution; depthwise: of one input channel */
    const int8_t *weights;       /* convolution [out_c][kh][kw][in_c]; depthwise [kh][kw][out_c] */
    const int32_t *bias;         /* [out_c] */
    const int64_t *bias64;       /* [out_c], in the place of bias: int16 only, sums of 64 bits */
    const nn_requant_t *requant; /* [out_c] */
} nn_conv_t;

typedef struct {
    int32_t batches, input_depth, output_depth;
    int32_t input_offset, output_offset, act_min, act_max;
    const int8_t *weights;       /* [output_depth][input_depth] */
    const int32_t *bias;         /* [output_depth] */
    const int64_t *bias64;       /* [output_depth], in the place of bias: int16 only, as above */
    const nn_requant_t *requant; /* [output_depth] */
} nn_fully_connected_t;

#define NN_MATMUL_BATCH_AXES 3
/* Elements from one batch, row and column of a matrix to the next. */
typedef struct {
    int32_t batch[NN_MATMUL_BATCH_AXES]; /* outer to inner, 0 where the operand repeats */
    int32_t row, column;
    int32_t offset;
} nn_matrix_t;

typedef struct {
    int32_t batches[NN_MATMUL_BATCH_AXES]; /* outer to inner, unused ones 1 */
    int32_t rows, depth, columns;
    nn_matrix_t a, b; /* [rows][depth], [depth][columns] */
    int32_t output_offset;
    nn_requant_t requant;
} nn_batch_matmul_t;

typedef struct {
    nn_shape_t input, output;
    nn_window_t window; /* dilation 1 */
    int32_t act_min, act_max;
} nn_pool_t;

typedef struct {
    nn_shape_t input, output;
    int32_t step_h, step_w; /* from one output to the next, in 1/1024 of an input position */
    int32_t origin_h, origin_w;
} nn_resize_t;

#define NN_REDUCE_AXES 4
typedef struct {
    nn_axis_t kept[NN_REDUCE_AXES];    /* outer to inner, unused ones {1, 0} */
    nn_axis_t reduced[NN_REDUCE_AXES]; /* outer to inner, unused ones {1, 0} */
    int32_t input_offset_sum;          /* input offset times the number of summed elements */
    int32_t output_offset;
    nn_requant_t requant; /* of a mean: with 1 / number of summed elements folded in */
} nn_mean_t;

typedef struct {
    nn_axis_t kept[NN_REDUCE_AXES];    /* outer to inner, unused ones {1, 0} */
    nn_axis_t reduced[NN_REDUCE_AXES]; /* outer to inner, unused ones {1, 0} */
} nn_reduce_t;

typedef struct {
    int32_t outer, count, inner; /* the input's shape; `count` is searched */
    int32_t sign;                /* 1 finds the maximum, -1 the minimum */
} nn_arg_max_t;

#define NN_BROADCAST_AXES 6
typedef struct {
    int32_t count[NN_BROADCAST_AXES];    /* output dimensions, outer to inner */
    int32_t stride_a[NN_BROADCAST_AXES]; /* 0 where the input repeats */
    int32_t stride_b[NN_BROADCAST_AXES];
} nn_broadcast_t;

typedef struct {
    nn_broadcast_t walk;
    int32_t a_offset, b_offset, output_offset, act_min, act_max;
    int32_t left_shift;
    int32_t b_sign; /* 1, or -1 to subtract b; not for nn_squared_difference_s8 */
    nn_requant_t a_requant, b_requant, output_requant;
} nn_add_t;

typedef struct {
    nn_broadcast_t walk;
    int32_t a_offset, b_offset, output_offset, act_min, act_max;
    nn_requant_t requant;
} nn_mul_t;

typedef struct {
    nn_broadcast_t walk;
    int32_t a_offset, alpha_offset, output_offset;
    nn_requant_t requant;       /* of an input of at least 0 */
    nn_requant_t alpha_requant; /* of a negative input times alpha */
} nn_prelu_t;

typedef struct {
    int32_t inverse; /* 1 / divisor without its power of two, with its sign */
    int32_t right;   /* the shift that is left, -22 .. 0 */
} nn_divisor_t;

typedef struct {
    nn_broadcast_t walk;
    const nn_divisor_t *divisors;
    int32_t input_offset, output_offset, multiplier, act_min, act_max;
} nn_div_t;

typedef enum { NN_S8, NN_U8, NN_S16, NN_S32, NN_S64, NN_F32 } nn_type_t;

#define NN_COPY_AXES 6
typedef struct {
    int32_t count[NN_COPY_AXES];         /* outer to inner, each at least 1 */
    int32_t input_stride[NN_COPY_AXES];  /* bytes */
    int32_t output_stride[NN_COPY_AXES]; /* bytes */
    int32_t input_offset, output_offset; /* of the first run, bytes */
    int32_t run_bytes;                   /* contiguous on both sides */
} nn_copy_t;

typedef struct {
    int32_t count; /* bytes */
    int32_t value; /* of each byte, -128 .. 127 */
} nn_fill_t;

typedef struct {
    int32_t bytes; /* a multiple of 4 */
} nn_move_t;

typedef struct {
    int32_t outer, rows, columns;
    int32_t outer_stride;         /* of the input, bytes */
    int32_t run_bytes;            /* contiguous on both sides */
    const int32_t *row_offset;    /* [rows] into the input, bytes */
    const int32_t *column_offset; /* [columns] from the row, bytes */
} nn_gather_t;

#define NN_PICK_COORDINATES 5
typedef struct {
    int32_t batches, outer, count;       /* indices [batches][count], for each of `outer` blocks */
    int32_t coordinates;                 /* of an index */
    int32_t stride[NN_PICK_COORDINATES]; /* of each coordinate, bytes */
    int32_t block_bytes;                 /* of the input, for one batch and outer index */
    int32_t run_bytes;                   /* contiguous on both sides */
} nn_pick_t;

typedef struct {
    int32_t bytes;                /* of the whole tensor */
    int32_t axes;                 /* of the tensor, the part and the place */
    int32_t room[NN_COPY_AXES];   /* the last place along each axis */
    int32_t stride[NN_COPY_AXES]; /* of the output, bytes */
    nn_type_t place;              /* NN_S32 or NN_S64 */
    nn_copy_t part;               /* at the first place */
} nn_update_slice_t;

typedef struct {
    int32_t count;
    nn_requant_t requant; /* of 1 / sqrt(x) * 2^20 */
} nn_rsqrt_t;

typedef struct {
    int32_t count;
    const int8_t *table; /* [256], for -128 first */
} nn_lut_t;

typedef struct {
    int32_t count;
    int32_t negative_sign; /* -1 takes the size of a negative input */
    int32_t act_min, act_max;
    nn_requant_t requant;          /* of an input of at least 0 */
    nn_requant_t negative_requant; /* of a negative one */
} nn_slopes_t;

#define NN_SIGMOID_ENTRIES 256
typedef struct {
    int32_t count;
    int32_t multiplier;    /* 0 .. 32767 */
    int32_t right_shift;   /* 0 .. 31 */
    const uint16_t *table; /* [NN_SIGMOID_ENTRIES], 1 / (1 + exp(-k / 24)) in Q0.16 */
} nn_sigmoid_t;

typedef struct {
    int32_t count;
    int32_t input_offset, output_offset;
    nn_requant_t requant;
    nn_type_t input_type, output_type; /* nn_rescale only */
} nn_rescale_t;

typedef struct {
    int32_t count;
    const int32_t *thresholds; /* [255], ascending: bits of floats in the kernel's order */
} nn_quantize_t;

typedef struct {
    int32_t count;
    const float *values; /* [256], for the byte of int8 -128 first */
} nn_dequantize_t;

typedef struct {
    int32_t count;
    int32_t zero_point;
    uint32_t scale_bits; /* of a float of 2^-100 .. 2^64 */
} nn_float_edge_t;

typedef struct {
    int32_t rows, depth;
    int32_t multiplier, left_shift; /* input scale times beta in Q5.26 */
    int32_t diff_min;               /* a smaller difference to the row's maximum gives 0 */
} nn_softmax_t;

typedef struct {
    nn_softmax_t softmax;
    nn_requant_t back; /* from Q5.26 to the input's steps */
} nn_log_softmax_t;

typedef struct {
    int32_t rows, depth;
    nn_requant_t requant;            /* input scale times beta in units of 10 / 65535 */
    const int16_t *exp_table;        /* [513], exp over -10 .. 0 in Q0.15 */
    const int16_t *reciprocal_table; /* [513], 1 / (1 + x) over 0 .. 1 in Q0.15 */
} nn_softmax_s16_t;

typedef struct {
    int32_t batches, input_depth, units;
    int32_t rank;        /* filters of a unit */
    int32_t memory;      /* values that a filter remembers, the newest last */
    int32_t state_bytes; /* of an element of the state and of the time weights: 1 or 2 */
    int32_t input_offset, state_zero_point, output_offset;
    const int8_t *feature_weights; /* [units * rank][input_depth] */
    const void *time_weights;      /* [units * rank][memory] */
    const int32_t *bias;           /* [units] */
    nn_requant_t state_requant, output_requant;
} nn_svdf_t;

typedef struct {
    const int8_t *input_weights;                   /* [units][input_depth] */
    const int8_t *recurrent_weights;               /* [units][units] */
    const int32_t *bias;                           /* [units] */
    nn_requant_t input_requant, recurrent_requant; /* to Q3.12 */
} nn_lstm_gate_t;

typedef struct {
    int32_t batches, steps, input_depth, units;
    int32_t batch_rows, step_rows; /* rows of input and output from one to the next */
    nn_lstm_gate_t input_gate, forget_gate, cell_gate, output_gate;
    int32_t input_offset;
    int32_t hidden_offset;               /* the zero point of output and hidden state */
    int32_t cell_clip;                   /* 0 .. 32767; 32768 does not clip */
    int32_t tanh_multiplier, tanh_shift; /* of the cell state to 1 / 12288; shifts right */
    nn_requant_t forget_requant, update_requant, output_requant;
    const uint16_t *sigmoid; /* [NN_SIGMOID_ENTRIES], see nn_sigmoid.h */
} nn_lstm_t;

/* Numbers without a scale; what the names mean stands in the kernels. A bool is an NN_U8. */
typedef enum {
    NN_I_ADD,
    NN_I_SUB,
    NN_I_MUL,
    NN_I_DIV,
    NN_I_SQUARED_DIFFERENCE,
    NN_I_MAXIMUM,
    NN_I_MINIMUM,
    NN_I_LOGICAL_AND,
    NN_I_LOGICAL_OR
} nn_integer_function_t;

typedef struct {
    nn_broadcast_t walk;
    nn_integer_function_t function;
    nn_type_t type;           /* NN_S32, NN_S64 for a maximum or minimum, or NN_U8 for a truth */
    int32_t act_min, act_max; /* not of NN_S64 */
} nn_binary_int_t;

#define NN_SUM_SHIFT 20 /* bits of head room that inputs get before rescaling */
typedef struct {
    int32_t outer, count, inner; /* the shape; `count` is summed along */
    int32_t exclusive, reverse;  /* 0 or 1 */
    int32_t input_offset, output_offset;
    nn_requant_t input_requant, output_requant;
} nn_cumsum_t;

typedef struct {
    int32_t start, count; /* the elements of this call */
    int32_t first, last;  /* whether this is the first input, the last one */
    int32_t input_offset, output_offset;
    nn_requant_t input_requant, output_requant;
} nn_add_n_t;

typedef struct {
    int32_t rows, depth; /* each row is normalised */
    int32_t input_offset;
} nn_l2_normalization_t;

#define NN_COMPARE_SHIFT 8
typedef struct {
    nn_broadcast_t walk;
    nn_type_t type;             /* NN_U8 is bool; no NN_S16 */
    int32_t accepted;           /* sum of 1 a < b, 2 a == b, 4 a > b, 8 one is a NaN */
    int32_t a_offset, b_offset; /* NN_S8 only, as the next */
    nn_requant_t a_requant, b_requant;
} nn_compare_t;

#define NN_SELECT_AXES 6
typedef struct {
    int32_t count[NN_SELECT_AXES];            /* outer to inner */
    int32_t stride_condition[NN_SELECT_AXES]; /* bytes */
    int32_t stride_a[NN_SELECT_AXES];         /* bytes */
    int32_t stride_b[NN_SELECT_AXES];         /* bytes */
    int32_t element_bytes;
} nn_select_t;

typedef struct {
    int32_t count;
    nn_type_t input_type, output_type; /* no NN_S64; no NN_U8 as output but with flip */
    int32_t flip;                      /* 1 exchanges false and true, of NN_U8; else 0 */
} nn_cast_t;

/* Single precision; what the names mean stands in the kernels. */
typedef enum {
    NN_F_ADD,
    NN_F_SUB,
    NN_F_MUL,
    NN_F_DIV,
    NN_F_SQUARED_DIFFERENCE,
    NN_F_MAXIMUM,
    NN_F_MINIMUM,
    NN_F_PRELU
} nn_binary_function_t;

typedef struct {
    nn_broadcast_t walk;
    nn_binary_function_t function;
    float act_min, act_max;
} nn_binary_f32_t;

typedef enum {
    NN_F_ABS,
    NN_F_NEG,
    NN_F_SQRT,
    NN_F_RSQRT,
    NN_F_SQUARE,
    NN_F_RELU,
    NN_F_RELU6,
    NN_F_LEAKY_RELU
} nn_unary_function_t;

typedef struct {
    int32_t count;
    nn_unary_function_t function;
    float alpha; /* NN_F_LEAKY_RELU only */
} nn_unary_f32_t;

typedef enum { NN_F_SUM, NN_F_MEAN, NN_F_REDUCE_MAX } nn_reduce_function_t;

typedef struct {
    nn_axis_t kept[NN_REDUCE_AXES];    /* outer to inner, unused ones {1, 0} */
    nn_axis_t reduced[NN_REDUCE_AXES]; /* outer to inner, unused ones {1, 0} */
    nn_reduce_function_t function;
    float count; /* of the elements that one output is made of */
} nn_reduce_f32_t;

#endif
