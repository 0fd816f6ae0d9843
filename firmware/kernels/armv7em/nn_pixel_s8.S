/* void nn_pixel_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output)
 *
 * One pixel times all output channels, from the stream that nn_quad_s8 reads: what is left when
 * pixels fill no group of four. twin/nn_pixel_s8.c says the same in C.
 *
 * The trick is that of nn_quad_s8, a halfword is 256 * a + b; here an SXTB16 serves one pixel only:
 *
 *   four steps of 2 inputs x 2 channels = 16 MACs: 2 LDM, 4 SXTB16, 8 SMLAD, 2 for the loop = 16
 *   each pair of channels: 25 (26 with the floor form, 30 with the sign form), which are 1.10 per
 *   MAC for 128 inputs
 *
 * r0 gathers 256 * A + B, r1 gathers B, r2-r5 hold weights, r6-r9 inputs; r10 is the end of the
 * inputs, r11 their steps and above these the form, r12 points to the stream, lr to the inputs.
 *
 * Stack: 36 bytes. Rounding: double, in the short forms that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .macro step weights, input
    smlad r0, \weights, \input, r0
    sxtb16 \weights, \weights
    smlad r1, \weights, \input, r1
    .endm

    .section .text.nn_pixel_s8, "ax", %progbits
    .balign 4
    .global nn_pixel_s8
    .thumb_func
    .type nn_pixel_s8, %function
nn_pixel_s8:
    push {r4-r11, lr}
    ldm r0, {r3-r6}       /* stream, channels and steps, form, constant */
    mov r12, r3
    uxtah r3, r2, r4
    vmov s0, s1, r2, r3   /* output, its end */
    vmov s2, r6
    lsrs r4, r4, #16      /* even */
    add r10, r1, r4, lsl #2
    orr r11, r4, r5, lsl #30 /* lost again in lsl #2 and more */

.Lpair:
    ldmia.w r12!, {r0, r1} /* first value of 256 * A + B, of B */
    sub lr, r10, r11, lsl #2
    lsls r2, r11, #30     /* steps are even */
    bpl .Lfour
    ldmia.w r12!, {r4, r5}
    ldmia.w lr!, {r8, r9}
    b .Ltwo
.Lfour:
    ldmia.w r12!, {r2-r5}
    ldmia.w lr!, {r6-r9}
    step r2, r6
    step r3, r7
.Ltwo:
    step r4, r8
    step r5, r9
    cmp lr, r10
    bne .Lfour

.Loutputs:
    ldmia.w r12!, {r2, r4, r6} /* multipliers, constants or shifts */
    subs r0, r0, r1       /* 256 * A */
    lsls r3, r11, #1      /* the sign form, NN_FIXED_8 */
    bmi .Lfixed
    ldmia.w r12!, {r3, r5} /* constants */
    bcs .Lsign
    lsls r1, r1, #8
    smmla r0, r0, r2, r3
    smmla r1, r1, r4, r5
.Lshift:
    asrs r0, r0, r6
    lsrs r6, r6, #8
    asrs r1, r1, r6
    ssat r0, #8, r0
    ssat r1, #8, r1
.Lstore:
    vmov r2, r3, s0, s1
    strb r0, [r2], #1
    cmp r2, r3            /* the last channel may have no partner */
    beq .Lend
    strb r1, [r2], #1
    vmov s0, r2
    cmp r2, r3
    bne .Lpair
.Lend:
    pop {r4-r11, pc}

.Lfixed:
    vmov r5, s2
    uxtah r3, r5, r6      /* constant of A, */
    uxtah r5, r5, r6, ror #16 /* of B */
    lsls r1, r1, #8
    smmla r0, r0, r2, r3
    smmla r1, r1, r4, r5
    ssat r0, #8, r0, asr #12
    ssat r1, #8, r1, asr #12
    b .Lstore

.Lsign:
    asrs r0, r0, #7       /* 2 * A */
    lsls r1, r1, #1
    add r3, r3, r0, asr #31
    add r5, r5, r1, asr #31
    smmlar r0, r0, r2, r3
    smmlar r1, r1, r4, r5
    b .Lshift
    .size nn_pixel_s8, . - nn_pixel_s8
