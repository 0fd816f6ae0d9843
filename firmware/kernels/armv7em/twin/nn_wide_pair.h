/* Two channels of an nn_quad_t of int16 and one pixel, for the twins. Rounding: wide. */
#ifndef NN_WIDE_PAIR_H
#define NN_WIDE_PAIR_H

#include "nn_math.h"
#include "nn_wide.h"

static inline int32_t nn_wide_byte(uint32_t word, int32_t place)
{
    return (int8_t)(word >> (8 * place) & 0xFFU);
}

static inline int16_t nn_wide_output(int32_t sum, int32_t multiplier, int32_t constant,
                                     int32_t shift, nn_form_t form)
{
    const int32_t high = (int32_t)((int64_t)sum * multiplier >> 16);
    return nn_clamp_s16((high + constant) >> shift, form == NN_WIDE ? INT16_MIN : 0, INT16_MAX);
}

/* The outputs of A and B; `pair` points to theirs in the stream, step i of the pixel is x[i * by].
 */
static inline void nn_wide_outputs(const nn_quad_t *quad, const int32_t *pair, const uint32_t *x,
                                   int32_t by, int16_t *outputs)
{
    const int32_t *const requant = pair + 2 + quad->steps;
    uint32_t a = (uint32_t)pair[0];
    uint32_t b = (uint32_t)pair[1];
    for (int32_t step = 0; step < quad->steps; step++) {
        const uint32_t word = (uint32_t)pair[2 + step];
        const int32_t low = (int16_t)(x[by * step] & 0xFFFFU);
        const int32_t high = (int16_t)(x[by * step] >> 16);
        a += (uint32_t)(low * nn_wide_byte(word, 0) + high * nn_wide_byte(word, 2));
        b += (uint32_t)(low * nn_wide_byte(word, 1) + high * nn_wide_byte(word, 3));
    }
    outputs[0] = nn_wide_output((int32_t)a, (int16_t)(requant[0] & 0xFFFF), requant[1],
                                requant[3] & 0xFF, quad->form);
    outputs[1] = nn_wide_output((int32_t)b, requant[0] >> 16, requant[2], (requant[3] >> 8) & 0xFF,
                                quad->form);
}

#endif
