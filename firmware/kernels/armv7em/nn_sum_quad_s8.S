/* void nn_sum_quad_s8(const nn_places_t *places, const int8_t *in, int32_t *sums)
 *
 * Sums of four adjacent elements over many places; twin/nn_sum_quad_s8.c says the same in C.
 *
 * SXTAB16 widens two bytes and adds them to two halfwords, which hold the sums of up to 256 places;
 * at most 131 go into them before they are added to the 32-bit sums. Four places take 17
 * instructions, a row 14.
 *
 * Stack: 40 bytes. Rounding: none.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .thumb

#define QUADS 32 /* of places, before the halfwords are emptied; a power of two */

    .macro add_word
    sxtab16 r12, r12, r2
    sxtab16 lr, lr, r2, ror #8
    .endm

    .section .text.nn_sum_quad_s8, "ax", %progbits
    .balign 4
    .global nn_sum_quad_s8
    .thumb_func
    .type nn_sum_quad_s8, %function
nn_sum_quad_s8:
    push {r2, r4-r11, lr}
    ldm r0, {r3-r6}       /* rows, run, stride, row */
    ldm r2, {r8-r11}
.Lrow:
    mov r0, r1
    movs r12, #0
    movs lr, #0
    ands r7, r4, #3
    beq .Lquads
.Lsingle:
    ldr r2, [r0]
    add_word
    add r0, r0, r5
    subs r7, r7, #1
    bne .Lsingle
.Lquads:
    lsrs r7, r4, #2
    beq .Lempty
.Lquad:
    ldr r2, [r0]
    add_word
    ldr r2, [r0, r5]
    add_word
    add r0, r0, r5, lsl #1
    ldr r2, [r0]
    add_word
    ldr r2, [r0, r5]
    add_word
    add r0, r0, r5, lsl #1
    subs r7, r7, #1
    tst r7, #(QUADS - 1)
    bne .Lquad
.Lempty:
    sxtah r8, r8, r12
    sxtah r9, r9, lr
    add r10, r10, r12, asr #16
    add r11, r11, lr, asr #16
    movs r12, #0
    movs lr, #0
    cmp r7, #0
    bne .Lquad
    add r1, r1, r6
    subs r3, r3, #1
    bne .Lrow
    pop {r2}
    stm r2, {r8-r11}
    pop {r4-r11, pc}
    .size nn_sum_quad_s8, . - nn_sum_quad_s8
