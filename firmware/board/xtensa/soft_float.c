/* Addition, subtraction and multiplication of floats, and floats of integers, which the core and
 * its libgcc do not have.
 *
 * Exact IEEE 754: rounded to nearest, ties to even, with subnormals. The compiler calls them for
 * +, - and *; division and comparisons are libgcc's. A NaN is any NaN: kernels choose theirs.
 */
#include <stdint.h>

#define HIDDEN (UINT32_C(1) << 23)
#define SIGN (UINT32_C(1) << 31)
#define INFINITE UINT32_C(0x7F800000)
#define NOT_A_NUMBER UINT32_C(0x7FC00000)
#define GUARD 6 /* bits behind a mantissa, the last of them for all that follows */

typedef union {
    float value;
    uint32_t bits;
} float_t32;

float __floatsisf(int32_t value);
float __addsf3(float a, float b);
float __subsf3(float a, float b);
float __mulsf3(float a, float b);

static uint32_t bits_of(float value)
{
    const float_t32 as = {.value = value};
    return as.bits;
}

static float float_of(uint32_t bits)
{
    const float_t32 as = {.bits = bits};
    return as.value;
}

/* Shift right by `count` of at least 0; what falls out leaves a 1 behind. */
static uint32_t shift_sticky(uint32_t value, int32_t count)
{
    if (count > 31) {
        return value != 0 ? 1U : 0U;
    }
    const uint32_t lost = value & ((UINT32_C(1) << count) - 1U);
    return (value >> count) | (lost != 0 ? 1U : 0U);
}

/* The float of a mantissa with GUARD bits; below 2^29 only where the exponent is 1. */
static uint32_t pack(uint32_t sign, int32_t exponent, uint32_t mantissa)
{
    const uint32_t half = UINT32_C(1) << (GUARD - 1);
    const uint32_t rest = mantissa & (2U * half - 1U);
    uint32_t whole = mantissa >> GUARD;
    whole += rest > half || (rest == half && (whole & 1U) != 0) ? 1U : 0U;
    if (exponent > 254) {
        return sign | INFINITE;
    }
    return sign | (((uint32_t)(exponent - 1) << 23) + whole);
}

static int32_t exponent_of(uint32_t size)
{
    const int32_t exponent = (int32_t)(size >> 23);
    return exponent > 0 ? exponent : 1;
}

static uint32_t mantissa_of(uint32_t size)
{
    return size >= HIDDEN ? (size & (HIDDEN - 1U)) | HIDDEN : size;
}

static uint32_t add(uint32_t a, uint32_t b)
{
    if ((a & ~SIGN) < (b & ~SIGN)) {
        const uint32_t smaller = a;
        a = b;
        b = smaller;
    }
    const uint32_t large = a & ~SIGN;
    const uint32_t small = b & ~SIGN;
    const uint32_t sign = a & SIGN;
    const int is_difference = ((a ^ b) & SIGN) != 0;
    if (large >= INFINITE) {
        return large > INFINITE || (small == INFINITE && is_difference) ? NOT_A_NUMBER : a;
    }
    int32_t exponent = exponent_of(large);
    uint32_t sum = mantissa_of(large) << GUARD;
    const uint32_t other = shift_sticky(mantissa_of(small) << GUARD, exponent - exponent_of(small));
    if (!is_difference) {
        sum += other;
        if (sum >= HIDDEN << (GUARD + 1)) {
            sum = shift_sticky(sum, 1);
            exponent++;
        }
        return pack(sign, exponent, sum);
    }
    sum -= other;
    if (sum == 0) {
        return 0;
    }
    while (sum < HIDDEN << GUARD && exponent > 1) {
        sum <<= 1;
        exponent--;
    }
    return pack(sign, exponent, sum);
}

static uint32_t multiply(uint32_t a, uint32_t b)
{
    const uint32_t sign = (a ^ b) & SIGN;
    const uint32_t sizes[2] = {a & ~SIGN, b & ~SIGN};
    if (sizes[0] > INFINITE || sizes[1] > INFINITE) {
        return NOT_A_NUMBER;
    }
    if (sizes[0] == INFINITE || sizes[1] == INFINITE) {
        return sizes[0] == 0 || sizes[1] == 0 ? NOT_A_NUMBER : sign | INFINITE;
    }
    if (sizes[0] == 0 || sizes[1] == 0) {
        return sign;
    }
    int32_t exponent = -127;
    uint64_t product = 1;
    for (int32_t i = 0; i < 2; i++) {
        uint32_t mantissa = mantissa_of(sizes[i]);
        exponent += exponent_of(sizes[i]);
        while (mantissa < HIDDEN) {
            mantissa <<= 1;
            exponent--;
        }
        product *= mantissa;
    }
    /* 2^46 .. 2^48: the upper 31 bits, the last of them for all that follows */
    uint32_t upper = (uint32_t)(product >> 17) | ((product & 0x1FFFFU) != 0 ? 1U : 0U);
    if (upper >= HIDDEN << (GUARD + 1)) {
        upper = shift_sticky(upper, 1);
        exponent++;
    }
    if (exponent < 1) {
        upper = shift_sticky(upper, 1 - exponent);
        exponent = 1;
    }
    return pack(sign, exponent, upper);
}

float __floatsisf(int32_t value)
{
    uint32_t size = value < 0 ? 0U - (uint32_t)value : (uint32_t)value;
    int32_t exponent = 158; /* of a mantissa whose highest bit is bit 31 */
    if (size == 0) {
        return 0.0F;
    }
    while ((size & SIGN) == 0) {
        size <<= 1;
        exponent--;
    }
    return float_of(pack(value < 0 ? SIGN : 0U, exponent, shift_sticky(size, 31 - 23 - GUARD)));
}

float __addsf3(float a, float b)
{
    return float_of(add(bits_of(a), bits_of(b)));
}

float __subsf3(float a, float b)
{
    return float_of(add(bits_of(a), bits_of(b) ^ SIGN));
}

float __mulsf3(float a, float b)
{
    return float_of(multiply(bits_of(a), bits_of(b)));
}
