/* Kernels on packed weights: what the code generator calls on cores with fast 16-bit products.
 *
 * A convolution runs four pixels at a time. Their inputs are gathered as 16-bit values, and the
 * channels' weights come as one stream that is read from front to back. A depthwise convolution
 * runs four channels at a time, over pairs of rows.
 */
#ifndef NN_PACKED_H
#define NN_PACKED_H

#include "nn_quad.h"
#include "nn_taps.h"
#include "nn_types.h"

/* Contiguous parts of a window. Inputs come run by run in words of four, the last of which may hold
 * up to three that have no weight. With `tail`, there are three runs, each with one more input:
 * these make up a word at the end. */
typedef struct {
    int32_t step;  /* bytes from the end of a run's words to the next run */
    int32_t words; /* of a run; not 0 */
    int32_t bytes; /* from the first run to where one behind the last would begin */
    int32_t tail;  /* bytes from a run to the next, or 0 */
} nn_runs_t;

typedef struct {
    nn_sizes_t size;
    uint16_t rows;                   /* of the input kept in scratch; 0: they are read in place */
    uint16_t parts;                  /* of a window, that have runs of their own */
    int32_t row_bytes, inside_bytes; /* of such a row, all and what comes from the input */
    int32_t part_bytes;              /* from a part to the next */
    nn_runs_t runs;
    nn_quad_t quad;
} nn_conv_packed_t;

/* Columns of pixels that are widened: each has words of four channels, the last of which may have
 * no weight. */
typedef struct {
    int32_t words, gap_bytes; /* from a column's end to the next, of what is written */
    int32_t back_bytes;       /* from a pixel's last word to the next pixel */
} nn_widen_t;

/* Columns of four pixels each, `pixels` in the first: four inputs of each of them at a time, of
 * bytes 0 to 3 first the steps (0, 2), then the steps (1, 3). */
void nn_widen_quad_s8(uint32_t *x, const int8_t *const *pixels, int32_t columns,
                      const nn_widen_t *p);

/* Move words towards lower addresses, eight at a time: the last ones of these may lie behind the
 * end. */
void nn_move_words_s8(uint32_t *to, const uint32_t *from, const uint32_t *end);

/* Append the runs of the windows of four pixels, which `pixels` point to, widened in the same order
 * to x. Returns where the next inputs go. */
uint32_t *nn_gather_quad_s8(uint32_t *x, const int8_t *const *pixels, const nn_runs_t *runs);

/* scratch: 16 * steps bytes, 4 * steps with less than four pixels; then rows * row_bytes + 4. The
 * output may lie on the input where quantize/lowering says so. */
void nn_conv_2d_packed_s8(const nn_conv_packed_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch);

/* The same with a copy of the stream behind that, at a multiple of NN_ALIGNMENT. */
void nn_conv_2d_packed_in_ram_s8(const nn_conv_packed_t *p, const int8_t *input, int8_t *output,
                                 int8_t *scratch);

/* A convolution of 1 x 1. A channel in the stream, in words: what its sum v begins with; weights
 * << (p - 8), of each four inputs halfwords of (0, 2) and (1, 3), 4 words for nn_few_8_s8 and 8 for
 * nn_few_16_s8; multiplier. An output is v * multiplier >> (32 + NN_CODE_BITS), v as in
 * nn_depthwise_group_s8. */
typedef struct nn_few nn_few_t;
struct nn_few {
    const int32_t *stream;
    int32_t channels;          /* of the output */
    int32_t pixels;            /* of a line, not 0 */
    int32_t pixel_bytes;       /* of the input, from one to the next */
    int32_t lines, line_bytes; /* of the input, from one to the next */
    int32_t inputs;            /* the others that a kernel reads have no weight */
    int32_t words;             /* of the stream */
    void (*kernel)(const nn_few_t *p, const int8_t *input, int8_t *output);
};

#define NN_FEW_INPUTS 16

/* All channels of the pixels of a line, which are read 8 or 16 bytes at a time. */
void nn_few_8_s8(const nn_few_t *p, const int8_t *input, int8_t *output);
void nn_few_16_s8(const nn_few_t *p, const int8_t *input, int8_t *output);

