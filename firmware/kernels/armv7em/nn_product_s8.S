/* void nn_product_s8(const nn_product_t *p, const int8_t *a, const int8_t *b, int8_t *output)
 *
 * The product of two tensors, which MUL is; nn_elementwise.h has the formula,
 * twin/nn_product_s8.c says the same in C.
 *
 * Four elements are 35 instructions: two loads, four SXTAB16 that widen and add the offsets, two
 * SADD16 that double one operand, four products, four times SMMLAR, ADD, ASR and SSAT, three BFI,
 * a store and the loop, which are 8.75 an element. A row whose length is no multiple of four reads
 * up to three bytes behind its operands and drops what they gave.
 * Stack: 44 bytes. Rounding: double, in the form that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .thumb

    .section .text.nn_product_s8, "ax", %progbits
    .balign 4
    .global nn_product_s8
    .thumb_func
    .type nn_product_s8, %function
nn_product_s8:
    push {r4-r11, lr}
    ldr r4, [r0, #NN_PRODUCT_AT_ROWS]
    push {r0, r4}
    ldm r0, {r5-r9}       /* a_offsets, b_offsets, multiplier, constant, shift */
.Lrow:
    ldr r4, [sp]
    ldr r4, [r4, #NN_PRODUCT_AT_COUNT] /* elements left of the row */
.Lword:
    ldr r0, [r1], #4
    ldr r10, [r2], #4
    sxtab16 r11, r5, r0   /* elements 0 and 2 */
    sxtab16 r0, r5, r0, ror #8
    sxtab16 r12, r6, r10
    sxtab16 r10, r6, r10, ror #8
    sadd16 r12, r12, r12
    sadd16 r10, r10, r10
    smulbb lr, r11, r12   /* twice the products of elements 0 to 3 in lr, r12, r11, r0 */
    smultt r11, r11, r12
    smulbb r12, r0, r10
    smultt r0, r0, r10
    .irp n, lr, r12, r11, r0
    smmlar r10, \n, r7, r8
    add r10, r10, \n, asr #31
    asr.w r10, r10, r9
    ssat \n, #8, r10
    .endr
    bfi lr, r12, #8, #8
    bfi lr, r11, #16, #8
    bfi lr, r0, #24, #8
    subs r4, r4, #4
    blo .Ltail
    str lr, [r3], #4
    bne .Lword
.Lnext:
    ldrd r10, r4, [sp]
    ldrd r11, r12, [r10, #NN_PRODUCT_AT_A_STEP] /* b_step */
    add r1, r1, r11
    add r2, r2, r12
    subs r4, r4, #1
    str r4, [sp, #4]
    bne .Lrow
    add sp, sp, #8
    pop {r4-r11, pc}

.Ltail:                   /* r4 is minus the number of elements too many */
    add r1, r1, r4
    add r2, r2, r4
    adds r4, r4, #4
.Lbyte:
    strb lr, [r3], #1
    lsr lr, lr, #8
    subs r4, r4, #1
    bne .Lbyte
    b .Lnext
    .size nn_product_s8, . - nn_product_s8
