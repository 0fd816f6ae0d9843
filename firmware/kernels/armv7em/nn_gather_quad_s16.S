/* uint32_t *nn_gather_quad_s16(uint32_t *x, const int8_t *const *pixels, const nn_runs_t *runs)
 *
 * Bring the runs of four windows side by side: 7 instructions for two inputs of each, 6 a run. Words
 * may lie at any even address. twin/nn_gather_quad_s16.c says the same in C.
 *
 * r4-r7 point to the pixels, r8-r11 hold inputs; r1 is the step, r3 the words of a run, r12 the end.
 * Stack: 36 bytes. Rounding: none.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .thumb

    .section .text.nn_gather_quad_s16, "ax", %progbits
    .balign 4
    .global nn_gather_quad_s16
    .thumb_func
    .type nn_gather_quad_s16, %function
nn_gather_quad_s16:
    push {r4-r11, lr}
    ldm r1, {r4-r7}
    ldr r1, [r2, #NN_RUNS_AT_STEP]
    ldrd r3, r12, [r2, #NN_RUNS_AT_WORDS] /* bytes of all runs */
    add r12, r12, r4
.Lrun:
    mov r2, r3
.Lword:
    ldr r8, [r4], #4
    ldr r9, [r5], #4
    ldr r10, [r6], #4
    ldr r11, [r7], #4
    subs r2, r2, #1
    stmia.w r0!, {r8-r11}
    bne .Lword
    add r4, r4, r1
    add r5, r5, r1
    add r6, r6, r1
    add r7, r7, r1
    cmp r4, r12
    bne .Lrun
    pop {r4-r11, pc}
    .size nn_gather_quad_s16, . - nn_gather_quad_s16
