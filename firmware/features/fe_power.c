/* Analysis window, real FFT and power.
 *
 * Samples 2k and 2k + 1 are one complex number, so points / 2 complex points are transformed.
 * Every step of butterflies halves, so no number ever grows: loaded parts are below 2^23
 * (|sample - mean| < 2^16, window < 2^15, >> 8), magnitudes below 2^23.5, and the products of the
 * upper 16 bits with Q15 twiddles, |z| * |w|, below 2^30.5.
 */
#include "fe_parts.h"

typedef struct {
    int32_t re, im;
} complex_t;

/* z * w / 2^15, rounded; two products of 16 bits for each of 32, so no 64-bit arithmetic. */
static complex_t rotate(complex_t z, const int16_t *w)
{
    const int32_t high_re = z.re >> 8, low_re = z.re & 255;
    const int32_t high_im = z.im >> 8, low_im = z.im & 255;
    const int32_t re = high_re * w[0] - high_im * w[1] + ((low_re * w[0] - low_im * w[1]) >> 8);
    const int32_t im = high_re * w[1] + high_im * w[0] + ((low_re * w[1] + low_im * w[0]) >> 8);
    return (complex_t){.re = (re + 64) >> 7, .im = (im + 64) >> 7};
}

static complex_t get(const fe_bin_t *bin)
{
    return (complex_t){.re = bin->z.re, .im = bin->z.im};
}

/* (a + b) / 2 and (a - b) / 2. */
static void butterfly(fe_bin_t *to_sum, fe_bin_t *to_difference, complex_t a, complex_t b)
{
    to_sum->z.re = (a.re + b.re + 1) >> 1;
    to_sum->z.im = (a.im + b.im + 1) >> 1;
    to_difference->z.re = (a.re - b.re + 1) >> 1;
    to_difference->z.im = (a.im - b.im + 1) >> 1;
}

static void reverse_bits(fe_bin_t *bins, int32_t count)
{
    for (int32_t i = 1, j = 0; i < count; i++) {
        int32_t bit = count >> 1;
        while ((j & bit) != 0) {
            j ^= bit;
            bit >>= 1;
        }
        j |= bit;
        if (i < j) {
            const fe_bin_t kept = bins[i];
            bins[i] = bins[j];
            bins[j] = kept;
        }
    }
}

/* Complex FFT in place, decimation in time, divided by count. */
static void transform(const int16_t *twiddles, fe_bin_t *bins, int32_t count)
{
    reverse_bits(bins, count);
    int32_t step = count; /* of the twiddles: exp(-2 pi i / (2 half)) is number count / half */
    for (int32_t half = 1; half < count; half *= 2) {
        for (int32_t i = 0; i < count; i += 2 * half) {
            butterfly(&bins[i], &bins[i + half], get(&bins[i]), get(&bins[i + half]));
        }
        for (int32_t j = 1; j < half; j++) {
            const int16_t *const w = twiddles + 2 * j * step;
            for (int32_t i = j; i < count; i += 2 * half) {
                const complex_t b = rotate(get(&bins[i + half]), w);
                butterfly(&bins[i], &bins[i + half], get(&bins[i]), b);
            }
        }
        step >>= 1;
    }
}

static uint64_t power(int32_t re, int32_t im)
{
    return (uint64_t)((int64_t)re * re + (int64_t)im * im);
}

void fe_load(const fe_spectrum_t *spectrum, const int16_t *ring, int32_t size, int32_t first,
             int32_t mean, fe_bin_t *bins)
{
    int32_t at = first;
    for (int32_t i = 0; i < spectrum->points; i++) {
        int32_t value = 0;
        if (i < spectrum->length) {
            value = ((ring[at] - mean) * spectrum->window[i]) >> 8;
            at = at + 1 == size ? 0 : at + 1;
        }
        if ((i & 1) == 0) {
            bins[i >> 1].z.re = value;
        } else {
            bins[i >> 1].z.im = value;
        }
    }
}

void fe_power(const fe_spectrum_t *spectrum, fe_bin_t *bins)
{
    const int32_t count = spectrum->points >> 1;
    transform(spectrum->twiddles, bins, count);
    /* Bin k of the even samples is (Z[k] + conj Z[-k]) / 2, of the odd ones the same of -iZ. */
    const complex_t zero = get(&bins[0]);
    bins[0].power = power(zero.re + zero.im, 0);
    bins[count].power = power(zero.re - zero.im, 0);
    for (int32_t k = 1; k <= count / 2; k++) {
        const complex_t a = get(&bins[k]), b = get(&bins[count - k]);
        const complex_t even = {.re = (a.re + b.re + 1) >> 1, .im = (a.im - b.im + 1) >> 1};
        const complex_t odd = {.re = (a.im + b.im + 1) >> 1, .im = (b.re - a.re + 1) >> 1};
        const complex_t turned = rotate(odd, spectrum->twiddles + 2 * k);
        bins[k].power = power(even.re + turned.re, even.im + turned.im);
        bins[count - k].power = power(even.re - turned.re, even.im - turned.im);
    }
}

uint64_t fe_filter(const fe_bin_t *bins, const fe_filter_t *filter, const uint16_t **weights)
{
    const uint16_t *weight = *weights;
    const uint16_t *const end = weight + filter->count;
    uint64_t sum = 0;
    for (const fe_bin_t *bin = bins + filter->first; weight != end; bin++) {
        sum += *weight++ * bin->power;
    }
    *weights = end;
    return sum >> 15;
}

int32_t fe_log2(const fe_spectrum_t *spectrum, uint64_t value)
{
    if (value == 0) {
        return 0;
    }
    int32_t exponent = 63;
    while ((value >> 63) == 0) {
        value <<= 1;
        exponent--;
    }
    const uint32_t mantissa = (uint32_t)(value >> 32); /* 2^31 .. 2^32 - 1 stands for 1 .. 2 */
    const uint16_t *const entry = spectrum->logarithm + ((mantissa >> 25) & 63);
    const uint32_t part = (mantissa >> 9) & 65535u;
    const uint32_t fraction = entry[0] + (((uint32_t)(entry[1] - entry[0]) * part) >> 16); /* Q15 */
    return exponent * 256 + (int32_t)((fraction + 64) >> 7);
}
