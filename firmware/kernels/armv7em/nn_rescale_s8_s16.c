/* out = clamp(((x * multiplier >> 16) + constant) >> 6), from int8 to int16
 *
 * Four elements at a time. Scratch: none. Rounding: double, in numbers that give the same for every
 * input.
 */
#include "nn_dsp.h"
#include "nn_wide.h"

void nn_rescale_s8_s16(const nn_rescale_fast_t *p, const int8_t *input, int16_t *output)
{
    const int32_t m = p->multiplier;
    const int32_t c = p->constant;
    const int8_t *const end = input + p->count;
    for (; input + 4 <= end; input += 4, output += 4) {
        const uint32_t word = nn_load_word(input);
        const uint32_t even = nn_sxtb16(word);
        const uint32_t odd = nn_sxtb16(nn_rotate_right(word, 8));
        const uint32_t words[2] = {
            ((uint32_t)nn_ssat_16(nn_smlawb(m, even, c)) & 0xFFFFU) |
                (uint32_t)nn_ssat_16(nn_smlawb(m, odd, c)) << 16,
            ((uint32_t)nn_ssat_16(nn_smlawt(m, even, c)) & 0xFFFFU) |
                (uint32_t)nn_ssat_16(nn_smlawt(m, odd, c)) << 16,
        };
        memcpy(output, words, sizeof(words));
    }
    while (input < end) {
        *output++ = (int16_t)nn_ssat_16(nn_smlawb(m, (uint32_t)*input++, c));
    }
}
