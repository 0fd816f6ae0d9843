/* What the .S files of this folder count on, in bytes: where the fields of the C structs lie, and
 * other numbers of the headers. LDM and LDRD take neighbours at once. For the assembler too, so
 * only #defines; nn_offsets.c holds each against C. */
#ifndef NN_OFFSETS_H
#define NN_OFFSETS_H

/* nn_trio_t */
#define NN_TRIO_AT_STREAM 0
#define NN_TRIO_AT_CHANNELS 4
#define NN_TRIO_AT_CHUNKS 8
#define NN_TRIO_AT_STEPS 12

/* nn_short_t */
#define NN_SHORT_AT_HIGH 0
#define NN_SHORT_AT_MID 4
#define NN_SHORT_AT_OR_MORE 8
#define NN_SHORT_AT_BELOW 12

/* nn_exact_t */
#define NN_EXACT_AT_LEAST 0
#define NN_EXACT_AT_MOST 4
#define NN_EXACT_AT_HIGH 8
#define NN_EXACT_AT_MID 12
#define NN_EXACT_AT_LOW 16
#define NN_EXACT_AT_SHIFT 20
#define NN_EXACT_AT_CONSTANT 24
#define NN_EXACT_AT_OR_MORE 28
#define NN_EXACT_AT_BELOW 32

/* nn_line_t */
#define NN_LINE_AT_GROUPS 0
#define NN_LINE_AT_SEGMENTS 4
#define NN_LINE_AT_STRIDE 8
#define NN_LINE_AT_BY_SIGN 12
#define NN_LINE_AT_OUTPUTS_0 16
#define NN_LINE_AT_OUTPUTS_1 20
#define NN_LINE_AT_OUTPUTS_2 24
#define NN_LINE_AT_NEXT_0 28
#define NN_LINE_AT_NEXT_1 32
#define NN_LINE_AT_LAST_0 36
#define NN_LINE_AT_LAST_1 40

/* nn_line_channel_t */
#define NN_CHANNEL_AT_FIRST 0
#define NN_CHANNEL_AT_EXACT 4

/* nn_dense_bytes_t */
#define NN_BYTES_AT_STREAM 0
#define NN_BYTES_AT_EXACT 4
#define NN_BYTES_AT_EXACT_BYTES 8
#define NN_BYTES_AT_OUTPUT_DEPTH 12
#define NN_BYTES_AT_STEPS 16

/* nn_linear_terms_t */
#define NN_TERMS_AT_A_TERMS 0
#define NN_TERMS_AT_B_TERMS 4
#define NN_TERMS_AT_COUNT 8
#define NN_TERMS_AT_ROWS 12
#define NN_TERMS_AT_A_STEP 16
#define NN_TERMS_AT_B_STEP 20

#define NN_MID_PLACES 12
#define NN_LOW_PLACES 11
#define NN_LINEAR_BITS 20
#define NN_SHORT_BYTES 16
#define NN_EXACT_BYTES 36
#define NN_CHANNEL_BYTES 40

#endif
