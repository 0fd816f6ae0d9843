/* The 64-bit helpers that the compiler calls and this toolchain's libgcc lacks (on the chip it was
 * made for they stand in ROM). */
#include <stdint.h>

#define HALF_MASK 0xFFFFu

uint64_t __umulsidi3(uint32_t a, uint32_t b);
int64_t __muldi3(int64_t a, int64_t b);
uint64_t __udivdi3(uint64_t a, uint64_t b);
uint64_t __umoddi3(uint64_t a, uint64_t b);
int64_t __divdi3(int64_t a, int64_t b);

uint64_t __umulsidi3(uint32_t a, uint32_t b)
{
    uint32_t low = (a & HALF_MASK) * (b & HALF_MASK);
    uint32_t middle1 = (a >> 16) * (b & HALF_MASK);
    uint32_t middle2 = (a & HALF_MASK) * (b >> 16);
    uint32_t high = (a >> 16) * (b >> 16);
    middle1 += low >> 16; /* at most 0xFFFE0001 + 0xFFFE: no carry */
    middle1 += middle2;
    if (middle1 < middle2) {
        high += 0x10000u;
    }
    high += middle1 >> 16;
    return ((uint64_t)high << 32) | (middle1 << 16) | (low & HALF_MASK);
}

int64_t __muldi3(int64_t a, int64_t b)
{
    uint32_t a_low = (uint32_t)a;
    uint32_t b_low = (uint32_t)b;
    uint32_t cross = a_low * (uint32_t)((uint64_t)b >> 32) + b_low * (uint32_t)((uint64_t)a >> 32);
    return (int64_t)(__umulsidi3(a_low, b_low) + ((uint64_t)cross << 32));
}

/* Schoolbook division, one bit a step; the remainder goes to `rest`. By zero: all ones and a. */
static uint64_t divide(uint64_t a, uint64_t b, uint64_t *rest)
{
    uint64_t remainder = 0;
    for (int i = 0; i < 64; i++) {
        uint32_t carry = (uint32_t)(remainder >> 63);
        remainder = (remainder << 1) | (a >> 63);
        a <<= 1;
        if (carry != 0 || remainder >= b) {
            remainder -= b;
            a |= 1u;
        }
    }
    *rest = remainder;
    return a;
}

uint64_t __udivdi3(uint64_t a, uint64_t b)
{
    uint64_t rest;
    return divide(a, b, &rest);
}

uint64_t __umoddi3(uint64_t a, uint64_t b)
{
    uint64_t rest;
    (void)divide(a, b, &rest);
    return rest;
}

int64_t __divdi3(int64_t a, int64_t b)
{
    uint64_t rest;
    uint64_t quotient = divide(a < 0 ? 0u - (uint64_t)a : (uint64_t)a,
                               b < 0 ? 0u - (uint64_t)b : (uint64_t)b, &rest);
    return (int64_t)((a < 0) != (b < 0) ? 0u - quotient : quotient);
}
