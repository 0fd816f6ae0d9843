/* Pixels of few inputs, for the twins. Rounding: double. */
#ifndef NN_FEW_H
#define NN_FEW_H

#include "nn_math.h"
#include "nn_packed.h"

/* A line's pixels and all channels; the stream has weights for `inputs` inputs, a multiple of four.
 * The output may lie on a pixel that has been read. */
static inline void nn_few_outputs(const nn_few_t *p, const int8_t *input, int8_t *output,
                                  int32_t inputs)
{
    static const int8_t order[4] = {0, 2, 1, 3};
    for (int32_t pixel = 0; pixel < p->pixels; pixel++) {
        const int32_t *channel = p->stream;
        int8_t x[NN_FEW_INPUTS];
        for (int32_t i = 0; i < inputs; i++) {
            x[i] = input[(i & ~3) + order[i & 3]];
        }
        for (int32_t c = 0; c < p->channels; c++) {
            uint32_t sum = (uint32_t)*channel++;
            for (int32_t i = 0; i < inputs; i++) {
                const uint32_t word = (uint32_t)channel[i / 2];
                const int32_t half = (int16_t)(i & 1 ? word >> 16 : word & 0xFFFFU);
                sum += (uint32_t)(256 * half * x[i]);
            }
            channel += inputs / 2;
            const int64_t product = (int64_t)(int32_t)sum * *channel++;
            const int32_t value = (int32_t)(product >> 32) >> NN_CODE_BITS;
            *output++ = (int8_t)nn_min(nn_max(value, -128), 127);
        }
        input += p->pixel_bytes;
    }
}

#endif
