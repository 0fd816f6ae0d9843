/* out = clamp(((x + offset) * multiplier + 2^(30 - left)) >> (31 - left))
 *
 * From int8 to int16, four elements at a time: SMLAWB and a shift, as the half that rounds is a
 * multiple of 2^16. Scratch: none. Rounding: double, of which the second does nothing.
 */
#include "nn_dsp.h"
#include "nn_wide.h"

void nn_rescale_s8_s16(const nn_rescale_wide_t *params, const int8_t *input, int16_t *output)
{
    const nn_rescale_wide_t p = *params;
    const uint32_t offsets = (uint32_t)p.constant;
    const int8_t *const end = input + p.count;
    for (; input + 4 <= end; input += 4, output += 4) {
        const uint32_t word = nn_load_word(input);
        const uint32_t even = nn_sxtab16(offsets, word);
        const uint32_t odd = nn_sxtab16_odd(offsets, word);
        output[0] = (int16_t)nn_ssat_16(nn_smlawb(p.multiplier, even, p.half) >> p.shift);
        output[1] = (int16_t)nn_ssat_16(nn_smlawb(p.multiplier, odd, p.half) >> p.shift);
        output[2] = (int16_t)nn_ssat_16(nn_smlawt(p.multiplier, even, p.half) >> p.shift);
        output[3] = (int16_t)nn_ssat_16(nn_smlawt(p.multiplier, odd, p.half) >> p.shift);
    }
    while (input < end) {
        const uint32_t value = nn_sxtab16(offsets, (uint32_t)*input++);
        *output++ = (int16_t)nn_ssat_16(nn_smlawb(p.multiplier, value, p.half) >> p.shift);
    }
}
