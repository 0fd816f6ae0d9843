/* Compiled for the core itself: it fails where assembly language counts on something else. */
#include "nn_offsets.h"

#include <stddef.h>

#include "nn_depthwise.h"
#include "nn_elementwise.h"
#include "nn_packed.h"
#include "nn_rows.h"
#include "nn_wide.h"

#define NN_FIELD(type, field, offset)                                                              \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field)

NN_FIELD(nn_quad_t, stream, NN_QUAD_AT_STREAM);
NN_FIELD(nn_quad_t, count, NN_QUAD_AT_COUNT);
NN_FIELD(nn_quad_t, steps, NN_QUAD_AT_STEPS);
NN_FIELD(nn_quad_t, form, NN_QUAD_AT_FORM);
NN_FIELD(nn_quad_t, constant, NN_QUAD_AT_CONSTANT);
NN_FIELD(nn_quad_t, outputs, NN_QUAD_AT_OUTPUTS);

NN_FIELD(nn_runs_t, step, NN_RUNS_AT_STEP);
NN_FIELD(nn_runs_t, words, NN_RUNS_AT_WORDS);
NN_FIELD(nn_runs_t, bytes, NN_RUNS_AT_BYTES);
NN_FIELD(nn_runs_t, tail, NN_RUNS_AT_TAIL);

NN_FIELD(nn_widen_t, words, NN_WIDEN_AT_WORDS);
NN_FIELD(nn_widen_t, gap_bytes, NN_WIDEN_AT_GAP_BYTES);
NN_FIELD(nn_widen_t, back_bytes, NN_WIDEN_AT_BACK_BYTES);

NN_FIELD(nn_slot_columns_t, count, NN_COLUMNS_AT_COUNT);
NN_FIELD(nn_slot_columns_t, step_bytes, NN_COLUMNS_AT_STEP_BYTES);

NN_FIELD(nn_few_t, stream, NN_FEW_AT_STREAM);
NN_FIELD(nn_few_t, channels, NN_FEW_AT_CHANNELS);
NN_FIELD(nn_few_t, pixels, NN_FEW_AT_PIXELS);
NN_FIELD(nn_few_t, pixel_bytes, NN_FEW_AT_PIXEL_BYTES);

NN_FIELD(nn_dense_t, stream, NN_DENSE_AT_STREAM);
NN_FIELD(nn_dense_t, requant, NN_DENSE_AT_REQUANT);
NN_FIELD(nn_dense_t, requant_bytes, NN_DENSE_AT_REQUANT_BYTES);
NN_FIELD(nn_dense_t, steps, NN_DENSE_AT_STEPS);

NN_FIELD(nn_dense_eight_t, stream, NN_EIGHT_AT_STREAM);
NN_FIELD(nn_dense_eight_t, steps, NN_EIGHT_AT_STEPS);
NN_FIELD(nn_dense_eight_t, output_depth, NN_EIGHT_AT_OUTPUT_DEPTH);

NN_FIELD(nn_lstm_packed_t, units, NN_LSTM_AT_UNITS);
NN_FIELD(nn_lstm_packed_t, stream, NN_LSTM_AT_STREAM);
NN_FIELD(nn_lstm_packed_t, input_bytes, NN_LSTM_AT_INPUT_BYTES);
NN_FIELD(nn_lstm_packed_t, hidden_bytes, NN_LSTM_AT_HIDDEN_BYTES);
NN_FIELD(nn_lstm_packed_t, input, NN_LSTM_AT_INPUT);
NN_FIELD(nn_lstm_packed_t, past, NN_LSTM_AT_PAST);
NN_FIELD(nn_lstm_packed_t, three, NN_LSTM_AT_THREE);
NN_FIELD(nn_lstm_packed_t, odd, NN_LSTM_AT_ODD);
NN_FIELD(nn_lstm_packed_t, logistic, NN_LSTM_AT_LOGISTIC);
NN_FIELD(nn_lstm_packed_t, update, NN_LSTM_AT_UPDATE);
NN_FIELD(nn_lstm_packed_t, update_shift, NN_LSTM_AT_UPDATE_SHIFT);
NN_FIELD(nn_lstm_packed_t, tanh_multiplier, NN_LSTM_AT_TANH_MULTIPLIER);
NN_FIELD(nn_lstm_packed_t, output_shift, NN_LSTM_AT_OUTPUT_SHIFT);
NN_FIELD(nn_lstm_packed_t, cell_low, NN_LSTM_AT_CELL_LOW);

