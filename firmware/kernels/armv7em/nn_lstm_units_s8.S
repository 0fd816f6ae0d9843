/* void nn_lstm_units_s8(const nn_lstm_packed_t *p, const uint32_t *x, int16_t *cell, int8_t *output)
 *
 * One step of an LSTM whose gates are all rescaled to the right; nn_packed.h describes the operands,
 * twin/nn_lstm_units_s8.c says the same in C.
 *
 * Stack: 40 bytes. Rounding: double; logistic and tanh by a table.
 */
#include "nn_lstm_units.inc"

    .macro rescale sum
    ldmia r3!, {r0, r1, r8}
    smmlar r0, \sum, r0, r1
    add r0, r0, \sum, asr #31
    asrs r0, r0, r8
    ssat \sum, #16, r0
    .endm

    units nn_lstm_units_s8
