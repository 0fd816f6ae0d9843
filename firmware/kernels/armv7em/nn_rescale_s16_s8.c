/* out = clamp((v + (x < 0 ? -1 : 0) + constant) >> shift), v = (x * multiplier + 2^30) >> 31
 *
 * From int16 to int8, which the reference rounds twice; four elements at a time. 2^30 is a multiple
 * of 2^16, so SMLAWB and a shift give v. Its sign is that of x but at v = 0, where it does not
 * count. The output may lie on the input. Scratch: none. Rounding: double.
 */
#include "nn_dsp.h"
#include "nn_wide.h"

static inline int32_t nn_rescaled(const nn_rescale_wide_t *p, int32_t wide)
{
    return nn_ssat_8((p->constant + (wide < 0 ? -1 : 0) + (wide >> 15)) >> p->shift);
}

void nn_rescale_s16_s8(const nn_rescale_wide_t *params, const int16_t *input, int8_t *output)
{
    const nn_rescale_wide_t p = *params;
    const int16_t *const end = input + p.count;
    for (; input + 4 <= end; input += 4, output += 4) {
        const uint32_t a = nn_load_word(input);
        const uint32_t b = nn_load_word(input + 2);
        const int32_t out[4] = {nn_rescaled(&p, nn_smlawb(p.multiplier, a, p.half)),
                                nn_rescaled(&p, nn_smlawt(p.multiplier, a, p.half)),
                                nn_rescaled(&p, nn_smlawb(p.multiplier, b, p.half)),
                                nn_rescaled(&p, nn_smlawt(p.multiplier, b, p.half))};
        output[0] = (int8_t)out[0];
        output[1] = (int8_t)out[1];
        output[2] = (int8_t)out[2];
        output[3] = (int8_t)out[3];
    }
    while (input < end) {
        *output++ = (int8_t)nn_rescaled(&p, nn_smlawb(p.multiplier, (uint32_t)*input++, p.half));
    }
}
