/* void nn_product_s16(const nn_product_s16_t *p, const int16_t *a, const int16_t *b,
 *                     int16_t *output)
 *
 * The product of two tensors of int16; nn_wide.h has the formula, twin/nn_product_s16.c says the same
 * in C. Two elements are 18 instructions, 19 with a ReLU. QADD doubles: the largest product, of two
 * times the least value, does not fit then and stays one below; the generator has proven that its
 * output is the same. An odd last element reads two bytes behind both operands.
 *
 * r0 counts, r1 and r2 point to the operands, r3 to the output. Stack: 36 bytes. Rounding: double.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .thumb

    .macro element product
    qadd \product, \product, \product
    add lr, r5, \product, asr #31
    smmlar \product, \product, r4, lr
    asr.w \product, \product, r6
    ssat \product, #16, \product
    .endm

    .macro elements
    ldr r7, [r1], #4
    ldr r8, [r2], #4
    smulbb r9, r7, r8
    smultt r7, r7, r8
    element r9
    element r7
    pkhbt r9, r9, r7, lsl #16
    .endm

    .section .text.nn_product_s16, "ax", %progbits
    .balign 4
    .global nn_product_s16
    .thumb_func
    .type nn_product_s16, %function
nn_product_s16:
    push {r4-r9, lr}
    ldm r0, {r4-r8}       /* multiplier, half, shift, count, relu */
    mov r0, r7
    cmp r8, #0
    bne .Lrelu
.Lpair:
    elements
    subs r0, r0, #2
    blo .Llast
    str r9, [r3], #4
    bne .Lpair
    pop {r4-r9, pc}
.Lrelu:
    elements
    usat16 r9, #15, r9
    subs r0, r0, #2
    blo .Llast
    str r9, [r3], #4
    bne .Lrelu
    pop {r4-r9, pc}
.Llast:
    strh r9, [r3]
    pop {r4-r9, pc}
    .size nn_product_s16, . - nn_product_s16
