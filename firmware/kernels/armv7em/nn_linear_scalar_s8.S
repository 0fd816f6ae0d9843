/* void nn_linear_scalar_s8(const nn_linear_t *p, const int8_t *a, const int8_t *b, int8_t *output)
 *
 * As nn_linear_s8, with one element of b for each row: it becomes a part of the constant.
 * twin/nn_linear_scalar_s8.c says the same in C. Four elements are 18 instructions.
 * Stack: 48 bytes. Rounding: double, in the form that quantize/linear.py has proven.
 */
#include "nn_scalar.inc"

    .macro scalar
    lsl r10, r10, #8
    smlawb r6, r2, r10, r7
    .endm

    .macro four
    ldr r9, [r1], #4
    and r11, r8, r9       /* elements 1 and 3 */
    and r9, r8, r9, lsl #8 /* elements 0 and 2 */
    smlawb lr, r5, r9, r6
    smlawt r9, r5, r9, r6
    smlawb r10, r5, r11, r6
    smlawt r11, r5, r11, r6
    ssat lr, #8, lr, asr #NN_LINEAR_BITS
    ssat r10, #8, r10, asr #NN_LINEAR_BITS
    ssat r9, #8, r9, asr #NN_LINEAR_BITS
    ssat r11, #8, r11, asr #NN_LINEAR_BITS
    .endm

    begin nn_linear_scalar_s8, NN_LINEAR_AT_ROWS
    ldr r5, [r0, #NN_LINEAR_AT_A_FACTOR]
    ldr r2, [r0, #NN_LINEAR_AT_B_FACTOR]
    ldr r7, [r0, #NN_LINEAR_AT_CONSTANT]
    mov r8, #0xFF00FF00
    rows nn_linear_scalar_s8, NN_LINEAR_AT_COUNT, NN_LINEAR_AT_A_STEP