NN_FIELD(nn_svdf_packed_t, units, NN_SVDF_AT_UNITS);
NN_FIELD(nn_svdf_packed_t, rank, NN_SVDF_AT_RANK);
NN_FIELD(nn_svdf_packed_t, stream, NN_SVDF_AT_STREAM);
NN_FIELD(nn_svdf_packed_t, words, NN_SVDF_AT_WORDS);
NN_FIELD(nn_svdf_packed_t, old, NN_SVDF_AT_OLD);
NN_FIELD(nn_svdf_packed_t, next, NN_SVDF_AT_NEXT);
NN_FIELD(nn_svdf_packed_t, zero_point, NN_SVDF_AT_ZERO_POINT);
NN_FIELD(nn_svdf_packed_t, place, NN_SVDF_AT_PLACE);
NN_FIELD(nn_svdf_packed_t, last_bytes, NN_SVDF_AT_LAST_BYTES);
NN_FIELD(nn_svdf_packed_t, multiplier, NN_SVDF_AT_MULTIPLIER);
NN_FIELD(nn_svdf_packed_t, shift, NN_SVDF_AT_SHIFT);
NN_FIELD(nn_svdf_packed_t, output_offset, NN_SVDF_AT_OUTPUT_OFFSET);

NN_FIELD(nn_linear_t, a_factor, NN_LINEAR_AT_A_FACTOR);
NN_FIELD(nn_linear_t, b_factor, NN_LINEAR_AT_B_FACTOR);
NN_FIELD(nn_linear_t, constant, NN_LINEAR_AT_CONSTANT);
NN_FIELD(nn_linear_t, rows.count, NN_LINEAR_AT_COUNT);
NN_FIELD(nn_linear_t, rows.rows, NN_LINEAR_AT_ROWS);
NN_FIELD(nn_linear_t, rows.a_step, NN_LINEAR_AT_A_STEP);
NN_FIELD(nn_linear_t, rows.b_step, NN_LINEAR_AT_B_STEP);

NN_FIELD(nn_product_t, a_offsets, NN_PRODUCT_AT_A_OFFSETS);
NN_FIELD(nn_product_t, b_offsets, NN_PRODUCT_AT_B_OFFSETS);
NN_FIELD(nn_product_t, multiplier, NN_PRODUCT_AT_MULTIPLIER);
NN_FIELD(nn_product_t, constant, NN_PRODUCT_AT_CONSTANT);
NN_FIELD(nn_product_t, shift, NN_PRODUCT_AT_SHIFT);
NN_FIELD(nn_product_t, rows.count, NN_PRODUCT_AT_COUNT);
NN_FIELD(nn_product_t, rows.rows, NN_PRODUCT_AT_ROWS);
NN_FIELD(nn_product_t, rows.a_step, NN_PRODUCT_AT_A_STEP);
NN_FIELD(nn_product_t, rows.b_step, NN_PRODUCT_AT_B_STEP);

NN_FIELD(nn_squares_t, a.offset, NN_SQUARES_AT_A_OFFSETS);
NN_FIELD(nn_squares_t, a.factor, NN_SQUARES_AT_A_FACTOR);
NN_FIELD(nn_squares_t, a.multiplier, NN_SQUARES_AT_A_MULTIPLIER);
NN_FIELD(nn_squares_t, a.half, NN_SQUARES_AT_A_HALF);
NN_FIELD(nn_squares_t, a.shift, NN_SQUARES_AT_A_SHIFT);
NN_FIELD(nn_squares_t, b.offset, NN_SQUARES_AT_B_OFFSET);
NN_FIELD(nn_squares_t, b.factor, NN_SQUARES_AT_B_FACTOR);
NN_FIELD(nn_squares_t, b.multiplier, NN_SQUARES_AT_B_MULTIPLIER);
NN_FIELD(nn_squares_t, b.half, NN_SQUARES_AT_B_HALF);
NN_FIELD(nn_squares_t, b.shift, NN_SQUARES_AT_B_SHIFT);
NN_FIELD(nn_squares_t, multiplier, NN_SQUARES_AT_MULTIPLIER);
NN_FIELD(nn_squares_t, constant, NN_SQUARES_AT_CONSTANT);
NN_FIELD(nn_squares_t, shift, NN_SQUARES_AT_SHIFT);
NN_FIELD(nn_squares_t, rows.count, NN_SQUARES_AT_COUNT);
NN_FIELD(nn_squares_t, rows.rows, NN_SQUARES_AT_ROWS);
NN_FIELD(nn_squares_t, rows.a_step, NN_SQUARES_AT_A_STEP);
NN_FIELD(nn_squares_t, rows.b_step, NN_SQUARES_AT_B_STEP);

