/* What nn_winograd_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_pair.h"
#include "nn_rows.h"

#define NN_HEADER 7 /* words before the steps of a pair */

/* The sum of a phase's products for one channel and one tile, which may wrap around. */
static uint32_t nn_phase(const nn_quad_t *quad, const int32_t *weights, const uint32_t *x,
                         int32_t phase)
{
    uint32_t sum = 0;
    for (int32_t step = 0; step < quad->steps; step++) {
        const uint32_t w = (uint32_t)weights[2 * (phase * quad->steps + step)];
        const uint32_t in = x[NN_WINOGRAD_WORDS * step + NN_QUAD * phase];
        sum += (uint32_t)(nn_low_half(w) * nn_low_half(in));
        sum += (uint32_t)(nn_high_half(w) * nn_high_half(in));
    }
    return sum;
}

/* `value` is the sum << p. */
static int8_t nn_phase_output(const nn_quad_t *quad, int32_t value, const int32_t *requant,
                              int32_t shift)
{
    const int32_t round = quad->form == NN_SIGN ? 1 : 0;
    const int64_t product = (int64_t)value * requant[0] + ((int64_t)round << 31);
    const int32_t output = (int32_t)(product >> 32) - (value < 0 ? round : 0) + requant[1];
    return (int8_t)nn_min(nn_max(output >> shift, -128), 127);
}

void nn_winograd_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride)
{
    const int32_t *pair = quad->stream;
    for (int32_t c = 0; c < quad->count; c++) {
        const int32_t b = c & 1;
        const int32_t *const weights = pair + NN_HEADER + b;
        const int32_t *const requant = pair + 2 + 2 * b;
        const int32_t shift = (pair[6] >> (8 * b)) & 0xFF;
        for (int32_t tile = 0; tile < NN_QUAD; tile++) {
            const uint32_t sum = (uint32_t)pair[b] + nn_phase(quad, weights, x + tile, 0);
            const uint32_t difference = nn_phase(quad, weights, x + tile, 1);
            const uint32_t even = sum + difference + nn_phase(quad, weights, x + tile, 2);
            const uint32_t odd = sum - difference + nn_phase(quad, weights, x + tile, 3);
            int8_t *const to = output + tile * stride + c;
            to[0] = nn_phase_output(quad, (int32_t)even, requant, shift);
            to[quad->count] = nn_phase_output(quad, (int32_t)odd, requant, shift);
        }
        pair += b == 0 ? 0 : NN_HEADER + 2 * NN_WINOGRAD_PHASES * quad->steps;
    }
}
