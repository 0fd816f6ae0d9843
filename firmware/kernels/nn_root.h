/* 1 / sqrt(x) by Newton-Raphson in gemmlowp's fixed point, Q3.28, bit for bit TFLite Micro's. */
#ifndef NN_ROOT_H
#define NN_ROOT_H

#include "nn_math.h"

#define NN_ONE (INT32_C(1) << 28)

/* x * 2^shift, kept within int32. */
static inline int32_t nn_saturating_shift_left(int32_t x, int32_t shift)
{
    const int32_t limit = INT32_MAX >> shift;
    if (x > limit) {
        return INT32_MAX;
    }
    return x < -limit - 1 ? INT32_MIN : nn_shift_left(x, shift);
}

/* 1 / sqrt(x) for x of at least 0; 0 counts as 1. */
static inline nn_requant_t nn_inverse_root(int32_t x)
{
    if (x <= 1) {
        return (nn_requant_t){INT32_MAX, 0};
    }
    int32_t right = 11;
    while (x >= 1 << 29) {
        x /= 4;
        right++;
    }
    while (x < 1 << 27) {
        x *= 4;
        right--;
    }
    const int32_t half = nn_rounding_shift_right(x >> 1, 1);
    int32_t root = NN_ONE;
    for (int32_t i = 0; i < 5; i++) {
        const int32_t squared = nn_doubling_high_mul(root, root);
        const int32_t cubed = nn_saturating_shift_left(nn_doubling_high_mul(squared, root), 6);
        const int32_t next =
            nn_doubling_high_mul(NN_ONE + NN_ONE / 2, root) - nn_doubling_high_mul(half, cubed);
        root = nn_saturating_shift_left(next, 3);
    }
    root = nn_doubling_high_mul(root, NN_SQRT_HALF);
    return right < 0 ? (nn_requant_t){nn_shift_left(root, -right), 0}
                     : (nn_requant_t){root, -right};
}

#endif