NN_FIELD(nn_batch_matmul_packed_t, matrices.columns, NN_MATMUL_AT_COLUMNS);
NN_FIELD(nn_batch_matmul_packed_t, quads, NN_MATMUL_AT_QUADS);
NN_FIELD(nn_batch_matmul_packed_t, multiplier, NN_MATMUL_AT_MULTIPLIER);
NN_FIELD(nn_batch_matmul_packed_t, constant, NN_MATMUL_AT_CONSTANT);
NN_FIELD(nn_batch_matmul_packed_t, shift, NN_MATMUL_AT_SHIFT);

NN_FIELD(nn_places_t, rows, NN_PLACES_AT_ROWS);
NN_FIELD(nn_places_t, run, NN_PLACES_AT_RUN);
NN_FIELD(nn_places_t, stride, NN_PLACES_AT_STRIDE);
NN_FIELD(nn_places_t, row, NN_PLACES_AT_ROW);

NN_FIELD(nn_depthwise_taps_t, stream, NN_WIDE_TAPS_AT_STREAM);
NN_FIELD(nn_depthwise_taps_t, channels, NN_WIDE_TAPS_AT_CHANNELS);
NN_FIELD(nn_depthwise_taps_t, taps, NN_WIDE_TAPS_AT_TAPS);
NN_FIELD(nn_depthwise_taps_t, form, NN_WIDE_TAPS_AT_FORM);

NN_FIELD(nn_taps_t, weight, NN_TAPS_AT_WEIGHT);
NN_FIELD(nn_taps_t, rows, NN_TAPS_AT_ROWS);
NN_FIELD(nn_taps_t, runs, NN_TAPS_AT_RUNS);
NN_FIELD(nn_taps_t, input_row, NN_TAPS_AT_INPUT_ROW);
NN_FIELD(nn_taps_t, input_run, NN_TAPS_AT_INPUT_RUN);
NN_FIELD(nn_taps_t, weight_row, NN_TAPS_AT_WEIGHT_ROW);
NN_FIELD(nn_taps_t, weight_run, NN_TAPS_AT_WEIGHT_RUN);

NN_FIELD(nn_depthwise_packed_t, height, NN_DEPTHWISE_AT_HEIGHT);
NN_FIELD(nn_depthwise_packed_t, width, NN_DEPTHWISE_AT_WIDTH);
NN_FIELD(nn_depthwise_packed_t, depth, NN_DEPTHWISE_AT_DEPTH);
NN_FIELD(nn_depthwise_packed_t, out_height, NN_DEPTHWISE_AT_OUT_HEIGHT);
NN_FIELD(nn_depthwise_packed_t, out_width, NN_DEPTHWISE_AT_OUT_WIDTH);
NN_FIELD(nn_depthwise_packed_t, inside, NN_DEPTHWISE_AT_INSIDE);
NN_FIELD(nn_depthwise_packed_t, pad_h, NN_DEPTHWISE_AT_PAD_H);
NN_FIELD(nn_depthwise_packed_t, pad_w, NN_DEPTHWISE_AT_PAD_W);
NN_FIELD(nn_depthwise_packed_t, block, NN_DEPTHWISE_AT_BLOCK);
NN_FIELD(nn_depthwise_packed_t, form, NN_DEPTHWISE_AT_FORM);
NN_FIELD(nn_depthwise_packed_t, zero_point, NN_DEPTHWISE_AT_ZERO_POINT);
NN_FIELD(nn_depthwise_packed_t, out_zero_point, NN_DEPTHWISE_AT_OUT_ZERO_POINT);

NN_FIELD(nn_depthwise_group_t, stream, NN_GROUP_AT_STREAM);
NN_FIELD(nn_depthwise_group_t, input, NN_GROUP_AT_INPUT);
NN_FIELD(nn_depthwise_group_t, output, NN_GROUP_AT_OUTPUT);
NN_FIELD(nn_depthwise_group_t, scratch, NN_GROUP_AT_SCRATCH);
NN_FIELD(nn_depthwise_group_t, channels, NN_GROUP_AT_CHANNELS);