/* scratch: 4 * words bytes. */
void nn_conv_2d_few_s8(const nn_few_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

/* The outputs of a transposed convolution with the same rests of y and x: a window of the input. */
typedef struct {
    int32_t at;            /* words of the stream before theirs */
    int32_t rows, columns; /* of the window */
    int32_t words;         /* of a row of the window, the last one padded */
} nn_phase_t;

typedef struct {
    nn_shape_t input, output;
    nn_window_t window;       /* over the output, dilation 1 */
    int32_t pad_value;        /* the input's zero point */
    int32_t x_bytes;          /* of the largest window, for four pixels */
    int32_t rows, row_bytes;  /* of the input in scratch: those of the highest window */
    int32_t left;             /* columns before the image */
    const nn_phase_t *phases; /* [stride_h][stride_w] */
    nn_quad_t quad;           /* steps: the most of a window */
} nn_transpose_packed_t;

/* scratch: x_bytes, then rows * row_bytes. */
void nn_transpose_conv_packed_s8(const nn_transpose_packed_t *p, const int8_t *input,
                                 int8_t *output, int8_t *scratch);

/* A fully connected layer, four output channels A, B, C, D at a time. A group in the stream, in
 * words: first values of 256 * A + B, 256 * C + D, B and D; then for each step 256 * a + b and
 * 256 * c + d. A group in requant: four shifts, one a byte; multiplier and constant of each. */
typedef struct {
    const int32_t *stream;
    const int32_t *requant; /* for NN_SIGN */
    uint16_t requant_bytes; /* from one group to the next; 0: all have the same */
    uint16_t steps;         /* of two inputs each; a multiple of 4 */
    uint16_t batches, input_depth, output_depth;
} nn_dense_t;

#define NN_GROUP 4 /* output channels */

/* One vector times `groups` groups. x: 2 * steps inputs: int8, or for nn_dense_wide_s8 int16, of
 * each four first 0 and 2, then 1 and 3. */
typedef void nn_dense_kernel_t(const nn_dense_t *p, const void *x, int8_t *output, int32_t groups);
void nn_dense_s8(const nn_dense_t *p, const void *x, int8_t *output, int32_t groups);
void nn_dense_wide_s8(const nn_dense_t *p, const void *x, int8_t *output, int32_t groups);

#define NN_EIGHT 8 /* output channels */

/* The same for eight channels A to H, all channels with one requantisation. The stream begins with
 * its shift in the lowest byte and the number of vectors above that, its multiplier and its
 * constant. A group, in words: first values of 256 * A + B, 256 * C + D, 256 * E + F, 256 * G + H,
 * B, D, F and H; then for each eight inputs 16 words, the last one first: 256 * a + b, ...,
 * 256 * g + h of inputs 4 and 6, of 5 and 7, of 0 and 2, and of 1 and 3. */
typedef struct {
    const int32_t *stream;
    uint16_t steps; /* of two inputs each; a multiple of 4. Vectors lie side by side */
    uint16_t output_depth;
} nn_dense_eight_t;

/* One of these for all output channels. */
void nn_dense_outputs_s8(const nn_dense_t *p, const void *x, int8_t *output,
                         nn_dense_kernel_t *kernel);

void nn_fully_connected_packed_s8(const nn_dense_t *p, const int8_t *input, int8_t *output);
void nn_fully_connected_eight_s8(const nn_dense_eight_t *p, const int8_t *input, int8_t *output);

/* scratch: 4 * steps bytes. */
void nn_fully_connected_wide_s8(const nn_dense_t *p, const int8_t *input, int8_t *output,
                                int8_t *scratch);

/* A group in the stream, in words: first values of A, B, C and D; then, of the inputs rounded up to
 * a multiple of 8, for each step 256 * a + b and 256 * c + d. */
typedef struct {
    const int32_t *stream;
    const nn_requant_t *requant; /* [output_depth], or of all */
    int32_t requant_step;        /* from one output to the next: 1, or 0 where all have the same */
    const int32_t *missing; /* channel and input whose weight is one less, channels ascending */
    int32_t missing_count;
    int32_t chunk; /* inputs whose sums fit 24 bits; a multiple of 8 */
    int32_t batches, input_depth, output_depth;
    int32_t output_offset, act_min, act_max;
} nn_dense_chunks_t;

#define NN_DENSE_BLOCK 8 /* inputs at a time */

/* Add the products of 2 * steps inputs, a multiple of 8, to the sums of four channels. Returns
 * where the stream goes on. */
const int32_t *nn_dense_sums_s8(const int32_t *stream, const int8_t *x, int32_t steps,
                                int32_t *sums);

void nn_fully_connected_chunks_s8(const nn_dense_chunks_t *p, const int8_t *input, int8_t *output);

/* How the sum of a gate becomes Q3.12, by the reference's own rounding: to 16 bits
 *     clamp((round((2 * sum << left) * multiplier / 2^32) + (sum >> 31) + constant) >> right)
 * The sign counts, and the constant rounds, where it is rescaled to the right: 1 .. 31. */
typedef struct {
    int32_t multiplier, constant;
    uint32_t shift; /* the lowest byte: right, the next: left, then 1 where the sign counts */
} nn_gate_requant_t;

/* An LSTM, a unit with its four gates at a time: input, forget, cell and output are A to D of a
 * group in nn_dense_t's stream. A unit in the stream: a group on the input, one on the hidden
 * state. Some fields are the same for all, so that LDM gets them with their neighbours. */
typedef struct nn_lstm_packed nn_lstm_packed_t;
struct nn_lstm_packed {
    int32_t units;
    const int32_t *stream;
    int32_t input_bytes, hidden_bytes;                 /* of the widened values, multiples of 8 */
    nn_gate_requant_t input[NN_GROUP], past[NN_GROUP]; /* of A, C, B and D */
    int32_t three;                                     /* from Q3.12 to units of 1 / 12288 */
    const int16_t *odd; /* the table of nn_sigmoid.h, less 1 / 2, from -NN_SIGMOID_ENTRIES to
                           NN_SIGMOID_ENTRIES, constant at the ends; odd[0] is its middle */
    int32_t halves, half_q9, logistic;           /* 65535, 1 << 9, (1 << 24) + (1 << 9) */
    int32_t update, half_q8, tanh, update_shift; /* (1 << shift) / 2 + 1; 1 << 8, 1 << 7; 16 .. 31,
                                                    from Q0.30 */
    int32_t tanh_multiplier, tanh_constant, tanh_shift;       /* of the cell state to 1 / 12288 */
    int32_t output_multiplier, output_constant, output_shift; /* as NN_SIGN */
    int32_t cell_low, cell_high;
    int32_t batches, steps, input_depth;
    int32_t batch_rows, step_rows; /* rows of input and output from one to the next */
    void (*step)(const nn_lstm_packed_t *p, const uint32_t *x, int16_t *cell, int8_t *output);
};

/* A step of all units. x: the widened input, then the hidden state. All gates are rescaled to the
 * right. */
void nn_lstm_units_s8(const nn_lstm_packed_t *p, const uint32_t *x, int16_t *cell, int8_t *output);

/* The same, rescaled to the right or not. */
void nn_lstm_units_any_s8(const nn_lstm_packed_t *p, const uint32_t *x, int16_t *cell,
                          int8_t *output);

/* scratch: input_bytes + hidden_bytes. */
void nn_lstm_packed_s8(const nn_lstm_packed_t *p, const int8_t *input, int8_t *hidden,
                       int16_t *cell, int8_t *output, int8_t *scratch);

/* An SVDF behind its features, which a fully connected layer has computed without the state's zero
 * point. The stream has for each unit the first value of its sum, then for each filter its weights,
 * zeros up to a multiple of four. The last word of a filter holds `last_bytes` of it, then bytes of
 * the next one. */
typedef struct {
    int32_t units, rank; /* filters = units * rank */
    const int32_t *stream;
    int32_t words;      /* of a filter, before the last one */
    uint32_t old, next; /* bits of the last word: past values but the newest, the next one's */
    int32_t zero_point, place; /* bits below the newest value in the last word */
    int32_t last_bytes;        /* 1 .. 4 */
    int32_t multiplier, shift; /* the reference's, to the right: 1 .. 31 */
    int32_t output_offset;
    int32_t batches, filters;
} nn_svdf_packed_t;

int8_t *nn_svdf_units_s8(const nn_svdf_packed_t *p, int8_t *state, int8_t *output,
                         const int8_t *newest);

/* newest: [batches, filters]; the output may lie on it. */
void nn_svdf_packed_s8(const nn_svdf_packed_t *p, void *state, int8_t *output, int8_t *newest);

/* A product of matrices, two rows times two columns at a time; rounded as NN_SIGN, exact for all
 * sums below 2^30. */
typedef struct {
    nn_batch_matmul_t matrices;
    int32_t quads; /* of four values each, in a row of a and in a column of b */
    int32_t block; /* columns of b that are widened at a time; even */
    int32_t multiplier, constant, shift;
} nn_batch_matmul_packed_t;

/* sums: of row 0 and row 1 times column 0, then times column 1. rows, columns: of the two, value by
 * value widened and in pairs (0, 2) and (1, 3) of each four, two words of the first, then of the
 * second: the pairs (0, 2) of both, then (1, 3) of both. */
void nn_four_sums_s16(const uint32_t *rows, const uint32_t *columns, int32_t quads, int32_t *sums);

/* The same for `pairs` pairs of columns, rounded: the outputs of row 0, and of row 1 behind a row
 * of the output. */
void nn_two_rows_s8(const nn_batch_matmul_packed_t *p, const uint32_t *rows,
                    const uint32_t *columns, int8_t *output, int32_t pairs);

/* scratch: 8 * quads * (2 + block) bytes. */
void nn_batch_matmul_packed_s8(const nn_batch_matmul_packed_t *p, const int8_t *a, const int8_t *b,
                               int8_t *output, int8_t *scratch);

/* Up to four channels that lie side by side. In their stream come two words of each, then nine
 * weights of each, row by row. The first word is what its sum begins with, the second its
 * multiplier, with p - NN_LEAST_BITS in the upper two bits. Scratch begins with NN_CHANNEL_WORDS a
 * channel, which the kernel fills in, of weights as halfwords << (p - 8). Behind them lies the
 * ring, whose words hold two inputs of a channel as halfwords 256 * input. Its borders hold the
 * zero point. In words, with stride 1:
 *
 *   6 a channel    of each column of its weights those of rows (0, 1), of rows (1, 2)
 *   2              its two words, the second without p
 *   12 a column    pairs of rows 2k and 2k + 1 of the padded image: even, odd, even again
 *
 * With stride 2, without gaps between channels:
 *
 *   5 a channel    weights (0, 1) of each row; weight 2 of the first and of the third row; of the
 *                  second row
 *   2              its two words, the second without p
 *   20 a pair      of columns 2k and 2k + 1 of the padded image: places for five rows */
typedef struct {
    const int32_t *stream; /* of the first channel that is computed */
    const int8_t *input;   /* of 4 channels; the last `channels` of them are computed */
    int8_t *output;        /* of the first channel that is computed */
    int32_t *scratch;
    int32_t channels;
} nn_depthwise_group_t;

#define NN_GROUP_WORDS 17 /* of the stream, of four channels */
#define NN_CHANNEL_WORDS 8
#define NN_LEAST_BITS 9 /* of p */
#define NN_SIGN_BITS 10 /* p of the kernels that round by the sign */
#define NN_CODE_BITS 12 /* of the upper word of a product, below an output */
#define NN_COLUMN_WORDS 12
#define NN_RING_PAIR_WORDS 20

/* By how much the weights of a channel are shifted, and its multiplier, from its second word. */
static inline uint32_t nn_weight_shift(int32_t second)
{
    return NN_LEAST_BITS - 8 + ((uint32_t)second >> 30);
}

static inline int32_t nn_plain_multiplier(int32_t second)
{
    return second & 0x3FFFFFFF;
}

/* Depthwise, windows of 3 x 3, dilation 1, one output for each input channel. */
typedef struct nn_depthwise_packed nn_depthwise_packed_t;
struct nn_depthwise_packed {
    uint16_t images, height, width, depth; /* of the input */
    uint16_t out_height, out_width;
    uint16_t inside;       /* columns of the input that windows reach */
    uint16_t ring;         /* words of it */
    uint8_t borders, left; /* of these: what no group fills, the part of it before the image */
    uint8_t pad_h, pad_w;
    uint8_t block;         /* columns of the output at a time: 1 to 6 */
    uint8_t form;          /* of int16: NN_WIDE or NN_WIDE_RELU */
    int8_t zero_point;     /* of the input */
    int8_t out_zero_point; /* of the output */
    const int32_t *stream; /* of four channels after another */
    void (*group)(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *group);
};

/* One image, with stride 1. A sum v is its first value and (weights times inputs) << p, an output
 * (out_zero_point << NN_CODE_BITS) + (v * multiplier >> 32), all >> NN_CODE_BITS: which value the
 * sum begins with makes it exact. Outputs are written two rows at a time, after the four padded
 * rows that they reach have been read. */
void nn_depthwise_group_s8(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *group);

/* The same with stride 2: two rows of outputs after the five padded rows that they reach. */
void nn_depthwise_group_by_2_s8(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *group);

/* The same with outputs as NN_SIGN, of the sum v >> NN_SIGN_BITS and all of the second word. The
 * lowest byte of the first one is the shift, and the constant is
 * (2 * out_zero_point + 1) << shift >> 1. */
void nn_depthwise_group_sign_s8(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *group);
void nn_depthwise_group_by_2_sign_s8(const nn_depthwise_packed_t *p,
                                     const nn_depthwise_group_t *group);

/* scratch: 128 bytes and the ring. c is at least 4. The output may lie on the input where
 * quantize/lowering says so. */
void nn_depthwise_conv_2d_packed_s8(const nn_depthwise_packed_t *p, const int8_t *input,
                                    int8_t *output, int8_t *scratch);

#define NN_LANES 4 /* elements side by side that these kernels take at a time */

/* Places in a tensor, in elements from one to the next. */
typedef struct {
    int32_t rows, run;   /* places in each of the rows; both at least 1 */
    int32_t stride, row; /* from a place to the next, from a row to the next */
} nn_places_t;

/* Add the four elements at each place to four sums. */
void nn_sum_quad_s8(const nn_places_t *places, const int8_t *in, int32_t *sums);

/* Add the products of four adjacent inputs, each plus `offset`, and their weights, over all taps.
 * in, w: of the first tap; the offset stands in both halfwords. */
void nn_tap_sums_s8(const nn_taps_t *taps, const int8_t *in, const int8_t *w, uint32_t offset,
                    int32_t *sums);

/* A MEAN or SUM over the innermost axes: nn_mean_t says more. */
typedef struct {
    int32_t rows, count; /* elements of a row, which become one */
    int32_t input_offset_sum, output_offset;
    nn_requant_t requant;
} nn_mean_rows_t;

void nn_mean_rows_s8(const nn_mean_rows_t *p, const int8_t *input, int8_t *output);

/* Four channels at a time; c, or the innermost kept axis, which has stride 1, is at least 4. Depth
 * multiplier 1. */
void nn_depthwise_conv_2d_quads_s8(const nn_conv_t *p, const int8_t *input, int8_t *output);
void nn_average_pool_2d_quads_s8(const nn_pool_t *p, const int8_t *input, int8_t *output);
void nn_max_pool_2d_quads_s8(const nn_pool_t *p, const int8_t *input, int8_t *output);
void nn_mean_quads_s8(const nn_mean_t *p, const int8_t *input, int8_t *output);

#endif
