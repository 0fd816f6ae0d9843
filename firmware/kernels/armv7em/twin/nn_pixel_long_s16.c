/* What nn_pixel_long_s16.S computes, for machines without its instructions. Rounding: wide. */
#include "nn_wide_pair.h"

/* Of the product of 64 bits, which may wrap on the way, only the upper word counts. */
static int16_t nn_long_output(uint64_t sum, const int32_t *requant, int32_t shift, nn_form_t form)
{
    const uint64_t product = sum * (uint32_t)requant[0];
    const int32_t high = nn_wrapping_add((int32_t)(product >> 32), requant[1]);
    return nn_clamp_s16(high >> shift, form == NN_WIDE ? INT16_MIN : 0, INT16_MAX);
}

static uint64_t nn_long_start(const int32_t *words)
{
    return (uint64_t)(uint32_t)words[1] << 32 | (uint32_t)words[0];
}

void nn_pixel_long_s16(const nn_quad_t *quad, const uint32_t *x, int16_t *output)
{
    const int32_t *pair = quad->stream;
    for (int32_t channel = 0; channel < quad->count; channel += 2) {
        const int32_t *const requant = pair + 4 + quad->steps;
        uint64_t a = nn_long_start(pair);
        uint64_t b = nn_long_start(pair + 2);
        for (int32_t step = 0; step < quad->steps; step++) {
            const uint32_t word = (uint32_t)pair[4 + step];
            const int32_t low = (int16_t)(x[step] & 0xFFFFU);
            const int32_t high = (int16_t)(x[step] >> 16);
            a += (uint64_t)(int64_t)(low * nn_wide_byte(word, 0) + high * nn_wide_byte(word, 2));
            b += (uint64_t)(int64_t)(low * nn_wide_byte(word, 1) + high * nn_wide_byte(word, 3));
        }
        output[channel] = nn_long_output(a, requant, requant[4] & 0xFF, quad->form);
        if (channel + 1 < quad->count) {
            output[channel + 1] =
                nn_long_output(b, requant + 2, (requant[4] >> 8) & 0xFF, quad->form);
        }
        pair += NN_LONG_WORDS + quad->steps;
    }
}
