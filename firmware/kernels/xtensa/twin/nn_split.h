/* The requantisation of nn_trio.h, for the twins. */
#ifndef NN_SPLIT_H
#define NN_SPLIT_H

#include "nn_math.h"
#include "nn_trio.h"

/* `offset` is added to the sum when it has been kept between least and most. */
static inline int8_t nn_exact_output(int32_t sum, int32_t offset, const nn_exact_t *e)
{
    const int32_t x = nn_min(nn_max(sum, e->least), e->most) + offset;
    const int32_t behind = x * e->mid + (x * e->low >> NN_LOW_BITS);
    int32_t value = x * e->high + (behind >> NN_MID_BITS) + e->constant;
    value += value < 0 ? e->below : e->or_more;
    return (int8_t)(value >> e->shift);
}

static inline int8_t nn_short_output(int32_t sum, const nn_short_t *n, int32_t shift)
{
    const int32_t added = sum < 0 ? n->below : n->or_more;
    const int32_t value = sum * n->high + (sum * n->mid >> NN_MID_BITS) + added;
    return (int8_t)nn_min(nn_max(value >> shift, -128), 127);
}

#endif
