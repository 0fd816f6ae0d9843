/* What the .S files of this folder count on, in bytes: where the fields of the C structs lie, and
 * other numbers of the headers. LDM and LDRD take neighbours at once. For the assembler too, so
 * only #defines; nn_offsets.c holds each against C. */
#ifndef NN_OFFSETS_H
#define NN_OFFSETS_H

/* nn_quad_t */
#define NN_QUAD_AT_STREAM 0
#define NN_QUAD_AT_COUNT 4
#define NN_QUAD_AT_STEPS 6
#define NN_QUAD_AT_FORM 8
#define NN_QUAD_AT_CONSTANT 12
#define NN_QUAD_AT_OUTPUTS 16

/* nn_runs_t */
#define NN_RUNS_AT_STEP 0
#define NN_RUNS_AT_WORDS 4
#define NN_RUNS_AT_BYTES 8
#define NN_RUNS_AT_TAIL 12

/* nn_widen_t */
#define NN_WIDEN_AT_WORDS 0
#define NN_WIDEN_AT_GAP_BYTES 4
#define NN_WIDEN_AT_BACK_BYTES 8

/* nn_slot_columns_t */
#define NN_COLUMNS_AT_COUNT 0
#define NN_COLUMNS_AT_STEP_BYTES 4

/* nn_few_t */
#define NN_FEW_AT_STREAM 0
#define NN_FEW_AT_CHANNELS 4
#define NN_FEW_AT_PIXELS 8
#define NN_FEW_AT_PIXEL_BYTES 12

/* nn_dense_t */
#define NN_DENSE_AT_STREAM 0
#define NN_DENSE_AT_REQUANT 4
#define NN_DENSE_AT_REQUANT_BYTES 8
#define NN_DENSE_AT_STEPS 10

/* nn_dense_eight_t */
#define NN_EIGHT_AT_STREAM 0
#define NN_EIGHT_AT_STEPS 4
#define NN_EIGHT_AT_OUTPUT_DEPTH 6

/* nn_lstm_packed_t */
#define NN_LSTM_AT_UNITS 0
#define NN_LSTM_AT_STREAM 4
#define NN_LSTM_AT_INPUT_BYTES 8
#define NN_LSTM_AT_HIDDEN_BYTES 12
#define NN_LSTM_AT_INPUT 16
#define NN_LSTM_AT_PAST 64
#define NN_LSTM_AT_THREE 112
#define NN_LSTM_AT_ODD 116
#define NN_LSTM_AT_LOGISTIC 128
#define NN_LSTM_AT_UPDATE 132
#define NN_LSTM_AT_UPDATE_SHIFT 144
#define NN_LSTM_AT_TANH_MULTIPLIER 148
#define NN_LSTM_AT_OUTPUT_SHIFT 168
#define NN_LSTM_AT_CELL_LOW 172

/* nn_svdf_packed_t */
#define NN_SVDF_AT_UNITS 0
#define NN_SVDF_AT_RANK 4
#define NN_SVDF_AT_STREAM 8
#define NN_SVDF_AT_WORDS 12
#define NN_SVDF_AT_OLD 16
#define NN_SVDF_AT_NEXT 20
#define NN_SVDF_AT_ZERO_POINT 24
#define NN_SVDF_AT_PLACE 28
#define NN_SVDF_AT_LAST_BYTES 32
#define NN_SVDF_AT_MULTIPLIER 36
#define NN_SVDF_AT_SHIFT 40
#define NN_SVDF_AT_OUTPUT_OFFSET 44

/* nn_linear_t */
#define NN_LINEAR_AT_A_FACTOR 0
#define NN_LINEAR_AT_B_FACTOR 4
#define NN_LINEAR_AT_CONSTANT 8
#define NN_LINEAR_AT_COUNT 12
#define NN_LINEAR_AT_ROWS 16
#define NN_LINEAR_AT_A_STEP 20
#define NN_LINEAR_AT_B_STEP 24

/* nn_product_t */
#define NN_PRODUCT_AT_A_OFFSETS 0
#define NN_PRODUCT_AT_B_OFFSETS 4
#define NN_PRODUCT_AT_MULTIPLIER 8
#define NN_PRODUCT_AT_CONSTANT 12
#define NN_PRODUCT_AT_SHIFT 16
#define NN_PRODUCT_AT_COUNT 20
#define NN_PRODUCT_AT_ROWS 24
#define NN_PRODUCT_AT_A_STEP 28
#define NN_PRODUCT_AT_B_STEP 32

/* nn_squares_t */
#define NN_SQUARES_AT_A_OFFSETS 0
#define NN_SQUARES_AT_A_FACTOR 4
#define NN_SQUARES_AT_A_MULTIPLIER 8
#define NN_SQUARES_AT_A_HALF 12
#define NN_SQUARES_AT_A_SHIFT 16
#define NN_SQUARES_AT_B_OFFSET 20
#define NN_SQUARES_AT_B_FACTOR 24
#define NN_SQUARES_AT_B_MULTIPLIER 28
#define NN_SQUARES_AT_B_HALF 32
#define NN_SQUARES_AT_B_SHIFT 36
#define NN_SQUARES_AT_MULTIPLIER 40
#define NN_SQUARES_AT_CONSTANT 44
#define NN_SQUARES_AT_SHIFT 48
#define NN_SQUARES_AT_COUNT 52
#define NN_SQUARES_AT_ROWS 56
#define NN_SQUARES_AT_A_STEP 60
#define NN_SQUARES_AT_B_STEP 64

