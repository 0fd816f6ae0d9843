/* const int32_t *nn_gates_left_s8(const nn_lstm_packed_t *p, const uint32_t *x, const int32_t *stream,
 *                             int32_t *gates)
 *
 * The four gates of one unit of an LSTM; nn_packed.h describes the operands,
 * twin/nn_gates_left_s8.c says the same in C.
 *
 * Stack: 40 bytes. Rounding: double.
 */
#include "nn_gates.inc"

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

    gates nn_gates_left_s8
