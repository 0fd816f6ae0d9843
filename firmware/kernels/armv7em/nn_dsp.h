/* The core's packed instructions, and what they compute for compilers of other machines. */
#ifndef NN_DSP_H
#define NN_DSP_H

#include <stdint.h>
#include <string.h>

#ifdef __ARM_FEATURE_SIMD32

/* Bytes 0 and 2 as two signed halfwords. */
static inline uint32_t nn_sxtb16(uint32_t x)
{
#if __GNUC__ >= 10
    return (uint32_t)__builtin_arm_sxtb16((int32_t)x);
#else /* the compiler of Arduino's cores, GCC 7, has no name for it */
    uint32_t halves;
    __asm__("sxtb16 %0, %1" : "=r"(halves) : "r"(x));
    return halves;
#endif
}

/* Bytes 1 and 3. */
static inline uint32_t nn_sxtb16_odd(uint32_t x)
{
    uint32_t halves;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(x));
    return halves;
}

/* Bytes 0 and 2, signed, plus the halfwords of `offsets`. */
static inline uint32_t nn_sxtab16(uint32_t offsets, uint32_t x)
{
    uint32_t halves;
    __asm__("sxtab16 %0, %1, %2" : "=r"(halves) : "r"(offsets), "r"(x));
    return halves;
}

/* Bytes 1 and 3. */
static inline uint32_t nn_sxtab16_odd(uint32_t offsets, uint32_t x)
{
    uint32_t halves;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(halves) : "r"(offsets), "r"(x));
    return halves;
}

/* acc + the products of the two pairs of signed halfwords. */
static inline int32_t nn_smlad(uint32_t a, uint32_t b, int32_t acc)
{
    int32_t sum;
    __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
    return sum;
}

/* acc + the high word of a * b, rounded. */
static inline int32_t nn_smmlar(int32_t a, int32_t b, int32_t acc)
{
    int32_t sum;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
    return sum;
}

/* acc + the upper 32 of the 48 bits of a times the lower, or the upper, signed halfword. */
static inline int32_t nn_smlawb(int32_t a, uint32_t halves, int32_t acc)
{
    int32_t sum;
    __asm__("smlawb %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(halves), "r"(acc));
    return sum;
}

static inline int32_t nn_smlawt(int32_t a, uint32_t halves, int32_t acc)
{
    int32_t sum;
    __asm__("smlawt %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(halves), "r"(acc));
    return sum;
}

/* x, saturated to 8 or to 16 bits. */
static inline int32_t nn_ssat_8(int32_t x)
{
    int32_t kept;
    __asm__("ssat %0, #8, %1" : "=r"(kept) : "r"(x));
    return kept;
}

static inline int32_t nn_ssat_16(int32_t x)
{
    int32_t kept;
    __asm__("ssat %0, #16, %1" : "=r"(kept) : "r"(x));
    return kept;
}

/* The larger of each two signed bytes. */
static inline uint32_t nn_max_bytes(uint32_t a, uint32_t b)
{
#if __GNUC__ >= 10
    (void)__builtin_arm_ssub8((int32_t)a, (int32_t)b);
    return __builtin_arm_sel(a, b);
#else /* in one, as the second reads the flags of the first */
    uint32_t larger;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(larger) : "r"(a), "r"(b) : "cc");
    return larger;
#endif
}
#elif defined(NN_INSTRUCTIONS)
#error "NN_INSTRUCTIONS: this core has no packed instructions; see -mcpu"
#else
static inline uint32_t nn_sxtb16(uint32_t x)
{
    return ((uint32_t)(int8_t)(x & 0xFFU) & 0xFFFFU) | ((uint32_t)(int8_t)(x >> 16 & 0xFFU) << 16);
}

static inline uint32_t nn_sxtb16_odd(uint32_t x)
{
    return nn_sxtb16(x >> 8);
}

static inline uint32_t nn_sxtab16(uint32_t offsets, uint32_t x)
{
    const uint32_t low = (offsets + (x ^ 0x80U) % 0x100U - 0x80U) & 0xFFFFU;
    const uint32_t high = (offsets >> 16) + (x >> 16 ^ 0x80U) % 0x100U - 0x80U;
    return low | high << 16;
}

static inline uint32_t nn_sxtab16_odd(uint32_t offsets, uint32_t x)
{
    return nn_sxtab16(offsets, x >> 8);
}

static inline int32_t nn_smlad(uint32_t a, uint32_t b, int32_t acc)
{
    const int32_t low = (int16_t)(a & 0xFFFFU) * (int16_t)(b & 0xFFFFU);
    return acc + low + (int16_t)(a >> 16) * (int16_t)(b >> 16);
}

static inline int32_t nn_smmlar(int32_t a, int32_t b, int32_t acc)
{
    return acc + (int32_t)(((int64_t)a * b + (INT64_C(1) << 31)) >> 32);
}

static inline int32_t nn_smlawb(int32_t a, uint32_t halves, int32_t acc)
{
    return acc + (int32_t)((int64_t)a * (int16_t)(halves & 0xFFFFU) >> 16);
}

static inline int32_t nn_smlawt(int32_t a, uint32_t halves, int32_t acc)
{
    return acc + (int32_t)((int64_t)a * (int16_t)(halves >> 16) >> 16);
}

static inline int32_t nn_ssat(int32_t x, int32_t limit)
{
    return x < -limit ? -limit : x >= limit ? limit - 1 : x;
}

static inline int32_t nn_ssat_8(int32_t x)
{
    return nn_ssat(x, 1 << 7);
}

static inline int32_t nn_ssat_16(int32_t x)
{
    return nn_ssat(x, 1 << 15);
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

/* Inputs, four at a time, as steps of two: bytes (0, 2), then (1, 3). `steps` is even and not 0.
 * Returns where the next ones go. */
static inline uint32_t *nn_widen_steps(uint32_t *x, const int8_t *in, int32_t steps)
{
    uint32_t *const end = x + steps;
    do {
        const uint32_t word = nn_load_word(in);
        in += sizeof(word);
        *x++ = nn_sxtb16(word);
        *x++ = nn_sxtb16_odd(word);
    } while (x != end);
    return end;
}

#endif
