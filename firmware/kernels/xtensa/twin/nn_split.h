/* The requantisation of nn_trio.h, for the twins. */
#ifndef NN_SPLIT_H
#define NN_SPLIT_H

#include "nn_math.h"
#include "nn_trio.h"

static inline int8_t nn_split_output(int32_t sum, const nn_split_t *s, int32_t by_sign)
{
    const int32_t x = nn_min(nn_max(sum, s->least), s->most);
    int32_t value = x * s->high + (x * s->low >> NN_SPLIT_BITS) + s->constant;
    if (by_sign) {
        value += value < 0 ? s->below : s->or_more;
    }
    return (int8_t)(value >> s->shift);
}

#endif
