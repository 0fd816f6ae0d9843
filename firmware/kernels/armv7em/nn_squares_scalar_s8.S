/* void nn_squares_scalar_s8(const nn_squares_t *p, const int8_t *a, const int8_t *b, int8_t *output)
 *
 * Squares of the differences of the elements of a row and one of b; nn_elementwise.h has the formula,
 * twin/nn_squares_scalar_s8.c says the same in C. Four elements are 55 instructions: of each, SMULBB,
 * SMMLAR, ADD and ASR rescale it, SUB is the difference, SMULBB its square, and LSL, SMMLAR, ASR and
 * SSAT make the output of that.
 * Stack: 48 bytes. Rounding: double, in the form that quantize/proofs.py has proven.
 */
#include "nn_scalar.inc"

/* r7: b, rescaled */
    .macro scalar
    ldrd r11, r12, [r9, #NN_SQUARES_AT_B_OFFSET] /* b_factor */
    add r10, r10, r11
    mul r10, r10, r12
    ldrd r11, r12, [r9, #NN_SQUARES_AT_B_MULTIPLIER] /* b_half */
    ldr lr, [r9, #NN_SQUARES_AT_B_SHIFT]
    smmlar r11, r10, r11, r12
    add r11, r11, r10, asr #31
    asr r7, r11, lr
    .endm

    .macro four
    ldr r12, [sp]
    ldrd r0, r2, [r12, #NN_SQUARES_AT_A_HALF] /* a_shift */
    ldr r10, [r1], #4
    sxtab16 r11, r5, r10  /* elements 0 and 2 */
    sxtab16 r12, r5, r10, ror #8
    smulbb lr, r11, r8
    smulbb r10, r12, r8
    smultb r9, r11, r8
    smultb r11, r12, r8
    .irp n, lr, r10, r9, r11
    smmlar r12, \n, r6, r0
    add r12, r12, \n, asr #31
    asr.w r12, r12, r2
    sub.w \n, r7, r12
    .endr
    ldr r12, [sp]
    ldrd r0, r2, [r12, #NN_SQUARES_AT_MULTIPLIER] /* constant */
    ldr r12, [r12, #NN_SQUARES_AT_SHIFT]
    .irp n, lr, r10, r9, r11
    smulbb \n, \n, \n
    lsl.w \n, \n, #1
    smmlar \n, \n, r0, r2
    asr.w \n, \n, r12
    ssat \n, #8, \n
    .endr
    .endm

    begin nn_squares_scalar_s8, NN_SQUARES_AT_ROWS
    ldr r5, [r0, #NN_SQUARES_AT_A_OFFSETS]
    ldr r8, [r0, #NN_SQUARES_AT_A_FACTOR]
    ldr r6, [r0, #NN_SQUARES_AT_A_MULTIPLIER]
    rows nn_squares_scalar_s8, NN_SQUARES_AT_COUNT, NN_SQUARES_AT_A_STEP
