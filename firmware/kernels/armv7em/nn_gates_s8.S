/* const int32_t *nn_gates_s8(const nn_lstm_packed_t *p, const uint32_t *x, const int32_t *stream,
 *                        int32_t *gates)
 *
 * The four gates of one unit of an LSTM, all rescaled to the right; nn_packed.h describes the operands,
 * twin/nn_gates_s8.c says the same in C.
 *
 * Stack: 40 bytes. Rounding: double.
 */
#include "nn_gates.inc"

    .macro rescale sum
    ldmia r3!, {r0, r1, r8}
    smmlar r0, \sum, r0, r1
    add r0, r0, \sum, asr #31
    asrs r0, r0, r8
    ssat \sum, #16, r0
    .endm

    gates nn_gates_s8
