/* Sums and outputs of nn_mac16.h, for the twins. */
#ifndef NN_MAC_TWIN_H
#define NN_MAC_TWIN_H

#include <stddef.h>

#include "nn_mac16.h"
#include "nn_math.h"

/* What stands behind a channel's numbers. */
static inline const int16_t *nn_mac_weights(const nn_mac_t *mac)
{
    const bool is_kept = (mac->shift & NN_MAC_KEPT) != 0;
    const size_t bytes = is_kept ? sizeof(nn_mac_kept_t) : sizeof(nn_mac_t);
    return (const int16_t *)(const void *)((const int8_t *)mac + bytes);
}

static inline int32_t nn_mac_sum(int32_t first, const int16_t *x, const int16_t *weights,
                                 int32_t count)
{
    uint32_t sum = (uint32_t)first;
    for (int32_t k = 0; k < count; k++) {
        sum += (uint32_t)(x[k] * weights[k]);
    }
    return (int32_t)sum;
}

static inline int8_t nn_mac_output(const nn_mac_t *mac, int32_t sum)
{
    int32_t x = sum, added = mac->or_more;
    const int32_t shift = mac->shift & (NN_MAC_KEPT - 1);
    const bool is_kept = (mac->shift & NN_MAC_KEPT) != 0;
    if (is_kept) {
        const nn_mac_kept_t *const kept = (const nn_mac_kept_t *)(const void *)mac;
        x = nn_min(nn_max(x, kept->least), kept->most);
        added = x < 0 ? kept->below : added;
    }
    const int32_t value = x * mac->high + (x * mac->mid >> NN_MID_BITS) + added;
    const int32_t output = value >> shift;
    return (int8_t)(is_kept ? output : nn_min(nn_max(output, -128), 127));
}

#endif
