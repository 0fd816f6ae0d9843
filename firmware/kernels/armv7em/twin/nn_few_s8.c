/* What nn_few_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_math.h"
#include "nn_packed.h"

/* Input i of the stream's order. */
static int32_t nn_few_in(const int8_t *input, int32_t i)
{
    static const int8_t order[4] = {0, 2, 1, 3};
    return input[(i & ~3) + order[i & 3]];
}

void nn_few_s8(const nn_few_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t pixel = 0; pixel < p->pixels; pixel++) {
        const int32_t *channel = p->stream;
        for (int32_t c = 0; c < p->channels; c++) {
            uint32_t sum = (uint32_t)channel[0];
            for (int32_t i = 0; i < NN_FEW_INPUTS; i++) {
                const uint32_t word = (uint32_t)channel[1 + i / 2];
                const int32_t half = (int16_t)(i & 1 ? word >> 16 : word & 0xFFFFU);
                sum += (uint32_t)(half * nn_few_in(input, i));
            }
            const int32_t *const requant = channel + 1 + NN_FEW_INPUTS / 2;
            const int64_t product = (int64_t)(int32_t)sum * requant[0];
            const int32_t value = ((int32_t)(product >> 32) + requant[1]) >> 12;
            *output++ = (int8_t)nn_min(nn_max(value, -128), 127);
            channel += NN_FEW_WORDS;
        }
        input += p->depth;
    }
}
