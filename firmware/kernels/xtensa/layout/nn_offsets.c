/* Compiled for the core itself: it fails where assembly language counts on something else. */
#include "nn_offsets.h"

#include <stddef.h>

#include "nn_elementwise.h"
#include "nn_trio.h"

#define NN_FIELD(type, field, offset)                                                              \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field)

NN_FIELD(nn_trio_t, stream, NN_TRIO_AT_STREAM);
NN_FIELD(nn_trio_t, channels, NN_TRIO_AT_CHANNELS);
NN_FIELD(nn_trio_t, chunks, NN_TRIO_AT_CHUNKS);
NN_FIELD(nn_trio_t, steps, NN_TRIO_AT_STEPS);

NN_FIELD(nn_short_t, high, NN_SHORT_AT_HIGH);
NN_FIELD(nn_short_t, mid, NN_SHORT_AT_MID);
NN_FIELD(nn_short_t, or_more, NN_SHORT_AT_OR_MORE);
NN_FIELD(nn_short_t, below, NN_SHORT_AT_BELOW);

NN_FIELD(nn_exact_t, least, NN_EXACT_AT_LEAST);
NN_FIELD(nn_exact_t, most, NN_EXACT_AT_MOST);
NN_FIELD(nn_exact_t, high, NN_EXACT_AT_HIGH);
NN_FIELD(nn_exact_t, mid, NN_EXACT_AT_MID);
NN_FIELD(nn_exact_t, low, NN_EXACT_AT_LOW);
NN_FIELD(nn_exact_t, shift, NN_EXACT_AT_SHIFT);
NN_FIELD(nn_exact_t, constant, NN_EXACT_AT_CONSTANT);
NN_FIELD(nn_exact_t, or_more, NN_EXACT_AT_OR_MORE);
NN_FIELD(nn_exact_t, below, NN_EXACT_AT_BELOW);

NN_FIELD(nn_line_t, groups, NN_LINE_AT_GROUPS);
NN_FIELD(nn_line_t, segments, NN_LINE_AT_SEGMENTS);
NN_FIELD(nn_line_t, stride, NN_LINE_AT_STRIDE);
NN_FIELD(nn_line_t, by_sign, NN_LINE_AT_BY_SIGN);
NN_FIELD(nn_line_t, outputs[0], NN_LINE_AT_OUTPUTS_0);
NN_FIELD(nn_line_t, outputs[1], NN_LINE_AT_OUTPUTS_1);
NN_FIELD(nn_line_t, outputs[2], NN_LINE_AT_OUTPUTS_2);
NN_FIELD(nn_line_t, next[0], NN_LINE_AT_NEXT_0);
NN_FIELD(nn_line_t, next[1], NN_LINE_AT_NEXT_1);
NN_FIELD(nn_line_t, last[0], NN_LINE_AT_LAST_0);
NN_FIELD(nn_line_t, last[1], NN_LINE_AT_LAST_1);

NN_FIELD(nn_line_channel_t, first, NN_CHANNEL_AT_FIRST);
NN_FIELD(nn_line_channel_t, exact, NN_CHANNEL_AT_EXACT);

NN_FIELD(nn_dense_bytes_t, stream, NN_BYTES_AT_STREAM);
NN_FIELD(nn_dense_bytes_t, exact, NN_BYTES_AT_EXACT);
NN_FIELD(nn_dense_bytes_t, exact_bytes, NN_BYTES_AT_EXACT_BYTES);
NN_FIELD(nn_dense_bytes_t, output_depth, NN_BYTES_AT_OUTPUT_DEPTH);
NN_FIELD(nn_dense_bytes_t, steps, NN_BYTES_AT_STEPS);

NN_FIELD(nn_linear_terms_t, a_terms, NN_TERMS_AT_A_TERMS);
NN_FIELD(nn_linear_terms_t, b_terms, NN_TERMS_AT_B_TERMS);
NN_FIELD(nn_linear_terms_t, rows.count, NN_TERMS_AT_COUNT);
NN_FIELD(nn_linear_terms_t, rows.rows, NN_TERMS_AT_ROWS);
NN_FIELD(nn_linear_terms_t, rows.a_step, NN_TERMS_AT_A_STEP);
NN_FIELD(nn_linear_terms_t, rows.b_step, NN_TERMS_AT_B_STEP);

_Static_assert(NN_MID_PLACES == NN_MID_BITS, "NN_MID_BITS");
_Static_assert(NN_LOW_PLACES == NN_LOW_BITS, "NN_LOW_BITS");
_Static_assert(NN_LINEAR_BITS == NN_LINEAR_SHIFT, "NN_LINEAR_SHIFT");
_Static_assert(NN_SHORT_BYTES == sizeof(nn_short_t), "sizeof(nn_short_t)");
_Static_assert(NN_EXACT_BYTES == sizeof(nn_exact_t), "sizeof(nn_exact_t)");
_Static_assert(NN_CHANNEL_BYTES == sizeof(nn_line_channel_t), "sizeof(nn_line_channel_t)");
