/* Compiled for the core itself: it fails where assembly language counts on something else. */
#include "nn_offsets.h"

#include <stddef.h>

#include "nn_mac16.h"

#define NN_FIELD(type, field, offset)                                                              \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field)

NN_FIELD(nn_mac_t, first, NN_MAC_AT_FIRST);
NN_FIELD(nn_mac_t, high, NN_MAC_AT_HIGH);
NN_FIELD(nn_mac_t, mid, NN_MAC_AT_MID);
NN_FIELD(nn_mac_t, or_more, NN_MAC_AT_OR_MORE);
NN_FIELD(nn_mac_t, shift, NN_MAC_AT_SHIFT);
NN_FIELD(nn_mac_kept_t, below, NN_MAC_AT_BELOW);
NN_FIELD(nn_mac_kept_t, least, NN_MAC_AT_LEAST);
NN_FIELD(nn_mac_kept_t, most, NN_MAC_AT_MOST);

NN_FIELD(nn_windows_t, stream, NN_WINDOWS_AT_STREAM);
NN_FIELD(nn_windows_t, channels, NN_WINDOWS_AT_CHANNELS);
NN_FIELD(nn_windows_t, steps, NN_WINDOWS_AT_STEPS);
NN_FIELD(nn_windows_t, gap, NN_WINDOWS_AT_GAP);
NN_FIELD(nn_windows_t, output_step, NN_WINDOWS_AT_OUTPUT_STEP);

NN_FIELD(nn_plane_t, start, NN_PLANE_AT_START);
NN_FIELD(nn_plane_t, lines, NN_PLANE_AT_LINES);
NN_FIELD(nn_plane_t, head, NN_PLANE_AT_HEAD);
NN_FIELD(nn_plane_t, pairs, NN_PLANE_AT_PAIRS);
NN_FIELD(nn_plane_t, tail, NN_PLANE_AT_TAIL);
NN_FIELD(nn_plane_t, pair_step, NN_PLANE_AT_PAIR_STEP);
NN_FIELD(nn_plane_t, input_step, NN_PLANE_AT_INPUT_STEP);
NN_FIELD(nn_plane_t, line_step, NN_PLANE_AT_LINE_STEP);

NN_FIELD(nn_nine_t, outputs, NN_NINE_AT_OUTPUTS);
NN_FIELD(nn_nine_t, lines, NN_NINE_AT_LINES);
NN_FIELD(nn_nine_t, is_by_2, NN_NINE_AT_IS_BY_2);
NN_FIELD(nn_nine_t, pair_step, NN_NINE_AT_PAIR_STEP);
NN_FIELD(nn_nine_t, line_inputs, NN_NINE_AT_LINE_INPUTS);
NN_FIELD(nn_nine_t, output_step, NN_NINE_AT_OUTPUT_STEP);
NN_FIELD(nn_nine_t, line_outputs, NN_NINE_AT_LINE_OUTPUTS);

NN_FIELD(nn_columns_t, inputs, NN_COLUMNS_AT_INPUTS);
NN_FIELD(nn_columns_t, columns, NN_COLUMNS_AT_COLUMNS);
NN_FIELD(nn_columns_t, step, NN_COLUMNS_AT_STEP);

NN_FIELD(nn_pair_sums_t, steps, NN_PAIR_SUMS_AT_STEPS);
NN_FIELD(nn_pair_sums_t, pairs, NN_PAIR_SUMS_AT_PAIRS);

_Static_assert(NN_MID_PLACES == NN_MID_BITS, "NN_MID_BITS");
_Static_assert(1 << NN_MAC_KEPT_BIT == NN_MAC_KEPT, "NN_MAC_KEPT");
_Static_assert(1 << NN_MAC_BY_SIGN_BIT == NN_MAC_BY_SIGN, "NN_MAC_BY_SIGN");
_Static_assert(NN_MAC_BYTES == sizeof(nn_mac_t), "sizeof(nn_mac_t)");
_Static_assert(NN_MAC_KEPT_BYTES == sizeof(nn_mac_kept_t), "sizeof(nn_mac_kept_t)");
