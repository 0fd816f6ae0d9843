/* Parts of front ends; nothing outside this folder includes it. Relies on arithmetic right shift
 * of negative values, which every supported compiler provides.
 */
#ifndef FE_PARTS_H
#define FE_PARTS_H

#include "fe.h"

/* A bin of the FFT: a complex number, and in its place later the power. */
typedef union {
    struct {
        int32_t re, im;
    } z;
    uint64_t power;
} fe_bin_t;

/* One value, -32768 .. 32767, by its scale. */
int16_t fe_scaled(int32_t value, const fe_scale_t *scale);

/* to[size] = the ring's values from place `oldest` on. */
void fe_copy_ring(int16_t *to, const int16_t *ring, int32_t size, int32_t oldest);

/* log2(value) in Q8, rounded; 0 for 0. At most 64 * 256. */
int32_t fe_log2(const fe_spectrum_t *spectrum, uint64_t value);

/* The analysis window over a frame of the ring size, from place `first` on, minus `mean`:
 * bins[k].z = samples 2k and 2k + 1, times 2^7. |sample - mean| < 2^16. */
void fe_load(const fe_spectrum_t *spectrum, const int16_t *ring, int32_t size, int32_t first,
             int32_t mean, fe_bin_t *bins);

/* In place: bins[0 .. points / 2].power of the samples that fe_load has put there.
 * X[k] = 2^7 * 2 / points * sum of window * sample * exp(-2 pi i j k / points). */
void fe_power(const fe_spectrum_t *spectrum, fe_bin_t *bins);

/* The weighted power of one filter's bins; *weights moves on to the next filter's. The sum of all
 * weighted powers stays below 2^63, because a frame's powers add up to at most 2^48 (Parseval). */
uint64_t fe_filter(const fe_bin_t *bins, const fe_filter_t *filter, const uint16_t **weights);

#endif
