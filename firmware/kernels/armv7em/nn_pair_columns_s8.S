/* void nn_pair_columns_s8(uint32_t *x, const int8_t *row, int32_t quarter, const nn_slot_columns_t *p)
 *
 * Two bytes of each of four quarters of a row, widened: 17 instructions. With a byte doubled into
 * the next place, SXTB16 takes the first and the second of a pair.
 * Stack: 32 bytes. Rounding: none.
 */
    .syntax unified
    .cpu cortex-m4
    .thumb

    .section .text.nn_pair_columns_s8, "ax", %progbits
    .balign 4
    .global nn_pair_columns_s8
    .thumb_func
    .type nn_pair_columns_s8, %function
nn_pair_columns_s8:
    push {r4-r9, r12, lr}
    ldm r3, {r3, r9}      /* columns, bytes from one to the next */
    add r8, r2, r2, lsl #1
.Lcolumn:
    ldrh r5, [r1, r2]
    ldrh.w r6, [r1, r2, lsl #1]
    ldrh.w r7, [r1, r8]
    ldrh r4, [r1], #2
    orr r4, r4, r4, lsl #8
    orr r5, r5, r5, lsl #8
    orr r6, r6, r6, lsl #8
    orr r7, r7, r7, lsl #8
    sxtb16 r4, r4
    sxtb16 r5, r5
    sxtb16 r6, r6
    sxtb16 r7, r7
    stm r0, {r4-r7}
    add r0, r0, r9
    subs r3, r3, #1
    bne .Lcolumn
    pop {r4-r9, r12, pc}
    .size nn_pair_columns_s8, . - nn_pair_columns_s8
