/* The short form NN_SIGN of nn_quad.h, for the twins. */
#ifndef NN_SIGN_H
#define NN_SIGN_H

#include "nn_math.h"

static inline int8_t nn_sign_output(int32_t sum, int32_t multiplier, int32_t constant,
                                    int32_t shift)
{
    const int64_t product = (int64_t)2 * sum * multiplier + (INT64_C(1) << 31);
    const int32_t value = ((int32_t)(product >> 32) + (sum < 0 ? -1 : 0) + constant) >> shift;
    return (int8_t)nn_min(nn_max(value, -128), 127);
}

#endif
