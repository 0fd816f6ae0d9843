/* Two channels of an nn_quad_t and one pixel, for the twins. Rounding: double. */
#ifndef NN_PAIR_H
#define NN_PAIR_H

#include "nn_packed.h"
#include "nn_sign.h"

static inline int32_t nn_low_half(uint32_t word)
{
    return (int16_t)(word & 0xFFFFU);
}

static inline int32_t nn_high_half(uint32_t word)
{
    return (int16_t)(word >> 16);
}

static inline int32_t nn_low_byte(int32_t half)
{
    return (int8_t)(half & 0xFF);
}

static inline int8_t nn_short_output(int32_t sum, nn_form_t form, int32_t multiplier,
                                     int32_t constant, int32_t shift)
{
    if (form == NN_SIGN) {
        return nn_sign_output(sum, multiplier, constant, shift);
    }
    const int64_t product = (int64_t)256 * sum * multiplier;
    const int32_t value = ((int32_t)(product >> 32) + constant) >> shift;
    return (int8_t)nn_min(nn_max(value, -128), 127);
}

/* Of v = 256 * sum + f, in the form NN_JUMP. */
static inline int8_t nn_jump_output(int32_t v, int32_t multiplier, int32_t constant)
{
    const int64_t product = (int64_t)v * multiplier;
    const int32_t masked = constant & ~(int32_t)((uint32_t)v >> 24);
    const int32_t value = ((int32_t)(product >> 32) + masked) >> 14;
    return (int8_t)nn_min(nn_max(value, -128), 127);
}

/* The outputs of A and B; `pair` points to theirs in the stream, step i of the pixel is x[i * by].
 */
static inline void nn_pair_outputs(const nn_quad_t *quad, const int32_t *pair, const uint32_t *x,
                                   int32_t by, int8_t *outputs)
{
    const int32_t *const numbers = pair + 2 + quad->steps;
    const uint32_t packed = (uint32_t)numbers[2];
    const int32_t more[2] = {(int32_t)(packed & 0xFFFFU), (int32_t)(packed >> 16)};
    const int32_t shifts[2] = {(int32_t)(packed & 0xFFU), (int32_t)(packed >> 8 & 0xFFU)};
    uint32_t both = (uint32_t)pair[0];
    uint32_t b = (uint32_t)pair[1];
    for (int32_t step = 0; step < quad->steps; step++) {
        const uint32_t word = (uint32_t)pair[2 + step];
        const uint32_t in = x[by * step];
        const int32_t low = nn_low_half(word);
        const int32_t high = nn_high_half(word);
        both += (uint32_t)(low * nn_low_half(in) + high * nn_high_half(in));
        b += (uint32_t)(nn_low_byte(low) * nn_low_half(in) + nn_low_byte(high) * nn_high_half(in));
    }
    const int32_t v = (int32_t)(both - b);
    if (quad->form == NN_JUMP) {
        outputs[0] =
            nn_jump_output(v, numbers[0], quad->constant + 8 * (int32_t)(packed >> 8 & 0x3FFU));
        outputs[1] = nn_jump_output((int32_t)(b << 8 | (packed & 0xFFU)), numbers[1],
                                    quad->constant + 8 * (int32_t)(packed >> 22));
        return;
    }
    const int32_t sums[2] = {v >> 8, (int32_t)b};
    for (int32_t i = 0; i < 2; i++) {
        const int32_t fixed = quad->form == NN_FIXED_8;
        const int32_t constant = fixed ? quad->constant + more[i] : numbers[3 + i];
        outputs[i] = nn_short_output(sums[i], (nn_form_t)quad->form, numbers[i], constant,
                                     fixed ? 12 : shifts[i]);
    }
}

#endif
