/* What nn_fully_connected_eight_s8.S computes, for machines without its instructions. Rounding:
 * double. */
#include "nn_packed.h"
#include "nn_sign.h"

#define UNIT 8 /* inputs */
#define UNIT_WORDS 16

/* Eight outputs of a vector; returns where the stream goes on. */
static const int32_t *nn_eight(const int32_t *stream, const int8_t *x, int32_t units,
                               const int32_t *requant, int8_t *output)
{
    static const int8_t order[UNIT] = {4, 6, 5, 7, 0, 2, 1, 3};
    uint32_t both[NN_EIGHT / 2];
    int32_t second[NN_EIGHT / 2];
    for (int32_t pair = 0; pair < NN_EIGHT / 2; pair++) {
        both[pair] = (uint32_t)stream[pair];
        second[pair] = stream[NN_EIGHT / 2 + pair];
    }
    stream += NN_EIGHT;
    for (int32_t unit = 0; unit < units; unit++) {
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
    const int32_t shift = requant[0] & 0xFF;
    for (int32_t pair = 0; pair < NN_EIGHT / 2; pair++) {
        const int32_t first = (int32_t)(both[pair] - (uint32_t)second[pair]) >> 8;
        *output++ = nn_sign_output(first, requant[1], requant[2], shift);
        *output++ = nn_sign_output(second[pair], requant[1], requant[2], shift);
    }
    return stream;
}

void nn_fully_connected_eight_s8(const nn_dense_eight_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t left = p->stream[0] >> 8; left > 0; left--) {
        const int32_t *stream = p->stream + 3;
        for (int32_t o = 0; o < p->output_depth; o += NN_EIGHT, output += NN_EIGHT) {
            stream = nn_eight(stream, input, p->steps / 4, p->stream, output);
        }
        input += 2 * p->steps;
    }
}
