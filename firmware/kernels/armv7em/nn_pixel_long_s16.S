/* void nn_pixel_long_s16(const nn_quad_t *quad, const uint32_t *x, int16_t *output)
 *
 * One pixel times all output channels where sums may leave 32 bits; nn_wide.h describes the operands,
 * twin/nn_pixel_long_s16.c says the same in C. SMLALD adds to 64 bits as fast as SMLAD to 32:
 *
 *   four steps of 2 inputs x 2 channels = 16 MACs: 3 LDM, 8 SXTB16, 8 SMLALD, 2 for the loop = 21
 *   each other step 8, each pair of channels 27 (29 with a ReLU)
 *
 * r0 and r1 gather A, r2 and r3 B, r4-r7 hold weights, r8-r9 inputs, r11 the weights of B; r10 is the
 * end of the inputs, r12 points to the stream, lr to the inputs.
 *
 * Stack: 36 bytes. Rounding: wide, in the long form that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .macro step weights, input
    sxtb16 r11, \weights, ror #8
    sxtb16 \weights, \weights
    smlald r0, r1, \weights, \input
    smlald r2, r3, r11, \input
    .endm

    .section .text.nn_pixel_long_s16, "ax", %progbits
    .balign 4
    .global nn_pixel_long_s16
    .thumb_func
    .type nn_pixel_long_s16, %function
nn_pixel_long_s16:
    push {r4-r11, lr}
    ldm r0, {r3-r5}       /* stream, channels and steps, form */
    mov r12, r3
    uxth r6, r4
    add r3, r2, r6, lsl #1
    vmov s0, s1, r2, r3   /* output, its end */
    lsrs r4, r4, #16
    add r10, r1, r4, lsl #2
    and r4, r4, #3
    vmov s2, s3, r1, r4   /* inputs, steps that fill no group of four */
    uxth r5, r5
    subs r5, r5, #NN_FORM_WIDE
    vmov s4, r5           /* 0 without a ReLU */

.Lpair:
    vmov lr, r5, s2, s3
    ldmia.w r12!, {r0-r3} /* first value of A, of B */
    cbz r5, .Lfour
.Lone:
    ldr r4, [r12], #4
    ldr r8, [lr], #4
    step r4, r8
    subs r5, r5, #1
    bne .Lone
    cmp lr, r10
    beq .Loutputs
.Lfour:
    ldmia.w r12!, {r4-r7}
    ldmia.w lr!, {r8, r9}
    step r4, r8
    step r5, r9
    ldmia.w lr!, {r8, r9}
    step r6, r8
    step r7, r9
    cmp lr, r10
    bne .Lfour

.Loutputs:
    ldmia.w r12!, {r4-r8} /* multiplier and constant of A, of B, shifts */
    umull r0, r9, r0, r4
    umull r2, r11, r2, r6
    mla r1, r1, r4, r9    /* the upper words of the products */
    mla r3, r3, r6, r11
    vmov r4, s4
    adds r1, r1, r5
    adds r3, r3, r7
    asr r1, r1, r8
    lsr r8, r8, #8
    asr r3, r3, r8
    ssat r1, #16, r1
    ssat r3, #16, r3
    cbz r4, .Lstore
    usat r1, #15, r1
    usat r3, #15, r3
.Lstore:
    vmov r4, r5, s0, s1
    strh r1, [r4], #2
    cmp r4, r5            /* the last channel may have no partner */
    beq .Lend
    strh r3, [r4], #2
    vmov s0, r4
    cmp r4, r5
    bne .Lpair
.Lend:
    pop {r4-r11, pc}
    .size nn_pixel_long_s16, . - nn_pixel_long_s16
