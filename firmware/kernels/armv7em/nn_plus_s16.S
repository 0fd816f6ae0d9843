/* void nn_plus_s16(const nn_sum_s16_t *p, const int16_t *whole, const int16_t *part, int16_t *output)
 *
 * The sum of two tensors of int16, as nn_sum_s16.inc computes it;
 * twin/nn_plus_s16.c says the same in C.
 * Stack: 36 bytes. Rounding: double, three times.
 */
#define FUNCTION nn_plus_s16

    .macro join rescaled, whole
    add \rescaled, \rescaled, \whole, asr #2
    .endm

#include "nn_sum_s16.inc"
