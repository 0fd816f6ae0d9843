/* What the kernels of 3 x 3 have in common, for machines without their instructions. */
#ifndef NN_DEPTHWISE_GROUP_H
#define NN_DEPTHWISE_GROUP_H

#include "nn_packed.h"
#include "nn_sign.h"

static inline int32_t nn_half(uint32_t word, int32_t high)
{
    return (int16_t)(high ? word >> 16 : word & 0xFFFFU);
}

/* Of a sum that is shifted left already; in NN_SIGN by one. */
static inline int8_t nn_short_value(int32_t sum, nn_form_t form, const int32_t *requant)
{
    if (form == NN_SIGN) {
        return nn_sign_output(sum / 2, requant[0], requant[1], requant[2]);
    }
    const int64_t product = (int64_t)sum * requant[0];
    const int32_t value = ((int32_t)(product >> 32) + requant[1]) >> 12;
    return (int8_t)nn_min(nn_max(value, -128), 127);
}

#endif
