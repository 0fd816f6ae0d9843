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

/* Bytes 0 and 2 of x, or 1 and 3, as signed halfwords added to those of `sums`. */
static inline uint32_t nn_add_even_bytes(uint32_t sums, uint32_t x)
{
    __asm__("sxtab16 %0, %1, %2" : "=r"(sums) : "r"(sums), "r"(x));
    return sums;
}

static inline uint32_t nn_add_odd_bytes(uint32_t sums, uint32_t x)
{
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(sums) : "r"(sums), "r"(x));
    return sums;
}

/* The larger of each two signed bytes. */
static inline uint32_t nn_max_bytes(uint32_t a, uint32_t b)
{
    (void)__ssub8((int8x4_t)a, (int8x4_t)b);
    return __sel(a, b);
}

/* sum + the product of the low halfwords, or of the high ones. */
static inline int32_t nn_add_low_product(int32_t sum, uint32_t a, uint32_t b)
{
    return __smlabb((int32_t)a, (int32_t)b, sum);
}

static inline int32_t nn_add_high_product(int32_t sum, uint32_t a, uint32_t b)
{
    return __smlatt((int32_t)a, (int32_t)b, sum);
}
#else
static inline uint32_t nn_add_halves(uint32_t a, uint32_t b)
{
    return ((a + b) & 0xFFFFU) | (((a >> 16) + (b >> 16)) << 16);
}

static inline uint32_t nn_sxtb16(uint32_t x)
{
    return ((uint32_t)(int8_t)(x & 0xFFU) & 0xFFFFU) | ((uint32_t)(int8_t)(x >> 16 & 0xFFU) << 16);
}

static inline uint32_t nn_add_even_bytes(uint32_t sums, uint32_t x)
{
    return nn_add_halves(sums, nn_sxtb16(x));
}

static inline uint32_t nn_add_odd_bytes(uint32_t sums, uint32_t x)
{
    return nn_add_halves(sums, nn_sxtb16(x >> 8));
}

static inline uint32_t nn_max_bytes(uint32_t a, uint32_t b)
{
    uint32_t larger = 0;
    for (uint32_t bits = 0; bits < 32U; bits += 8U) {
        const uint32_t from = (int8_t)(a >> bits & 0xFFU) >= (int8_t)(b >> bits & 0xFFU) ? a : b;
        larger |= from & (0xFFU << bits);
    }
    return larger;
}

static inline int32_t nn_add_low_product(int32_t sum, uint32_t a, uint32_t b)
{
    const int32_t product = (int16_t)(a & 0xFFFFU) * (int16_t)(b & 0xFFFFU);
    return (int32_t)((uint32_t)sum + (uint32_t)product);
}

static inline int32_t nn_add_high_product(int32_t sum, uint32_t a, uint32_t b)
{
    return nn_add_low_product(sum, a >> 16, b >> 16);
}
#endif

/* The smaller of each two signed bytes: ~x = -1 - x turns the order around. */
static inline uint32_t nn_min_bytes(uint32_t a, uint32_t b)
{
    return ~nn_max_bytes(~a, ~b);
}

static inline uint32_t nn_four_bytes(int32_t value)
{
    return ((uint32_t)value & 0xFFU) * 0x01010101U;
}

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
