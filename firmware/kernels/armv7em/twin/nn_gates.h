/* What nn_gates.inc computes, for machines without its instructions. */
#ifndef NN_GATES_H
#define NN_GATES_H

#include "nn_math.h"
#include "nn_packed.h"

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

#endif
