/* void nn_linear_s8(const nn_linear_t *p, const int8_t *a, const int8_t *b, int8_t *output)
 *
 * A weighted sum of two tensors, which ADD and SUB are; nn_elementwise.h has the formula,
 * twin/nn_linear_s8.c says the same in C.
 *
 * Four elements are 25 instructions: two loads, four AND that leave each byte as the high half of
 * a halfword, eight SMLAW that multiply such a halfword by 32 bits and add, four SSAT, three BFI,
 * a store and the loop, which are 6.25 an element. A row whose length is no multiple of four reads
 * up to three bytes behind its operands and drops what they gave.
 * Stack: 40 bytes. Rounding: double, in the form that quantize/linear.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .thumb

    .section .text.nn_linear_s8, "ax", %progbits
    .balign 4
    .global nn_linear_s8
    .thumb_func
    .type nn_linear_s8, %function
nn_linear_s8:
    push {r4-r11, lr}
    ldm r0, {r4-r6}       /* a_factor, b_factor, constant */
    ldr r7, [r0, #NN_LINEAR_AT_ROWS]
    push {r7}
    mov r8, #0xFF00FF00
.Lrow:
    ldr r7, [r0, #NN_LINEAR_AT_COUNT] /* elements left of the row */
.Lword:
    ldr r9, [r1], #4
    ldr r10, [r2], #4
    and r11, r8, r9       /* elements 1 and 3 */
    and r12, r8, r10
    and r9, r8, r9, lsl #8 /* elements 0 and 2 */
    and r10, r8, r10, lsl #8
    smlawb lr, r4, r9, r6
    smlawt r9, r4, r9, r6
    smlawb lr, r5, r10, lr
    smlawt r9, r5, r10, r9
    smlawb r10, r4, r11, r6
    smlawt r11, r4, r11, r6
    smlawb r10, r5, r12, r10
    smlawt r11, r5, r12, r11
    ssat lr, #8, lr, asr #NN_LINEAR_BITS
    ssat r10, #8, r10, asr #NN_LINEAR_BITS
    ssat r9, #8, r9, asr #NN_LINEAR_BITS
    ssat r11, #8, r11, asr #NN_LINEAR_BITS
    bfi lr, r10, #8, #8
    bfi lr, r9, #16, #8
    bfi lr, r11, #24, #8
    subs r7, r7, #4
    blo .Ltail
    str lr, [r3], #4
    bne .Lword
.Lnext:
    ldrd r9, r10, [r0, #NN_LINEAR_AT_A_STEP] /* b_step */
    add r1, r1, r9
    add r2, r2, r10
    ldr r7, [sp]
    subs r7, r7, #1
    str r7, [sp]
    bne .Lrow
    add sp, sp, #4
    pop {r4-r11, pc}

.Ltail:                   /* r7 is minus the number of elements too many */
    add r1, r1, r7
    add r2, r2, r7
    adds r7, r7, #4
.Lbyte:
    strb lr, [r3], #1
    lsr lr, lr, #8
    subs r7, r7, #1
    bne .Lbyte
    b .Lnext
    .size nn_linear_s8, . - nn_linear_s8
