/* What nn_dense_halves_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_packed.h"
#include "nn_sign.h"

/* Input i of the stream's order. */
static int32_t nn_in(const nn_dense_t *p, const void *x, int32_t i)
{
    static const int8_t order[4] = {0, 2, 1, 3};
    if (p->wide) {
        return ((const int16_t *)x)[i];
    }
    return ((const int8_t *)x)[(i & ~3) + order[i & 3]];
}

void nn_dense_halves_s8(const nn_dense_t *p, const void *x, int8_t *output, int32_t groups)
{
    const int32_t *stream = p->stream;
    const int32_t *requant = p->requant;
    for (int32_t group = 0; group < groups; group++) {
        for (int32_t i = 0; i < NN_GROUP; i++) {
            int32_t sum = stream[i];
            for (int32_t step = 0; step < p->steps; step++) {
                const uint32_t word = (uint32_t)stream[NN_GROUP + NN_GROUP * step + i];
                sum += (int16_t)(word & 0xFFFFU) * nn_in(p, x, 2 * step);
                sum += (int16_t)(word >> 16) * nn_in(p, x, 2 * step + 1);
            }
            const int32_t shift = requant[0] >> (8 * i) & 0xFF;
            *output++ = nn_sign_output(sum, requant[1 + 2 * i], requant[2 + 2 * i], shift);
        }
        stream += NN_GROUP + NN_GROUP * p->steps;
        requant += p->requant_bytes / 4;
    }
}
