/* What the twins of nn_dense_s8 and nn_dense_wide_s8 have in common: all but the order of inputs.
 * Rounding: double.
 */
#ifndef NN_DENSE_GROUP_H
#define NN_DENSE_GROUP_H

#include "nn_packed.h"
#include "nn_sign.h"

/* Input i of the stream's order. */
typedef int32_t nn_dense_in_t(const void *x, int32_t i);

/* The sums of two channels, whose words are every other one of `weights`. */
static inline void nn_two_sums(const nn_dense_t *p, const int32_t *weights, nn_dense_in_t *in,
                               const void *x, uint32_t both, int32_t second, int32_t *sums)
{
    for (int32_t i = 0; i < 2 * p->steps; i++) {
        const uint32_t word = (uint32_t)weights[i & ~1];
        const int32_t half = (int16_t)(i & 1 ? word >> 16 : word & 0xFFFFU);
        both += (uint32_t)(half * in(x, i));
        second += (int8_t)(half & 0xFF) * in(x, i);
    }
    sums[0] = (int32_t)(both - (uint32_t)second) >> 8;
    sums[1] = second;
}

static inline void nn_dense_group(const nn_dense_t *p, nn_dense_in_t *in, const void *x,
                                  int8_t *output, int32_t groups)
{
    const int32_t *stream = p->stream;
    const int32_t *requant = p->requant;
    for (int32_t group = 0; group < groups; group++) {
        int32_t sums[NN_GROUP];
        nn_two_sums(p, stream + 4, in, x, (uint32_t)stream[0], stream[2], sums);
        nn_two_sums(p, stream + 5, in, x, (uint32_t)stream[1], stream[3], sums + 2);
        for (int32_t i = 0; i < NN_GROUP; i++) {
            const int32_t shift = requant[0] >> (8 * i) & 0xFF;
            *output++ = nn_sign_output(sums[i], requant[1 + 2 * i], requant[2 + 2 * i], shift);
        }
        stream += NN_GROUP + 2 * p->steps;
        requant += p->requant_bytes / 4;
    }
}

#endif
