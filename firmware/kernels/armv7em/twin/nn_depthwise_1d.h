/* What the kernels of windows along lines have in common, for machines without their instructions.
 */
#ifndef NN_DEPTHWISE_1D_H
#define NN_DEPTHWISE_1D_H

#include "nn_depthwise.h"
#include "nn_sign.h"

/* Tap k of lane 0 to 3 of a group. */
static inline int32_t nn_1d_tap(const nn_depthwise_group_t *g, int32_t k, int32_t lane)
{
    return g->taps[k / 2 * 2 * NN_GROUP + lane / 2 * 4 + k % 2 * 2 + lane % 2];
}

/* Of a sum without its first value. */
static inline int8_t nn_1d_output(const nn_depthwise_1d_t *p, const int32_t *values, int32_t sum)
{
    if (p->form == NN_SIGN) {
        return nn_sign_output(values[0] / 2 + sum, values[1], values[2], values[3]);
    }
    const int64_t product = (int64_t)nn_wrapping_add(values[0], sum * 256) * values[1];
    const int32_t value = ((int32_t)(product >> 32) + values[2]) >> values[3];
    return (int8_t)nn_min(nn_max(value, -128), 127);
}

#endif