/* nn_batch_matmul_packed_t */
#define NN_MATMUL_AT_COLUMNS 20
#define NN_MATMUL_AT_QUADS 84
#define NN_MATMUL_AT_MULTIPLIER 92
#define NN_MATMUL_AT_CONSTANT 96
#define NN_MATMUL_AT_SHIFT 100

/* nn_places_t */
#define NN_PLACES_AT_ROWS 0
#define NN_PLACES_AT_RUN 4
#define NN_PLACES_AT_STRIDE 8
#define NN_PLACES_AT_ROW 12

/* nn_depthwise_taps_t */
#define NN_WIDE_TAPS_AT_STREAM 0
#define NN_WIDE_TAPS_AT_CHANNELS 4
#define NN_WIDE_TAPS_AT_TAPS 8
#define NN_WIDE_TAPS_AT_FORM 12

/* nn_taps_t */
#define NN_TAPS_AT_WEIGHT 4
#define NN_TAPS_AT_ROWS 8
#define NN_TAPS_AT_RUNS 12
#define NN_TAPS_AT_INPUT_ROW 20
#define NN_TAPS_AT_INPUT_RUN 24
#define NN_TAPS_AT_WEIGHT_ROW 28
#define NN_TAPS_AT_WEIGHT_RUN 32

/* nn_depthwise_packed_t */
#define NN_DEPTHWISE_AT_HEIGHT 2
#define NN_DEPTHWISE_AT_WIDTH 4
#define NN_DEPTHWISE_AT_DEPTH 6
#define NN_DEPTHWISE_AT_OUT_HEIGHT 8
#define NN_DEPTHWISE_AT_OUT_WIDTH 10
#define NN_DEPTHWISE_AT_INSIDE 12
#define NN_DEPTHWISE_AT_PAD_H 18
#define NN_DEPTHWISE_AT_PAD_W 19
#define NN_DEPTHWISE_AT_BLOCK 20
#define NN_DEPTHWISE_AT_FORM 21
#define NN_DEPTHWISE_AT_ZERO_POINT 22
#define NN_DEPTHWISE_AT_OUT_ZERO_POINT 23

/* nn_depthwise_group_t */
#define NN_GROUP_AT_STREAM 0
#define NN_GROUP_AT_INPUT 4
#define NN_GROUP_AT_OUTPUT 8
#define NN_GROUP_AT_SCRATCH 12
#define NN_GROUP_AT_CHANNELS 16

/* nn_lines_t */
#define NN_LINES_AT_IMAGES 0
#define NN_LINES_AT_LINES 2
#define NN_LINES_AT_CHANNELS 4
#define NN_LINES_AT_INPUTS 6
#define NN_LINES_AT_OUTPUTS 8
#define NN_LINES_AT_KERNEL 10
#define NN_LINES_AT_INPUT_STEP 12
#define NN_LINES_AT_OUTPUT_STEP 14
#define NN_LINES_AT_STRIDE 16
#define NN_LINES_AT_PAD 18
#define NN_LINES_AT_PAIRS 20
#define NN_LINES_AT_FORM 22
#define NN_LINES_AT_PAD_WORD 24
#define NN_LINES_AT_INPUT_LINE 28
#define NN_LINES_AT_OUTPUT_LINE 32
#define NN_LINES_AT_INPUT_IMAGE 36
#define NN_LINES_AT_OUTPUT_IMAGE 40
#define NN_LINES_AT_TAPS 44
#define NN_LINES_AT_VALUES 48

/* nn_depthwise_rows_t, which begins with an nn_lines_t */
#define NN_ROWS_AT_HEIGHT 52
#define NN_ROWS_AT_KERNEL_H 56
#define NN_ROWS_AT_STRIDE_H 60
#define NN_ROWS_AT_PAD_H 64

/* nn_mono_row_t */
#define NN_MONO_AT_ROWS 0
#define NN_MONO_AT_COLUMN 12
#define NN_MONO_AT_STRIDE 16
#define NN_MONO_AT_STREAM 20
#define NN_MONO_AT_CHANNELS 24
#define NN_MONO_AT_PIXELS 28

#define NN_FORM_SIGN 2
#define NN_FORM_WIDE 5
#define NN_TAP_BYTES 9           /* of a channel of nn_depthwise_packed_t */
#define NN_WEIGHT_BYTES 128      /* of scratch, before the ring */
#define NN_WIDE_WEIGHT_BYTES 160 /* of it with int16 */
#define NN_COLUMN_BYTES 48       /* of the ring */
#define NN_PAIR_BYTES 80         /* of it with stride 2: a pair of columns */
#define NN_STEP_BYTES 32         /* of a pair of taps of four channels */
#define NN_LINEAR_BITS 20
#define NN_LEAST_SHIFT 9 /* NN_LEAST_BITS, NN_SIGN_BITS, NN_CODE_BITS */
#define NN_SIGN_SHIFT 10
#define NN_CODE_SHIFT 12

#endif
