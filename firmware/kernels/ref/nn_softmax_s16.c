/* out[r,i] = exp(beta * scale * (in[r,i] - max_r)) / sum over j of the same, in Q0.15
 *
 * exp over -10 .. 0 and 1 / (1 + x) over 0 .. 1 are tables of 512 steps with lines between them;
 * the output holds the exponentials of its row until they are divided. Scratch: none. Rounding:
 * double for the argument of exp, half up elsewhere.
 */
#include "nn_kernels.h"
#include "nn_math.h"

/* The table at x, which counts 128 to an entry; a slope wraps to 16 bits as TFLite Micro's does. */
static int16_t nn_look_up(const int16_t *table, int32_t x)
{
    const int16_t *entry = table + 256 + (x >> 7);
    const int32_t slope = (int16_t)(entry[1] - entry[0]);
    return (int16_t)(entry[0] + ((slope * (x & 127) + 64) >> 7));
}

static int32_t nn_count_leading_zeros(uint32_t x)
{
    int32_t count = 32;
    while (x != 0U) {
        x >>= 1;
        count--;
    }
    return count;
}

static int16_t nn_scaled_exp(const nn_softmax_s16_t *p, int32_t diff)
{
    const int32_t argument = nn_wrapping_add(nn_requantize(diff, p->requant), INT16_MAX);
    return nn_look_up(p->exp_table, nn_clamp_s16(argument, INT16_MIN, INT16_MAX));
}

static void nn_softmax_row(const nn_softmax_s16_t *p, const int16_t *in, int16_t *out)
{
    int32_t max = INT16_MIN;
    for (int32_t i = 0; i < p->depth; i++) {
        max = nn_max(max, in[i]);
    }
    int32_t sum = 0;
    for (int32_t i = 0; i < p->depth; i++) {
        out[i] = nn_scaled_exp(p, in[i] - max);
        sum += out[i];
    }
    const int32_t bits = 32 - nn_count_leading_zeros((uint32_t)sum); /* 15 .. 31 */
    const int32_t shifted = (int32_t)((((int64_t)sum << (31 - bits)) + (1 << 13)) >> 14);
    const int32_t centred = shifted - (1 << 15) - (1 << 16);
    const int32_t scale =
        nn_look_up(p->reciprocal_table, nn_clamp_s16(centred, INT16_MIN, INT16_MAX));
    const int32_t half = INT32_C(1) << (bits - 2);
    for (int32_t i = 0; i < p->depth; i++) {
        out[i] =
            nn_clamp_s16((int32_t)(((int64_t)out[i] * scale + half) >> (bits - 1)), 0, INT16_MAX);
    }
}

void nn_softmax_s16(const nn_softmax_s16_t *p, const int16_t *input, int16_t *output)
{
    for (int32_t row = 0; row < p->rows; row++) {
        nn_softmax_row(p, input + row * p->depth, output + row * p->depth);
    }
}
