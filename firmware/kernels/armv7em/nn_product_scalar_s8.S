/* void nn_product_scalar_s8(const nn_product_t *p, const int8_t *a, const int8_t *b, int8_t *output)
 *
 * As nn_product_s8, with one element of b for each row. twin/nn_product_scalar_s8.c says the same in
 * C. Four elements are 30 instructions.
 * Stack: 48 bytes. Rounding: double, in the form that quantize/proofs.py has proven.
 */
#include "nn_scalar.inc"

    .macro scalar
    sadd16 r10, r10, r2
    sadd16 r6, r10, r10   /* in its lower half */
    .endm

    .macro four
    ldr r10, [r1], #4
    sxtab16 r11, r5, r10  /* elements 0 and 2 */
    sxtab16 r12, r5, r10, ror #8
    smulbb lr, r11, r6    /* twice the products */
    smulbb r10, r12, r6
    smultb r9, r11, r6
    smultb r11, r12, r6
    .irp n, lr, r10, r9, r11
    smmlar r12, \n, r7, r8
    add r12, r12, \n, asr #31
    asr.w r12, r12, r0
    ssat \n, #8, r12
    .endr
    .endm

    begin nn_product_scalar_s8, NN_PRODUCT_AT_ROWS
    ldr r5, [r0, #NN_PRODUCT_AT_A_OFFSETS]
    ldr r2, [r0, #NN_PRODUCT_AT_B_OFFSETS]
    ldr r7, [r0, #NN_PRODUCT_AT_MULTIPLIER]
    ldr r8, [r0, #NN_PRODUCT_AT_CONSTANT]
    ldr r0, [r0, #NN_PRODUCT_AT_SHIFT]
    rows nn_product_scalar_s8, NN_PRODUCT_AT_COUNT, NN_PRODUCT_AT_A_STEP
