/* What all forms of softmax of int8 share, those of nn_softmax.h and those with a table of
 * exponentials: the scale of a row. */
#ifndef NN_SOFTMAX_SCALE_H
#define NN_SOFTMAX_SCALE_H

#include "nn_math.h"

#define NN_ACCUMULATOR_INTEGER_BITS 12
#define NN_512 (INT32_C(512) << (31 - NN_ACCUMULATOR_INTEGER_BITS))

/* x / 2^exponent to the nearest, for x of at least 0 and exponent 1 .. 31. */
static inline int32_t nn_half_up(int32_t x, int32_t exponent)
{
    return (int32_t)(((uint32_t)x + (UINT32_C(1) << (exponent - 1))) >> exponent);
}

/* a * b / 2^32 to the nearest: nn_doubling_high_mul of a / 2 and b, but one instruction of many
 * cores. */
static inline int32_t nn_high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 31)) >> 32);
}

/* 1 / d in Q1.30 for d in Q0.31 within [1/2, 1), at most INT32_MAX: three Newton-Raphson steps in
 * Q2.29. */
static inline int32_t nn_reciprocal(int32_t d)
{
    int32_t x = 1515870810 + nn_high_mul(2 * -1010580540, d);
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = (INT32_C(1) << 29) - nn_doubling_high_mul(d, x);
        x += nn_shift_left(nn_high_mul(2 * error, x), 2);
    }
    return x > INT32_MAX >> 1 ? INT32_MAX : nn_shift_left(x, 1);
}

typedef struct {
    int32_t scale;    /* 1 / sum, without its power of two */
    int32_t exponent; /* by which products are shifted for 0 integer bits and no others */
} nn_softmax_scale_t;

/* 1 / sum in Q12.19; the exponent is 31 to 42. */
static inline nn_softmax_scale_t nn_softmax_scale(int32_t sum)
{
    int32_t exponent = NN_ACCUMULATOR_INTEGER_BITS + 30;
    for (; sum <= INT32_MAX >> 1; sum <<= 1) {
        exponent--;
    }
    return (nn_softmax_scale_t){nn_reciprocal(sum), exponent};
}

/* exponential * scale / 2^exponent to the nearest, for an exponent of 2 to 32: what is left of the
 * product, which is positive, is its high word. */
static inline int32_t nn_softmax_part(int32_t exponential, int32_t scale, int32_t exponent)
{
    const uint64_t product = (uint64_t)(uint32_t)exponential * (uint32_t)scale;
    return nn_half_up((int32_t)((product + (UINT64_C(1) << 30)) >> 32), exponent - 1);
}

#endif