NN_FIELD(nn_lines_t, images, NN_LINES_AT_IMAGES);
NN_FIELD(nn_lines_t, lines, NN_LINES_AT_LINES);
NN_FIELD(nn_lines_t, channels, NN_LINES_AT_CHANNELS);
NN_FIELD(nn_lines_t, inputs, NN_LINES_AT_INPUTS);
NN_FIELD(nn_lines_t, outputs, NN_LINES_AT_OUTPUTS);
NN_FIELD(nn_lines_t, kernel, NN_LINES_AT_KERNEL);
NN_FIELD(nn_lines_t, input_step, NN_LINES_AT_INPUT_STEP);
NN_FIELD(nn_lines_t, output_step, NN_LINES_AT_OUTPUT_STEP);
NN_FIELD(nn_lines_t, stride, NN_LINES_AT_STRIDE);
NN_FIELD(nn_lines_t, pad, NN_LINES_AT_PAD);
NN_FIELD(nn_lines_t, pairs, NN_LINES_AT_PAIRS);
NN_FIELD(nn_lines_t, form, NN_LINES_AT_FORM);
NN_FIELD(nn_lines_t, pad_word, NN_LINES_AT_PAD_WORD);
NN_FIELD(nn_lines_t, input_line, NN_LINES_AT_INPUT_LINE);
NN_FIELD(nn_lines_t, output_line, NN_LINES_AT_OUTPUT_LINE);
NN_FIELD(nn_lines_t, input_image, NN_LINES_AT_INPUT_IMAGE);
NN_FIELD(nn_lines_t, output_image, NN_LINES_AT_OUTPUT_IMAGE);
NN_FIELD(nn_lines_t, taps, NN_LINES_AT_TAPS);
NN_FIELD(nn_lines_t, values, NN_LINES_AT_VALUES);

NN_FIELD(nn_depthwise_rows_t, height, NN_ROWS_AT_HEIGHT);
NN_FIELD(nn_depthwise_rows_t, kernel_h, NN_ROWS_AT_KERNEL_H);
NN_FIELD(nn_depthwise_rows_t, stride_h, NN_ROWS_AT_STRIDE_H);
NN_FIELD(nn_depthwise_rows_t, pad_h, NN_ROWS_AT_PAD_H);

NN_FIELD(nn_mono_row_t, rows, NN_MONO_AT_ROWS);
NN_FIELD(nn_mono_row_t, column, NN_MONO_AT_COLUMN);
NN_FIELD(nn_mono_row_t, stride, NN_MONO_AT_STRIDE);
NN_FIELD(nn_mono_row_t, stream, NN_MONO_AT_STREAM);
NN_FIELD(nn_mono_row_t, channels, NN_MONO_AT_CHANNELS);
NN_FIELD(nn_mono_row_t, pixels, NN_MONO_AT_PIXELS);

_Static_assert(NN_FORM_SIGN == NN_SIGN, "NN_SIGN");
_Static_assert(NN_FORM_WIDE == NN_WIDE, "NN_WIDE");
_Static_assert(NN_TAP_BYTES == 3 * 3, "nine weights");
_Static_assert(4 * NN_GROUP_WORDS == NN_GROUP * (8 + NN_TAP_BYTES), "two words and nine weights");
_Static_assert(NN_WIDE_WEIGHT_BYTES == 4 * NN_GROUP * NN_WIDE_CHANNEL_WORDS,
               "4 * NN_GROUP * NN_WIDE_CHANNEL_WORDS");
_Static_assert(NN_WEIGHT_BYTES == 4 * NN_GROUP * NN_CHANNEL_WORDS,
               "4 * NN_GROUP * NN_CHANNEL_WORDS");
_Static_assert(NN_COLUMN_BYTES == 4 * NN_COLUMN_WORDS, "4 * NN_COLUMN_WORDS");
_Static_assert(NN_PAIR_BYTES == 4 * NN_RING_PAIR_WORDS, "4 * NN_RING_PAIR_WORDS");
_Static_assert(NN_STEP_BYTES == 4 * NN_STEP_WORDS, "4 * NN_STEP_WORDS");
_Static_assert(NN_LINEAR_BITS == NN_LINEAR_SHIFT, "NN_LINEAR_SHIFT");
_Static_assert(NN_LEAST_SHIFT == NN_LEAST_BITS, "NN_LEAST_BITS");
_Static_assert(NN_SIGN_SHIFT == NN_SIGN_BITS, "NN_SIGN_BITS");
_Static_assert(NN_CODE_SHIFT == NN_CODE_BITS, "NN_CODE_BITS");

