/* void nn_widen_quad_s8(uint32_t *x, const int8_t *const *pixels, int32_t columns,
 *                       const nn_widen_t *p)
 *
 * One instruction an input: four loads, eight SXTB16 and two STM for sixteen. SXTB16 takes bytes
 * (0, 2) or (1, 3); the packing of the weights follows that order, so nothing is shuffled. A column
 * takes 9 more. Stack: 52 bytes. Rounding: none.
 */
    .syntax unified
    .cpu cortex-m4
    .thumb

    .section .text.nn_widen_quad_s8, "ax", %progbits
    .balign 4
    .global nn_widen_quad_s8
    .thumb_func
    .type nn_widen_quad_s8, %function
nn_widen_quad_s8:
    push {r4-r11, lr}
    ldm r3, {r8-r10}      /* words, gap, back */
    ldm r1, {r4-r7}
    mov r11, r2
    push {r8-r11}
    mov r2, r8
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
    stmia r0!, {r8-r11}
    stmia r0!, {r1, r3, r12, lr}
    subs r2, r2, #1
    bne .Lword
    pop {r2, r3, r12, lr} /* words, gap, back, columns that are left */
    add r0, r0, r3
    sub r4, r4, r12
    sub r5, r5, r12
    sub r6, r6, r12
    sub r7, r7, r12
    subs lr, lr, #1
    push {r2, r3, r12, lr}
    bne .Lword
    add sp, sp, #16
    pop {r4-r11, pc}
    .size nn_widen_quad_s8, . - nn_widen_quad_s8
