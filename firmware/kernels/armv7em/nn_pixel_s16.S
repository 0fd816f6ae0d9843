/* void nn_pixel_s16(const nn_quad_t *quad, const uint32_t *x, int16_t *output)
 *
 * One pixel times all output channels, from the stream that nn_quad_s16 reads: what is left when
 * pixels fill no group of four, and dense layers. twin/nn_pixel_s16.c says the same in C.
 *
 *   four steps of 2 inputs x 2 channels = 16 MACs: 2 LDM, 8 SXTB16, 8 SMLAD, 2 for the loop = 20
 *   each other step 8, each pair of channels 23 (25 with a ReLU), which are 1.34 per MAC for 128
 *   inputs
 *
 * r0 gathers A, r1 gathers B, r2-r5 hold weights, r6-r9 inputs, r11 the weights of B; r10 is the end
 * of the inputs, r12 points to the stream, lr to the inputs.
 *
 * Stack: 36 bytes. Rounding: wide, in the short form that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .macro step weights, input
    sxtb16 r11, \weights, ror #8
    sxtb16 \weights, \weights
    smlad r0, \weights, \input, r0
    smlad r1, r11, \input, r1
    .endm

    .section .text.nn_pixel_s16, "ax", %progbits
    .balign 4
    .global nn_pixel_s16
    .thumb_func
    .type nn_pixel_s16, %function
nn_pixel_s16:
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
    ldmia.w r12!, {r0, r1} /* first value of A, of B */
    cbz r5, .Lfour
.Lone:
    ldr r2, [r12], #4
    ldr r6, [lr], #4
    step r2, r6
    subs r5, r5, #1
    bne .Lone
    cmp lr, r10
    beq .Loutputs
.Lfour:
    ldmia.w r12!, {r2-r5}
    ldmia.w lr!, {r6-r9}
    step r2, r6
    step r3, r7
    step r4, r8
    step r5, r9
    cmp lr, r10
    bne .Lfour

.Loutputs:
    ldmia.w r12!, {r2-r5} /* multipliers of A and B, constant of A, of B, shifts */
    smlawb r0, r0, r2, r3
    smlawt r1, r1, r2, r4
    vmov r2, s4
    asrs r0, r0, r5
    lsrs r5, r5, #8
    asrs r1, r1, r5
    ssat r0, #16, r0
    ssat r1, #16, r1
    cbz r2, .Lstore
    usat r0, #15, r0
    usat r1, #15, r1
.Lstore:
    vmov r2, r3, s0, s1
    strh r0, [r2], #2
    cmp r2, r3            /* the last channel may have no partner */
    beq .Lend
    strh r1, [r2], #2
    vmov s0, r2
    cmp r2, r3
    bne .Lpair
.Lend:
    pop {r4-r11, pc}
    .size nn_pixel_s16, . - nn_pixel_s16
