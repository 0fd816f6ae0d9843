/* void nn_from_s16(const nn_sum_s16_t *p, const int16_t *whole, const int16_t *part, int16_t *output)
 *
 * The second less the first of two tensors of int16, as nn_sum_s16.inc computes it;
 * twin/nn_from_s16.c says the same in C.
 * Stack: 36 bytes. Rounding: double, three times.
 */
#define FUNCTION nn_from_s16

    .macro join rescaled, whole
    sub \rescaled, \rescaled, \whole, asr #2
    .endm

#include "nn_sum_s16.inc"
