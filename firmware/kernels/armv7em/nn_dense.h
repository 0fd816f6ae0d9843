/* What the fully connected kernels share: widening the inputs, and channels that fill no group. */
#ifndef NN_DENSE_H
#define NN_DENSE_H

#include "nn_dsp.h"
#include "nn_packed.h"

typedef void nn_dense_kernel_t(const nn_dense_t *p, const void *x, int8_t *output, int32_t groups);

/* Of each four inputs first 0 and 2, then 1 and 3, as the kernels take them; zeros at the end. */
static inline void nn_dense_widen(uint32_t *wide, const int8_t *input, int32_t count,
                                  const uint32_t *end)
{
    while (wide < end) {
        uint32_t word = 0;
        if (count >= 4) {
            word = nn_load_word(input);
        } else {
            for (int32_t i = 0; i < count; i++) {
                word |= (uint32_t)(uint8_t)input[i] << (8 * i);
            }
        }
        wide[0] = nn_sxtb16(word);
        wide[1] = nn_sxtb16(nn_rotate_right(word, 8));
        wide += 2;
        input += 4;
        count -= 4;
    }
}

/* All output channels, the last one to three by way of a buffer; `words` is a group's stream. */
static inline void nn_dense_channels(const nn_dense_t *p, const void *x, int8_t *output,
                                     nn_dense_kernel_t *kernel, int32_t words)
{
    const int32_t groups = p->output_depth / NN_GROUP;
    const int32_t rest = p->output_depth % NN_GROUP;
    if (groups > 0) {
        kernel(p, x, output, groups);
    }
    if (rest > 0) {
        nn_dense_t last = *p;
        int8_t values[NN_GROUP];
        last.stream += groups * words;
        last.requant += groups * p->requant_bytes / 4;
        kernel(&last, x, values, 1);
        for (int32_t i = 0; i < rest; i++) {
            output[NN_GROUP * groups + i] = values[i];
        }
    }
}

#endif
