/* What nn_quad_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_packed.h"
#include "nn_sign.h"

static int32_t nn_low_half(uint32_t word)
{
    return (int16_t)(word & 0xFFFFU);
}

static int32_t nn_high_half(uint32_t word)
{
    return (int16_t)(word >> 16);
}

static int32_t nn_low_byte(int32_t half)
{
    return (int8_t)(half & 0xFF);
}

static int8_t nn_short_output(int32_t sum, nn_form_t form, const int32_t *requant, int32_t shift)
{
    if (form == NN_SIGN) {
        return nn_sign_output(sum, requant[0], requant[1], shift);
    }
    const int64_t product = (int64_t)256 * sum * requant[0];
    const int32_t value = ((int32_t)(product >> 32) + requant[1]) >> shift;
    return (int8_t)nn_min(nn_max(value, -128), 127);
}

void nn_quad_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride)
{
    const int32_t *stream = quad->stream;
    for (int32_t pair = 0; pair < quad->count; pair++) {
        const int32_t *weights = stream + 2;
        const int32_t *requant = weights + quad->steps;
        for (int32_t pixel = 0; pixel < NN_QUAD; pixel++) {
            uint32_t both = (uint32_t)stream[0];
            int32_t b = stream[1];
            for (int32_t step = 0; step < quad->steps; step++) {
                const uint32_t word = (uint32_t)weights[step];
                const uint32_t in = x[NN_QUAD * step + pixel];
                const int32_t low = nn_low_half(word);
                const int32_t high = nn_high_half(word);
                both += (uint32_t)(low * nn_low_half(in) + high * nn_high_half(in));
                b += nn_low_byte(low) * nn_low_half(in) + nn_low_byte(high) * nn_high_half(in);
            }
            const int32_t a = (int32_t)(both - (uint32_t)b) >> 8;
            int8_t *const out = output + pixel * stride + 2 * pair;
            out[0] = nn_short_output(a, quad->form, requant, requant[4] & 0xFF);
            out[1] = nn_short_output(b, quad->form, requant + 2, (requant[4] >> 8) & 0xFF);
        }
        stream = requant + 5;
    }
}
