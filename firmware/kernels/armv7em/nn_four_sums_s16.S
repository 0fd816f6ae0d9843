/* void nn_four_sums_s16(const uint32_t *rows, const uint32_t *columns, int32_t quads, int32_t *sums)
 *
 * Two rows times two columns of 16-bit values; nn_packed.h says how they lie,
 * twin/nn_four_sums_s16.c says the same in C. Four values of each take LDM, 2 LDRD, 8 SMLAD and the
 * loop 2: 13 for 16 MACs, 0.81 each. A call takes 11 besides.
 *
 * Stack: 36 bytes. Rounding: none.
 */
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .section .text.nn_four_sums_s16, "ax", %progbits
    .balign 4
    .global nn_four_sums_s16
    .thumb_func
    .type nn_four_sums_s16, %function
nn_four_sums_s16:
    push {r4-r11, lr}
    movs r4, #0
    movs r5, #0
    movs r6, #0
    movs r7, #0
    add r2, r0, r2, lsl #4
.Lquad:
    ldmia.w r0!, {r8-r11}
    ldrd r12, lr, [r1], #8
    smlad r4, r8, r12, r4
    smlad r5, r9, r12, r5
    smlad r6, r8, lr, r6
    smlad r7, r9, lr, r7
    ldrd r12, lr, [r1], #8
    smlad r4, r10, r12, r4
    smlad r5, r11, r12, r5
    smlad r6, r10, lr, r6
    smlad r7, r11, lr, r7
    cmp r0, r2
    bne .Lquad
    stm r3, {r4-r7}
    pop {r4-r11, pc}
    .size nn_four_sums_s16, . - nn_four_sums_s16
