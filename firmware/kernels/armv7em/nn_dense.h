/* Widening the inputs of a fully connected layer. */
#ifndef NN_DENSE_H
#define NN_DENSE_H

#include "nn_dsp.h"
#include "nn_packed.h"

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
        wide[1] = nn_sxtb16_odd(word);
        wide += 2;
        input += 4;
        count -= 4;
    }
}

#endif
