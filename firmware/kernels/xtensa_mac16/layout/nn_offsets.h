/* What the .S files of this folder count on, in bytes: where the fields of the C structs lie, and
 * other numbers of the headers. For the assembler too, so only #defines; nn_offsets.c holds each
 * against C. */
#ifndef NN_OFFSETS_H
#define NN_OFFSETS_H

/* nn_mac_t, and nn_mac_kept_t */
#define NN_MAC_AT_FIRST 0
#define NN_MAC_AT_HIGH 4
#define NN_MAC_AT_MID 8
#define NN_MAC_AT_OR_MORE 12
#define NN_MAC_AT_SHIFT 16
#define NN_MAC_AT_BELOW 20
#define NN_MAC_AT_LEAST 24
#define NN_MAC_AT_MOST 28

/* nn_windows_t */
#define NN_WINDOWS_AT_STREAM 0
#define NN_WINDOWS_AT_CHANNELS 4
#define NN_WINDOWS_AT_STEPS 8
#define NN_WINDOWS_AT_GAP 12
#define NN_WINDOWS_AT_OUTPUT_STEP 16

/* nn_plane_t */
#define NN_PLANE_AT_START 0
#define NN_PLANE_AT_LINES 4
#define NN_PLANE_AT_HEAD 8
#define NN_PLANE_AT_PAIRS 12
#define NN_PLANE_AT_TAIL 16
#define NN_PLANE_AT_PAIR_STEP 20
#define NN_PLANE_AT_INPUT_STEP 24
#define NN_PLANE_AT_LINE_STEP 28

/* nn_nine_t */
#define NN_NINE_AT_OUTPUTS 0
#define NN_NINE_AT_LINES 4
#define NN_NINE_AT_IS_BY_2 8
#define NN_NINE_AT_PAIR_STEP 12
#define NN_NINE_AT_LINE_INPUTS 16
#define NN_NINE_AT_OUTPUT_STEP 20
#define NN_NINE_AT_LINE_OUTPUTS 24

/* nn_columns_t */
#define NN_COLUMNS_AT_INPUTS 0
#define NN_COLUMNS_AT_COLUMNS 4
#define NN_COLUMNS_AT_STEP 8

/* nn_pair_sums_t */
#define NN_PAIR_SUMS_AT_STEPS 0
#define NN_PAIR_SUMS_AT_PAIRS 4

#define NN_MAC_BYTES 20
#define NN_MAC_KEPT_BYTES 32
#define NN_MAC_KEPT_BIT 5
#define NN_MAC_BY_SIGN_BIT 6
#define NN_MID_PLACES 12

#endif
