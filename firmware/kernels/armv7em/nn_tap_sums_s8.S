/* void nn_tap_sums_s8(const nn_taps_t *taps, const int8_t *in, const int8_t *w, uint32_t offset,
 *                     int32_t *sums)
 *
 * Four channels of a depthwise convolution over the taps of one pixel; twin/nn_tap_sums_s8.c says
 * the same in C. SXTAB16 widens two inputs and adds the offset, which stands in both halfwords.
 * A tap takes 14 instructions for 4 MACs, a row 14.
 *
 * Stack: 36 bytes. Rounding: none.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define SUMS 36 /* the fifth argument, above the saved registers */

    .section .text.nn_tap_sums_s8, "ax", %progbits
    .balign 4
    .global nn_tap_sums_s8
    .thumb_func
    .type nn_tap_sums_s8, %function
nn_tap_sums_s8:
    push {r4-r11, lr}
    ldrd r4, r5, [r0, #NN_TAPS_AT_ROWS] /* runs */
    cmp r4, #0
    it gt
    cmpgt r5, #0
    ble .Lnothing
    ldr r6, [sp, #SUMS]
    ldm r6, {r8-r11}
    vmov s0, s1, r0, r4
    ldr r5, [r0, #NN_TAPS_AT_INPUT_RUN]
    ldr r6, [r0, #NN_TAPS_AT_WEIGHT_RUN]
.Lrow:
    vmov s2, s3, r1, r2
    vmov r0, s0
    ldr r4, [r0, #NN_TAPS_AT_RUNS]
.Ltap:
    ldr r0, [r1]
    ldr r7, [r2]
    add r1, r1, r5
    add r2, r2, r6
    sxtab16 r12, r3, r0
    sxtab16 r0, r3, r0, ror #8
    sxtb16 lr, r7
    sxtb16 r7, r7, ror #8
    smlabb r8, r12, lr, r8
    smlatt r10, r12, lr, r10
    smlabb r9, r0, r7, r9
    smlatt r11, r0, r7, r11
    subs r4, r4, #1
    bne .Ltap
    vmov r0, r4, s0, s1
    vmov r1, r2, s2, s3
    ldr r7, [r0, #NN_TAPS_AT_INPUT_ROW]
    ldr r12, [r0, #NN_TAPS_AT_WEIGHT_ROW]
    add r1, r1, r7
    add r2, r2, r12
    subs r4, r4, #1
    vmov s1, r4
    bne .Lrow
    ldr r6, [sp, #SUMS]
    stm r6, {r8-r11}
.Lnothing:
    pop {r4-r11, pc}
    .size nn_tap_sums_s8, . - nn_tap_sums_s8
