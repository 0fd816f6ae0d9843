/* uint32_t *nn_gather_quad_s8(uint32_t *x, const int8_t *const *pixels, const nn_runs_t *runs)
 *
 * Widen the runs of four windows: 14 instructions for sixteen inputs as in nn_widen_quad_s8, 2 for
 * the loop, 7 a run. The trick: all that a new run needs lies on the stack in one piece, and one
 * pointer tells the end of all. With a tail, three bytes of a pixel become two words in four
 * instructions: SXTB is done by the load, and what lies in the fourth place has a weight of 0.
 *
 * r4-r7 point to the pixels, r8-r11 and the others hold inputs; on the stack: step, words, end, tail.
 * Stack: 52 bytes. Rounding: none.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .thumb

    .macro tail pixel, second
    ldrsb \second, [\pixel, r2]
    ldrsb r12, [\pixel, r3]
    ldrsb \pixel, [\pixel, r1]
    pkhbt \pixel, \pixel, r12, lsl #16
    .endm

    .section .text.nn_gather_quad_s8, "ax", %progbits
    .balign 4
    .global nn_gather_quad_s8
    .thumb_func
    .type nn_gather_quad_s8, %function
nn_gather_quad_s8:
    push {r4-r11, lr}
    ldmia.w r2, {r8-r11}  /* step, words, bytes of all runs, tail */
    ldm r1, {r4-r7}
    mov r2, r9
    add r10, r10, r4
    push {r8-r11}
.Lword:
    ldr r8, [r4], #4
    ldr r9, [r5], #4
    ldr r10, [r6], #4
    ldr r11, [r7], #4
    sxtb16 r1, r8, ror #8
    sxtb16 r3, r9, ror #8
    sxtb16 r12, r10, ror #8
    sxtb16 lr, r11, ror #8
    sxtb16 r8, r8
    sxtb16 r9, r9
    sxtb16 r10, r10
    sxtb16 r11, r11
    stmia.w r0!, {r8-r11}
    stmia.w r0!, {r1, r3, r12, lr}
    subs r2, r2, #1
    bne .Lword
    ldm sp, {r1, r2, r3}
    add r4, r4, r1
    add r5, r5, r1
    add r6, r6, r1
    add r7, r7, r1
    cmp r4, r3
    bne .Lword

    ldr r2, [sp, #12]
    cbz r2, .Lend
    rsbs r3, r1, #0       /* from where a pixel would go on to its third tail, */
    sub r12, r3, r2       /* to its second */
    sub r1, r12, r2       /* and its first */
    mov r2, r12
    tail r4, r8
    tail r5, r9
    tail r6, r10
    tail r7, r11
    stmia.w r0!, {r4-r7}
    stmia.w r0!, {r8-r11}
.Lend:
    add sp, sp, #16
    pop {r4-r11, pc}
    .size nn_gather_quad_s8, . - nn_gather_quad_s8
