/* The logistic function and the hyperbolic tangent in Q0.15, of arguments in units of 1 / 12288.
 *
 * Both read a table of NN_SIGMOID_ENTRIES, 1 / (1 + exp(-k / 24)) in Q0.16; between two entries it
 * is a line, beyond the last one 1. Values are rounded half away from the middle of their range.
 */
#ifndef NN_SIGMOID_H
#define NN_SIGMOID_H

#include "nn_types.h"

/* The argument, rounded half up, from a value, its factor and a shift to the right. */
static inline int32_t nn_sigmoid_argument(int16_t x, int32_t multiplier, int32_t right_shift)
{
    const int32_t half = right_shift > 0 ? INT32_C(1) << (right_shift - 1) : 0;
    return (x * multiplier + half) >> right_shift;
}

/* The table at |x| / 2^bits, with `bits` more bits than its entries; `beyond` behind its end. */
static inline int32_t nn_sigmoid_line(const uint16_t *table, int32_t x, int32_t bits,
                                      int32_t beyond)
{
    const uint32_t size = x < 0 ? 0U - (uint32_t)x : (uint32_t)x;
    const uint32_t index = size >> bits;
    if (index >= NN_SIGMOID_ENTRIES - 1U) {
        return beyond;
    }
    const uint32_t low = table[index];
    const uint32_t rest = size & ((UINT32_C(1) << bits) - 1U);
    return (int32_t)((low << bits) + rest * (table[index + 1U] - low));
}

static inline int16_t nn_logistic(const uint16_t *table, int32_t x)
{
    const int32_t q25 = nn_sigmoid_line(table, x, 9, INT32_C(0x7FFF) << 10);
    return (int16_t)((x >= 0 ? q25 + 512 : (INT32_C(1) << 25) - q25 + 511) >> 10);
}

static inline int16_t nn_tanh(const uint16_t *table, int32_t x)
{
    const int32_t q24 = nn_sigmoid_line(table, x, 8, INT32_C(0xFFFF) << 8) - (INT32_C(1) << 23);
    return (int16_t)((x >= 0 ? q24 + 128 : 127 - q24) >> 8);
}

#endif
