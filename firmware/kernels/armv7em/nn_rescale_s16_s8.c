/* out = clamp(((x * multiplier >> 16) + constant) >> 20), from int16 to int8
 *
 * Four elements at a time. The output may lie on the input.
 * Scratch: none. Rounding: double, in numbers that give the same for every input.
 */
#include "nn_dsp.h"
#include "nn_wide.h"

void nn_rescale_s16_s8(const nn_rescale_fast_t *p, const int16_t *input, int8_t *output)
{
    const int32_t m = p->multiplier;
    const int32_t c = p->constant;
    const int16_t *const end = input + p->count;
    for (; input + 4 <= end; input += 4, output += 4) {
        const uint32_t a = nn_load_word(input);
        const uint32_t b = nn_load_word(input + 2);
        const uint32_t low = (uint32_t)nn_ssat_8(nn_smlawb(m, a, c)) & 0xFFU;
        const uint32_t next = (uint32_t)nn_ssat_8(nn_smlawt(m, a, c)) & 0xFFU;
        const uint32_t third = (uint32_t)nn_ssat_8(nn_smlawb(m, b, c)) & 0xFFU;
        const uint32_t word =
            low | next << 8 | third << 16 | (uint32_t)nn_ssat_8(nn_smlawt(m, b, c)) << 24;
        memcpy(output, &word, sizeof(word));
    }
    while (input < end) {
        *output++ = (int8_t)nn_ssat_8(nn_smlawb(m, (uint32_t)*input++, c));
    }
}
