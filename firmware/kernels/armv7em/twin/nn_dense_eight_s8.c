/* What nn_dense_eight_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_packed.h"
#include "nn_sign.h"

#define UNIT 8 /* inputs */
#define UNIT_WORDS 16

void nn_dense_eight_s8(const nn_dense_t *p, const int8_t *x, int8_t *output, int32_t groups)
{
    static const int8_t order[UNIT] = {4, 6, 5, 7, 0, 2, 1, 3};
    const int32_t *stream = p->stream;
    for (int32_t group = 0; group < groups; group++) {
        uint32_t both[NN_EIGHT / 2];
        int32_t second[NN_EIGHT / 2];
        for (int32_t pair = 0; pair < NN_EIGHT / 2; pair++) {
            both[pair] = (uint32_t)stream[pair];
            second[pair] = stream[NN_EIGHT / 2 + pair];
        }
        stream += NN_EIGHT;
        for (int32_t unit = 0; unit < p->steps / 4; unit++) {
            for (int32_t i = 0; i < UNIT_WORDS; i++) {
                const uint32_t word = (uint32_t)stream[(i + 1) % UNIT_WORDS];
                for (int32_t k = 0; k < 2; k++) {
                    const int32_t half = (int16_t)(k ? word >> 16 : word & 0xFFFFU);
                    const int32_t in = x[UNIT * unit + order[2 * (i / 4) + k]];
                    both[i % 4] += (uint32_t)(half * in);
                    second[i % 4] += (int8_t)(half & 0xFF) * in;
                }
            }
            stream += UNIT_WORDS;
        }
        for (int32_t pair = 0; pair < NN_EIGHT / 2; pair++) {
            const int32_t first = (int32_t)(both[pair] - (uint32_t)second[pair]) >> 8;
            const int32_t *const requant = p->requant;
            const int32_t shift = requant[0] & 0xFF;
            *output++ = nn_sign_output(first, requant[1], requant[2], shift);
            *output++ = nn_sign_output(second[pair], requant[1], requant[2], shift);
        }
    }
}
