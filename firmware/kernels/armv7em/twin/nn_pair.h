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

static inline int8_t nn_short_output(int32_t sum, nn_form_t form, const int32_t *requant,
                                     int32_t shift)
{
    if (form == NN_SIGN) {
        return nn_sign_output(sum, requant[0], requant[1], shift);
    }
    const int64_t product = (int64_t)256 * sum * requant[0];
    const int32_t value = ((int32_t)(product >> 32) + requant[1]) >> shift;
    return (int8_t)nn_min(nn_max(value, -128), 127);
}

/* Of 256 * sum + f, in the form NN_JUMP. */
static inline int8_t nn_jump_output(int32_t scaled, const int32_t *requant)
{
    const int64_t product = (int64_t)scaled * requant[0];
    const int32_t constant = requant[1] & ~(int32_t)((uint32_t)scaled >> 24);
    const int32_t value = ((int32_t)(product >> 32) + constant) >> 14;
    return (int8_t)nn_min(nn_max(value, -128), 127);
}

/* The outputs of A and B; `pair` points to theirs in the stream, step i of the pixel is x[i * by].
 */
static inline void nn_pair_outputs(const nn_quad_t *quad, const int32_t *pair, const uint32_t *x,
                                   int32_t by, int8_t *outputs)
{
    const int32_t *const requant = pair + 2 + quad->steps;
    uint32_t both = (uint32_t)pair[0];
    int32_t b = pair[1];
    for (int32_t step = 0; step < quad->steps; step++) {
        const uint32_t word = (uint32_t)pair[2 + step];
        const uint32_t in = x[by * step];
        const int32_t low = nn_low_half(word);
        const int32_t high = nn_high_half(word);
        both += (uint32_t)(low * nn_low_half(in) + high * nn_high_half(in));
        b += nn_low_byte(low) * nn_low_half(in) + nn_low_byte(high) * nn_high_half(in);
    }
    const int32_t scaled = (int32_t)(both - (uint32_t)b);
    if (quad->form == NN_JUMP) {
        outputs[0] = nn_jump_output(scaled, requant);
        outputs[1] = nn_jump_output(256 * b + requant[4], requant + 2);
        return;
    }
    const int32_t a = scaled >> 8;
    outputs[0] = nn_short_output(a, quad->form, requant, requant[4] & 0xFF);
    outputs[1] = nn_short_output(b, quad->form, requant + 2, (requant[4] >> 8) & 0xFF);
}

#endif
