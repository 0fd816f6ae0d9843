/* nn_lstm_s8 with a unit's four gates at a time, on weights as nn_packed.h describes them.
 *
 * The input of a step and the hidden state are widened once, into scratch. logistic and tanh read a
 * table that is odd, and turn around rounding with the sign: no branches. A unit at a step takes
 * about 130 instructions besides its gates.
 * MACs: batches*steps*4*units*(input_depth + units). Rounding: double; logistic and tanh by a
 * table.
 */
#include "nn_dense.h"
#include "nn_math.h"

/* Also where the compiler saves bytes. */
#ifdef __GNUC__
#define NN_IN_PLACE __attribute__((__always_inline__)) static inline
#else
#define NN_IN_PLACE static inline
#endif

/* What the table holds at x / 2^bits, less 1 / 2, times 2^bits and rounded down behind 2^`down`,
 * half away from 0. */
NN_IN_PLACE int32_t nn_odd_line(const int16_t *table, int32_t x, uint32_t bits, uint32_t down)
{
    const uint32_t pair = nn_load_word(table + (x >> bits));
    const uint32_t rest = (uint32_t)x & ((UINT32_C(1) << bits) - 1U);
    const uint32_t parts = ((UINT32_C(1) << bits) - rest) | rest << 16;
    const int32_t half = (INT32_C(1) << (down - 1U)) + (x < 0 ? -1 : 0);
    return nn_smlad(pair, parts, half) >> down;
}

/* Of z in Q3.12, in Q0.15. */
NN_IN_PLACE int32_t nn_odd_logistic(const int16_t *table, int32_t z)
{
    return nn_odd_line(table, 3 * z, 9, 10) + (INT32_C(1) << 14);
}

/* Of x in units of 1 / 12288, in Q0.15; constant behind the end of nn_sigmoid.h's table. */
NN_IN_PLACE int32_t nn_odd_tanh(const int16_t *table, int32_t x)
{
    const int32_t end = (NN_SIGMOID_ENTRIES - 1) << 8;
    if (x >= end || x <= -end) {
        return x > 0 ? INT16_MAX : -INT16_MAX;
    }
    return nn_odd_line(table, x, 8, 8);
}

/* x / 2^(shift + 1), as nn_requantize rounds with a multiplier of 2^30 and that shift to the right;
 * `half` of 1 << shift. */
NN_IN_PLACE int32_t nn_halve(int32_t x, int32_t half, int32_t shift)
{
    return (((x + 1) >> 1) + half + (x < 0 ? -1 : 0)) >> shift;
}

NN_IN_PLACE int8_t nn_unit_packed(const nn_lstm_packed_t *p, const int32_t *gates, int16_t *cell)
{
    const int16_t *const table = p->sigmoid + NN_SIGMOID_ENTRIES - 1;
    const int32_t i = nn_odd_logistic(table, gates[0]);
    const int32_t g = nn_odd_tanh(table, 3 * gates[1]);
    const int32_t f = nn_odd_logistic(table, gates[2]);
    const int32_t o = nn_odd_logistic(table, gates[3]);

    const int32_t kept = nn_halve(f * *cell, 1 << 13, 14);
    const int32_t added = nn_halve(i * g, p->update_constant, p->update_shift);
    const int32_t state = nn_min(nn_max(kept + added, p->cell_low), p->cell_high);
    *cell = (int16_t)state;

    const int32_t x = (state * p->tanh_multiplier + p->tanh_constant) >> p->tanh_shift;
    const int32_t sum = o * nn_odd_tanh(table, x);
    const int32_t value = nn_smmlar(2 * sum, p->output_multiplier, p->output_constant);
    return (int8_t)nn_min(nn_max((value + (sum < 0 ? -1 : 0)) >> p->output_shift, INT8_MIN),
                          INT8_MAX);
}

void nn_lstm_packed_s8(const nn_lstm_packed_t *p, const int8_t *input, int8_t *hidden,
                       int16_t *cell, int8_t *output, int8_t *scratch)
{
    uint32_t *const x = (uint32_t *)(void *)scratch;
    uint32_t *const h = x + p->input_bytes / 4;
    uint32_t *const end = h + p->hidden_bytes / 4;
    for (int32_t b = 0; b < p->batches; b++) {
        nn_dense_widen(h, hidden, p->units, end);
        for (int32_t t = 0; t < p->steps; t++) {
            const int32_t row = b * p->batch_rows + t * p->step_rows;
            int8_t *const out = output + row * p->units;
            const int32_t *stream = p->stream;
            nn_dense_widen(x, input + row * p->input_depth, p->input_depth, h);
            for (int32_t u = 0; u < p->units; u++) {
                int32_t gates[NN_GATES];
                stream = p->gates(p, x, stream, gates);
                out[u] = nn_unit_packed(p, gates, cell + u);
            }
            nn_dense_widen(h, out, p->units, end);
        }
        memcpy(hidden, output + (b * p->batch_rows + (p->steps - 1) * p->step_rows) * p->units,
               (size_t)p->units);
        hidden += p->units;
        cell += p->units;
    }
}
