/* void nn_depthwise_taps_s16(const nn_depthwise_taps_t *p, const nn_taps_t *taps,
 *                            const int16_t *input, int16_t *output)
 *
 * One pixel of a depthwise convolution of int16 with any window, four channels at a time;
 * twin/nn_depthwise_taps_s16.c says the same in C.
 *
 * A word of the weights holds bytes of channels 0, 2, 1, 3: SXTB16 then makes pairs that stand as the
 * inputs do, and nothing is shuffled. Instructions:
 *
 *   two taps of four channels 22, one 12; a row of taps 10; four channels 46 (2 more with a ReLU); a
 *   pixel 32
 *
 * r8-r11 are the sums, r1 points to the inputs, r2 to the weights, lr to the stream; s0-s10 hold what
 * the comments say.
 *
 * Stack: 36 bytes. Rounding: wide, in the short form that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .macro tap
    ldr r4, [r1]
    ldr r5, [r1, #4]
    ldr r6, [r2], #4
    add r1, r1, r3
    sxtb16 r7, r6
    sxtb16 r6, r6, ror #8
    smlabb r8, r4, r7, r8
    smlatt r9, r4, r7, r9
    smlabb r10, r5, r6, r10
    smlatt r11, r5, r6, r11
    .endm

    .section .text.nn_depthwise_taps_s16, "ax", %progbits
    .balign 4
    .global nn_depthwise_taps_s16
    .thumb_func
    .type nn_depthwise_taps_s16, %function
nn_depthwise_taps_s16:
    push {r4-r11, lr}
    ldm r0, {r4-r7}       /* stream, channels, taps, form */
    vmov s0, s1, r4, r2   /* the group's stream, its inputs */
    subs r5, r5, #4
    add r5, r3, r5, lsl #1
    vmov s9, s10, r3, r5  /* the group's outputs, those of the last */
    lsls r6, r6, #2
    vmov s4, r6           /* bytes of a group's weights */
    subs r7, r7, #NN_FORM_WIDE
    vmov s8, r7           /* 0 without a ReLU */
    ldr r4, [r1, #NN_TAPS_AT_WEIGHT]
    ldrd r5, r6, [r1, #NN_TAPS_AT_ROWS] /* runs */
    ldrd r7, r8, [r1, #NN_TAPS_AT_INPUT_ROW] /* input_run */
    ldr r9, [r1, #NN_TAPS_AT_WEIGHT_ROW]
    lsls r4, r4, #2
    cmp r6, #0
    it le
    movle r5, #0
    vmov s2, s3, r5, r4   /* rows of taps, bytes before the first weight */
    vmov s5, r6           /* taps of a row */
    mls r7, r6, r8, r7
    subs r9, r9, r6
    lsls r7, r7, #1
    lsl r9, r9, #2
    vmov s6, s7, r7, r9   /* from a row's end to the next: of inputs, of weights */
    lsl r3, r8, #1        /* from a tap to the next */

.Lgroup:
    vmov lr, r1, s0, s1
    vmov r12, r2, s2, s3
    ldmia.w lr!, {r8-r11} /* biases */
    vmov r4, s4
    add r2, r2, lr
    add lr, lr, r4
    cmp r12, #0
    ble .Loutputs
.Lrow:
    vmov r0, s5
    lsrs r0, r0, #1
    bcc .Ltap
    adds r0, r0, #1
    b .Lodd
.Ltap:
    tap
.Lodd:
    tap
    subs r0, r0, #1
    bne .Ltap
    vmov r4, r5, s6, s7
    add r1, r1, r4
    add r2, r2, r5
    subs r12, r12, #1
    bne .Lrow

.Loutputs:
    ldmia.w lr!, {r0, r2, r4-r7, r12} /* multipliers, constants, shifts */
    smlawb r8, r8, r0, r4
    smlawt r9, r9, r0, r5
    smlawb r10, r10, r2, r6
    smlawt r11, r11, r2, r7
    asr r8, r8, r12
    lsr r12, r12, #8
    asr r9, r9, r12
    lsr r12, r12, #8
    asr r10, r10, r12
    lsr r12, r12, #8
    asr r11, r11, r12
    ssat r8, #16, r8
    ssat r9, #16, r9
    ssat r10, #16, r10
    ssat r11, #16, r11
    pkhbt r8, r8, r9, lsl #16
    pkhbt r10, r10, r11, lsl #16
    vmov r0, s8
    vmov r4, r5, s9, s10
    cbz r0, .Lstore
    usat16 r8, #15, r8
    usat16 r10, #15, r10
.Lstore:
    str r8, [r4]
    str r10, [r4, #4]
    cmp r4, r5
    beq .Lend
    add r6, r4, #8
    cmp r6, r5
    it hi
    movhi r6, r5          /* the last group overlaps the one before */
    subs r4, r6, r4
    vmov r1, s1
    vmov s9, r6
    add r1, r1, r4
    vmov s0, s1, lr, r1
    b .Lgroup
.Lend:
    pop {r4-r11, pc}
    .size nn_depthwise_taps_s16, . - nn_depthwise_taps_s16
