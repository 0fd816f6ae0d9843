/* void nn_lstm_units_any_s8(const nn_lstm_packed_t *p, const uint32_t *x, int16_t *cell,
 *                           int8_t *output)
 *
 * One step of an LSTM; nn_packed.h describes the operands, twin/nn_lstm_units_any_s8.c says the same
 * in C. 40 instructions a unit more than nn_lstm_units_s8.
 *
 * Stack: 40 bytes. Rounding: double; logistic and tanh by a table.
 */
#include "nn_lstm_units.inc"

/* A shift takes the lowest byte of its register. */
    .macro rescale sum
    ldmia r3!, {r0, r1, r8}
    lsrs r9, r8, #8
    lsl r10, \sum, r9
    smmlar r0, r10, r0, r1
    sbfx r9, r8, #16, #1
    and r9, r9, \sum, asr #31
    add r0, r0, r9
    asr r0, r0, r8
    ssat \sum, #16, r0
    .endm

    units nn_lstm_units_any_s8
