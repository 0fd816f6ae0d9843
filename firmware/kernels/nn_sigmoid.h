/* What the logistic function and the hyperbolic tangent of int16 share. */
#ifndef NN_SIGMOID_H
#define NN_SIGMOID_H

#include "nn_types.h"

/* The input in units of 1 / 12288, rounded half up. */
static inline int32_t nn_sigmoid_argument(const nn_sigmoid_t *p, int16_t x)
{
    const int32_t half = p->right_shift > 0 ? INT32_C(1) << (p->right_shift - 1) : 0;
    return (x * p->multiplier + half) >> p->right_shift;
}

/* The table at x / 2^bits, with `bits` more bits than its entries; `beyond` behind its end. */
static inline uint32_t nn_sigmoid_line(const nn_sigmoid_t *p, uint32_t x, uint32_t bits,
                                       uint32_t beyond)
{
    const uint32_t index = x >> bits;
    if (index >= NN_SIGMOID_ENTRIES - 1U) {
        return beyond;
    }
    const uint32_t low = p->table[index];
    const uint32_t rest = x & ((UINT32_C(1) << bits) - 1U);
    return (low << bits) + rest * (p->table[index + 1U] - low);
}

#endif
