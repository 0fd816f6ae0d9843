/* What nn_lstm_units.inc computes, for machines without its instructions. */
#ifndef NN_LSTM_UNITS_H
#define NN_LSTM_UNITS_H

#include "nn_math.h"
#include "nn_packed.h"

#define NN_GATES 4 /* of a unit, as below: input, cell, forget and output gate, in Q3.12 */

static int16_t nn_rescaled(int32_t sum, const nn_gate_requant_t *r)
{
    const int32_t twice = nn_shift_left(2 * sum, (int32_t)(r->shift >> 8 & 0xFFU));
    const int64_t product = (int64_t)twice * r->multiplier + (INT64_C(1) << 31);
    const int32_t sign = (r->shift >> 16 & 1U) != 0 && sum < 0 ? -1 : 0;
    const int32_t value = (int32_t)(product >> 32) + r->constant + sign;
    return nn_clamp_s16(value >> (r->shift & 0xFFU), INT16_MIN, INT16_MAX);
}

/* A, C, B and D on the values from x to `end`; returns the stream behind them. */
static const int32_t *nn_sums(const int32_t *stream, const int16_t *x, const int16_t *end,
                              const nn_gate_requant_t *requant, int16_t *gates)
{
    uint32_t both[2] = {(uint32_t)stream[0], (uint32_t)stream[1]};
    int32_t second[2] = {stream[2], stream[3]};
    for (stream += NN_GROUP; x < end; x += 2) {
        for (int32_t k = 0; k < 2; k++) {
            const uint32_t word = (uint32_t)*stream++;
            const int16_t low = (int16_t)(word & 0xFFFFU);
            const int16_t high = (int16_t)(word >> 16);
            both[k] += (uint32_t)(low * x[0]) + (uint32_t)(high * x[1]);
            second[k] += (int8_t)(low & 0xFF) * x[0] + (int8_t)(high & 0xFF) * x[1];
        }
    }
    for (int32_t k = 0; k < 2; k++) {
        gates[k] = nn_rescaled((int32_t)(both[k] - (uint32_t)second[k]) >> 8, &requant[k]);
        gates[2 + k] = nn_rescaled(second[k], &requant[2 + k]);
    }
    return stream;
}

static const int32_t *nn_unit_gates(const nn_lstm_packed_t *p, const uint32_t *x,
                                    const int32_t *stream, int32_t *gates)
{
    const int16_t *const input = (const int16_t *)(const void *)x;
    const int16_t *const hidden = input + p->input_bytes / 2;
    int16_t fresh[NN_GATES], past[NN_GATES];
    stream = nn_sums(stream, input, hidden, p->input, fresh);
    stream = nn_sums(stream, hidden, hidden + p->hidden_bytes / 2, p->past, past);
    for (int32_t k = 0; k < NN_GATES; k++) {
        gates[k] = nn_clamp_s16(fresh[k] + past[k], INT16_MIN, INT16_MAX);
    }
    return stream;
}

/* What the table holds at x / 2^bits, times 2^bits, plus `constant`, rounded down behind 2^`down`,
 * half away from 0. */
static int32_t nn_odd_line(const int16_t *odd, int32_t x, uint32_t bits, uint32_t down,
                           int32_t constant)
{
    const int32_t rest = x & ((INT32_C(1) << bits) - 1);
    const int32_t low = odd[x >> bits] * ((INT32_C(1) << bits) - rest);
    return (low + odd[(x >> bits) + 1] * rest + constant + (x < 0 ? -1 : 0)) >> down;
}

/* Of z in Q3.12, in Q0.15. */
static int32_t nn_odd_logistic(const nn_lstm_packed_t *p, int32_t z)
{
    return nn_odd_line(p->odd, p->three * z, 9, 10, p->logistic);
}

/* Of x in units of 1 / 12288, in Q0.15. */
static int32_t nn_odd_tanh(const nn_lstm_packed_t *p, int32_t x)
{
    return nn_odd_line(p->odd, nn_min(nn_max(x, -(1 << 16)), (1 << 16) - 1), 8, 8, p->tanh);
}

/* Of one factor and another that is not negative, / 2^shift, as nn_requantize rounds by 2^30 and
 * `shift` - 1 to the right. */
static int32_t nn_halved(int32_t factor, int32_t other, int32_t constant, int32_t shift)
{
    return (factor * other + constant + (factor < 0 ? -2 : 0)) >> shift;
}

/* Changes the cell state, returns the output. */
static int8_t nn_unit(const nn_lstm_packed_t *p, const int32_t *gates, int16_t *cell)
{
    const int32_t i = nn_odd_logistic(p, gates[0]);
    const int32_t g = nn_odd_tanh(p, p->three * gates[1]);
    const int32_t f = nn_odd_logistic(p, gates[2]);
    const int32_t o = nn_odd_logistic(p, gates[3]);
    const int32_t kept = nn_halved(*cell, f, (1 << 14) + 1, 15);
    const int32_t added = nn_halved(g, i, p->update, p->update_shift);
    const int32_t state = nn_min(nn_max(kept + added, p->cell_low), p->cell_high);
    *cell = (int16_t)state;

    const int32_t x = (state * p->tanh_multiplier + p->tanh_constant) >> p->tanh_shift;
    const int32_t sum = o * nn_odd_tanh(p, x);
    const int64_t product = (int64_t)(2 * sum) * p->output_multiplier + (INT64_C(1) << 31);
    const int32_t value = (int32_t)(product >> 32) + p->output_constant + (sum < 0 ? -1 : 0);
    return (int8_t)nn_min(nn_max(value >> p->output_shift, INT8_MIN), INT8_MAX);
}

static void nn_units(const nn_lstm_packed_t *p, const uint32_t *x, int16_t *cell, int8_t *output)
{
    const int32_t *stream = p->stream;
    for (int32_t u = 0; u < p->units; u++) {
        int32_t gates[NN_GATES];
        stream = nn_unit_gates(p, x, stream, gates);
        output[u] = nn_unit(p, gates, cell + u);
    }
}

#endif
