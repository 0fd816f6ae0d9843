/* The terms and the output of a sum of int16 values, for the twins. Rounding: double. */
#ifndef NN_SUM_H
#define NN_SUM_H

#include "nn_math.h"
#include "nn_wide.h"

static inline int32_t nn_sum_rescaled(int64_t wide, nn_sum_factor_t factor)
{
    const int64_t product = wide * factor.multiplier + (INT64_C(1) << 31);
    return ((int32_t)(product >> 32) + factor.half + (wide < 0 ? -1 : 0)) >> factor.shift;
}

static inline int32_t nn_sum_whole(int16_t value)
{
    return value * (1 << 14);
}

static inline int32_t nn_sum_part(const nn_sum_s16_t *p, int16_t value)
{
    return nn_sum_rescaled(value * INT64_C(65536), p->part);
}

static inline int16_t nn_sum_output(const nn_sum_s16_t *p, int32_t sum)
{
    return nn_clamp_s16(nn_sum_rescaled(INT64_C(2) * sum, p->output), p->relu ? 0 : INT16_MIN,
                        INT16_MAX);
}

#endif
