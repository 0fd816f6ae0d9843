/* The core's packed instructions, and what they compute for compilers of other machines. */
#ifndef NN_DSP_H
#define NN_DSP_H

#include <stdint.h>
#include <string.h>

#ifdef __ARM_FEATURE_SIMD32
#include <arm_acle.h>

/* Bytes 0 and 2 as two signed halfwords. */
static inline uint32_t nn_sxtb16(uint32_t x)
{
    return (uint32_t)__sxtb16((int8x4_t)x);
}
#else
static inline uint32_t nn_sxtb16(uint32_t x)
{
    return ((uint32_t)(int8_t)(x & 0xFFU) & 0xFFFFU) | ((uint32_t)(int8_t)(x >> 16 & 0xFFU) << 16);
}
#endif

/* Four bytes at any address. */
static inline uint32_t nn_load_word(const void *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

static inline uint32_t nn_rotate_right(uint32_t x, uint32_t bits)
{
    return x >> bits | x << (32U - bits);
}

#endif
