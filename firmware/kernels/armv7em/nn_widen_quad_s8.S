/* uint32_t *nn_widen_quad_s8(uint32_t *x, const int8_t *const *pixels, int32_t words)
 *
 * One instruction an input: four loads, eight SXTB16 and two STM for sixteen. SXTB16 takes bytes
 * (0, 2) or (1, 3); the packing of the weights follows that order, so nothing is shuffled.
 * Stack: 36 bytes. Rounding: none.
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
    ldm r1, {r4-r7}
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
    pop {r4-r11, pc}
    .size nn_widen_quad_s8, . - nn_widen_quad_s8
