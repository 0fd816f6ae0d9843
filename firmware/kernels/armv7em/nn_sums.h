/* Sums of four adjacent int8 elements at once. */
#ifndef NN_SUMS_H
#define NN_SUMS_H

#include "nn_dsp.h"
#include "nn_math.h"

#define NN_LANES 4
#define NN_HALF_TERMS 256 /* that a halfword holds the sum of */

typedef struct {
    uint32_t even, odd;    /* halfwords: sums of elements 0 and 2, of 1 and 3 */
    int32_t room;          /* terms that still fit */
    int32_t sum[NN_LANES]; /* of what is no longer in the halfwords */
} nn_sums_t;

static inline nn_sums_t nn_no_sums(void)
{
    const nn_sums_t none = {.room = NN_HALF_TERMS};
    return none;
}

/* Move what the halfwords hold to `sum`. */
static inline void nn_total_sums(nn_sums_t *sums)
{
    sums->sum[0] += (int16_t)(sums->even & 0xFFFFU);
    sums->sum[1] += (int16_t)(sums->odd & 0xFFFFU);
    sums->sum[2] += (int32_t)sums->even >> 16;
    sums->sum[3] += (int32_t)sums->odd >> 16;
    sums->even = 0;
    sums->odd = 0;
    sums->room = NN_HALF_TERMS;
}

/* Add `count` times four elements, each time `stride` behind the last. */
static inline void nn_add_run(nn_sums_t *sums, const int8_t *in, int32_t stride, int32_t count)
{
    while (count > 0) {
        const int32_t terms = nn_min(count, sums->room);
        uint32_t even = sums->even;
        uint32_t odd = sums->odd;
        if (terms & 1) {
            const uint32_t word = nn_load_word(in);
            even = nn_add_even_bytes(even, word);
            odd = nn_add_odd_bytes(odd, word);
            in += stride;
        }
        for (int32_t i = terms >> 1; i > 0; i--) {
            const uint32_t first = nn_load_word(in);
            const uint32_t second = nn_load_word(in + stride);
            even = nn_add_even_bytes(even, first);
            odd = nn_add_odd_bytes(odd, first);
            even = nn_add_even_bytes(even, second);
            odd = nn_add_odd_bytes(odd, second);
            in += 2 * stride;
        }
        sums->even = even;
        sums->odd = odd;
        sums->room -= terms;
        count -= terms;
        if (sums->room == 0) {
            nn_total_sums(sums);
        }
    }
}

#endif