/* LDM takes all from the first on, LDRD two */
#define NN_NEXT(first, second) _Static_assert((second) == (first) + 4, #second)
_Static_assert(NN_QUAD_AT_STREAM == 0, "NN_QUAD_AT_STREAM");
_Static_assert(NN_RUNS_AT_STEP == 0, "NN_RUNS_AT_STEP");
_Static_assert(NN_WIDEN_AT_WORDS == 0, "NN_WIDEN_AT_WORDS");
_Static_assert(NN_COLUMNS_AT_COUNT == 0, "NN_COLUMNS_AT_COUNT");
_Static_assert(NN_FEW_AT_STREAM == 0, "NN_FEW_AT_STREAM");
_Static_assert(NN_LINEAR_AT_A_FACTOR == 0, "NN_LINEAR_AT_A_FACTOR");
_Static_assert(NN_PRODUCT_AT_A_OFFSETS == 0, "NN_PRODUCT_AT_A_OFFSETS");
_Static_assert(NN_LSTM_AT_UNITS == 0, "NN_LSTM_AT_UNITS");
_Static_assert(NN_SVDF_AT_UNITS == 0, "NN_SVDF_AT_UNITS");
_Static_assert(NN_PLACES_AT_ROWS == 0, "NN_PLACES_AT_ROWS");
NN_NEXT(NN_QUAD_AT_STREAM, NN_QUAD_AT_COUNT);
NN_NEXT(NN_QUAD_AT_COUNT, NN_QUAD_AT_FORM);
_Static_assert(NN_QUAD_AT_STEPS == NN_QUAD_AT_COUNT + 2, "one word");
NN_NEXT(NN_QUAD_AT_FORM, NN_QUAD_AT_CONSTANT);
NN_NEXT(NN_QUAD_AT_CONSTANT, NN_QUAD_AT_OUTPUTS);
_Static_assert(NN_FLOOR == 0 && NN_FIXED_8 == 1 && NN_SIGN == 2, "two bits for nn_pixel_s8");
NN_NEXT(NN_RUNS_AT_STEP, NN_RUNS_AT_WORDS);
NN_NEXT(NN_RUNS_AT_WORDS, NN_RUNS_AT_BYTES);
NN_NEXT(NN_RUNS_AT_BYTES, NN_RUNS_AT_TAIL);
NN_NEXT(NN_WIDEN_AT_WORDS, NN_WIDEN_AT_GAP_BYTES);
NN_NEXT(NN_WIDEN_AT_GAP_BYTES, NN_WIDEN_AT_BACK_BYTES);
NN_NEXT(NN_COLUMNS_AT_COUNT, NN_COLUMNS_AT_STEP_BYTES);
NN_NEXT(NN_FEW_AT_STREAM, NN_FEW_AT_CHANNELS);
NN_NEXT(NN_FEW_AT_CHANNELS, NN_FEW_AT_PIXELS);
NN_NEXT(NN_FEW_AT_PIXELS, NN_FEW_AT_PIXEL_BYTES);
NN_NEXT(NN_LINEAR_AT_A_FACTOR, NN_LINEAR_AT_B_FACTOR);
NN_NEXT(NN_LINEAR_AT_B_FACTOR, NN_LINEAR_AT_CONSTANT);
NN_NEXT(NN_LINEAR_AT_A_STEP, NN_LINEAR_AT_B_STEP);
NN_NEXT(NN_PRODUCT_AT_A_OFFSETS, NN_PRODUCT_AT_B_OFFSETS);
NN_NEXT(NN_PRODUCT_AT_B_OFFSETS, NN_PRODUCT_AT_MULTIPLIER);
NN_NEXT(NN_PRODUCT_AT_MULTIPLIER, NN_PRODUCT_AT_CONSTANT);
NN_NEXT(NN_PRODUCT_AT_CONSTANT, NN_PRODUCT_AT_SHIFT);
NN_NEXT(NN_PRODUCT_AT_A_STEP, NN_PRODUCT_AT_B_STEP);
NN_NEXT(NN_SQUARES_AT_A_HALF, NN_SQUARES_AT_A_SHIFT);
NN_NEXT(NN_SQUARES_AT_B_OFFSET, NN_SQUARES_AT_B_FACTOR);
NN_NEXT(NN_SQUARES_AT_B_MULTIPLIER, NN_SQUARES_AT_B_HALF);
NN_NEXT(NN_SQUARES_AT_MULTIPLIER, NN_SQUARES_AT_CONSTANT);
NN_NEXT(NN_SQUARES_AT_A_STEP, NN_SQUARES_AT_B_STEP);
NN_NEXT(NN_LSTM_AT_UNITS, NN_LSTM_AT_STREAM);
NN_NEXT(NN_LSTM_AT_STREAM, NN_LSTM_AT_INPUT_BYTES);
NN_NEXT(NN_LSTM_AT_INPUT_BYTES, NN_LSTM_AT_HIDDEN_BYTES);
NN_NEXT(NN_LSTM_AT_HIDDEN_BYTES, NN_LSTM_AT_INPUT);
NN_NEXT(NN_LSTM_AT_THREE, NN_LSTM_AT_ODD);
NN_NEXT(NN_LSTM_AT_LOGISTIC, NN_LSTM_AT_UPDATE);
NN_NEXT(NN_LSTM_AT_UPDATE_SHIFT, NN_LSTM_AT_TANH_MULTIPLIER);
NN_NEXT(NN_LSTM_AT_OUTPUT_SHIFT, NN_LSTM_AT_CELL_LOW);
NN_NEXT(NN_SVDF_AT_UNITS, NN_SVDF_AT_RANK);
NN_NEXT(NN_SVDF_AT_RANK, NN_SVDF_AT_STREAM);
NN_NEXT(NN_SVDF_AT_STREAM, NN_SVDF_AT_WORDS);
NN_NEXT(NN_SVDF_AT_ZERO_POINT, NN_SVDF_AT_PLACE);
NN_NEXT(NN_SVDF_AT_MULTIPLIER, NN_SVDF_AT_SHIFT);
NN_NEXT(NN_MATMUL_AT_CONSTANT, NN_MATMUL_AT_SHIFT);
NN_NEXT(NN_PLACES_AT_ROWS, NN_PLACES_AT_RUN);
NN_NEXT(NN_PLACES_AT_RUN, NN_PLACES_AT_STRIDE);
NN_NEXT(NN_PLACES_AT_STRIDE, NN_PLACES_AT_ROW);
NN_NEXT(NN_TAPS_AT_ROWS, NN_TAPS_AT_RUNS);
NN_NEXT(NN_TAPS_AT_INPUT_ROW, NN_TAPS_AT_INPUT_RUN);
_Static_assert(NN_WIDE_TAPS_AT_STREAM == 0, "NN_WIDE_TAPS_AT_STREAM");
_Static_assert(offsetof(nn_sum_s16_t, part.multiplier) == 0, "all fields in order");
_Static_assert(offsetof(nn_sum_s16_t, relu) == 28, "all fields in order");
_Static_assert(offsetof(nn_product_s16_t, output.multiplier) == 0, "all fields in order");
_Static_assert(offsetof(nn_product_s16_t, relu) == 16, "all fields in order");
NN_NEXT(NN_WIDE_TAPS_AT_STREAM, NN_WIDE_TAPS_AT_CHANNELS);
NN_NEXT(NN_WIDE_TAPS_AT_CHANNELS, NN_WIDE_TAPS_AT_TAPS);
NN_NEXT(NN_WIDE_TAPS_AT_TAPS, NN_WIDE_TAPS_AT_FORM);
NN_NEXT(NN_LINES_AT_INPUT_LINE, NN_LINES_AT_OUTPUT_LINE);
NN_NEXT(NN_LINES_AT_INPUT_IMAGE, NN_LINES_AT_OUTPUT_IMAGE);
NN_NEXT(NN_LINES_AT_TAPS, NN_LINES_AT_VALUES);
_Static_assert(offsetof(nn_depthwise_rows_t, line) == 0, "NN_LINES_AT_LINES");
_Static_assert(NN_MONO_AT_ROWS == 0, "NN_MONO_AT_ROWS");
_Static_assert(NN_MONO_AT_COLUMN == NN_MONO_AT_ROWS + 12, "NN_MONO_AT_COLUMN");
NN_NEXT(NN_MONO_AT_COLUMN, NN_MONO_AT_STRIDE);
NN_NEXT(NN_MONO_AT_STRIDE, NN_MONO_AT_STREAM);
NN_NEXT(NN_MONO_AT_STREAM, NN_MONO_AT_CHANNELS);
NN_NEXT(NN_MONO_AT_CHANNELS, NN_MONO_AT_PIXELS);
NN_NEXT(NN_GROUP_AT_SCRATCH, NN_GROUP_AT_CHANNELS);
