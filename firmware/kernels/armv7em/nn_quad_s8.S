/* void nn_quad_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride)
 *
 * Four pixels times all output channels, two channels (A, B) at a time; nn_quad.h describes the
 * operands, twin/nn_quad_s8.c says the same in C.
 *
 * The trick: a halfword of the weight stream is 256 * a + b, so one SMLAD gathers 256 * A + B, one
 * more with SXTB16 of the same word gathers B, and A falls out by a subtraction. Two inputs of two
 * channels of one pixel cost one SMLAD each, and the SXTB16 and the loads serve four pixels:
 *
 *   a step of 2 inputs x 2 channels x 4 pixels = 16 MACs: VMOV, LDM, SXTB16, 8 SMLAD = 11
 *   each 16 steps: 6 to refill the stream and test the end; each pair and four pixels: 46 (60 with
 *   the jump form, 55 with the floor form, 69 with the sign form), which are 0.71 per MAC in the
 *   limit and 0.80 for 64 inputs.
 *
 * The first step adds to the two first values of a pair, so none of them is copied for each pixel.
 * Weights arrive 16 words at a time in s0-s15 (one VLDM), which frees the register that a pointer
 * to them would need: r4-r7 gather 256 * A + B, r8-r11 gather B, r0-r3 hold the inputs, r12 the
 * weights, lr points to the inputs. What is left lives in s16-s23, two to a VMOV.
 *
 * quad->outputs is code that goes on at nn_quad_store_s8. It finds 256 times the sums of A in r4-r7
 * and those of B in r8-r11, puts their outputs there, and finds the multipliers in r0 and r2, the word
 * behind them in lr, the layer's constant in s23; r12 points behind that word and has to move on
 * behind the pair, s17-s23 have to stay.
 *
 * Stack: 80 bytes. Rounding: double, in the short forms that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define STEP_BYTES 44 /* of one step below: the entry address depends on it */
#define STEPS 16
#define ENTRY 32 /* in the frame: where the first block is entered, */
#define OUTPUTS 36 /* and where sums become outputs in other forms than NN_FIXED_8 */

    .section .text.nn_quad_s8, "ax", %progbits
    .balign 4
    .global nn_quad_s8
    .thumb_func
    .type nn_quad_s8, %function
nn_quad_s8:
    push {r4-r11, lr}
    sub sp, sp, #12
    vpush {s16-s23}
    ldrh r5, [r0, #NN_QUAD_AT_COUNT]
    ldrh r6, [r0, #NN_QUAD_AT_STEPS]
    ldrd r9, r7, [r0, #NN_QUAD_AT_CONSTANT] /* outputs */
    ldr.w r12, [r0, #NN_QUAD_AT_STREAM]
    vmov s23, r9
    add r8, r1, r6, lsl #4 /* end of the inputs: a step has 4 words */
    str r7, [sp, #OUTPUTS]
    cbz r7, 1f
    subs r8, r8, #4       /* so that the inputs end above it in the other forms */
1:
    vmov s17, r8
    vmov s18, s19, r2, r3 /* output of pixel 0, stride */
    bic r5, r5, #1
    add r8, r2, r5
    vmov s20, r8          /* end of the outputs of pixel 0 */
    rsb r8, r6, #1        /* all but the first step */
    and r8, r8, #(STEPS - 1) /* steps to skip in the first, partial block */
    movs r9, #STEP_BYTES
    adr r10, .Lsteps
    mla r9, r8, r9, r10
    orr r9, r9, #1
    str r9, [sp, #ENTRY]
    movs r9, #12
    sub r9, r9, r8, lsl #2
    vmov s21, s22, r1, r9 /* inputs; from a pair's start to where its first VLDM reads */

.Lpair:
    ldm r12, {r4, r8, r9} /* first value of 256 * A + B, of B; weights of the first step */
    vmov lr, r0, s21, s22
    add r12, r12, r0
    vldmia r12!, {s0-s15}
    vmov s16, r12
    ldmia.w lr!, {r0-r3}
    smlad r5, r9, r1, r4
    smlad r6, r9, r2, r4
    smlad r7, r9, r3, r4
    smlad r4, r9, r0, r4
    sxtb16 r12, r9
    smlad r9, r12, r1, r8
    smlad r10, r12, r2, r8
    smlad r11, r12, r3, r8
    smlad r8, r12, r0, r8
    ldr pc, [sp, #ENTRY]

    .balign 4
.Lblock:
    vmov r12, s16
    vldmia r12!, {s0-s15}
    vmov s16, r12
.Lsteps:
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmov r12, s\n
    ldmia.w lr!, {r0-r3}
    smlad r4, r12, r0, r4
    smlad r5, r12, r1, r5
    smlad r6, r12, r2, r6
    smlad r7, r12, r3, r7
    sxtb16 r12, r12
    smlad r8, r12, r0, r8
    smlad r9, r12, r1, r9
    smlad r10, r12, r2, r10
    smlad r11, r12, r3, r11
    .endr
    .if (. - .Lsteps) - STEPS * STEP_BYTES
    .error "a step has another size"
    .endif
    vmov r12, s17
    cmp lr, r12
    bcc.w .Lblock
    vmov r12, s16
    ldmia.w r12!, {r0, r2, lr} /* multipliers, constants */
    sub r4, r4, r8        /* 256 * A */
    sub r5, r5, r9
    sub r6, r6, r10
    sub r7, r7, r11
    bhi.w .Lother

    vmov r3, s23
    uxtah r1, r3, lr      /* constant of A, */
    uxtah r3, r3, lr, ror #16 /* of B */
    .irp n, 4, 5, 6, 7
    smmla r\n, r\n, r0, r1
    ssat r\n, #8, r\n, asr #12
    .endr
    .irp n, 8, 9, 10, 11
    lsl r\n, r\n, #8
    smmla r\n, r\n, r2, r3
    ssat r\n, #8, r\n, asr #12
    .endr

    .global nn_quad_store_s8
    .thumb_func
    .type nn_quad_store_s8, %function
nn_quad_store_s8:
    vmov r3, lr, s18, s19
    bfi r4, r8, #8, #8    /* channels A and B lie side by side */
    bfi r5, r9, #8, #8
    bfi r6, r10, #8, #8
    bfi r7, r11, #8, #8
    add r2, r3, lr
    strh r5, [r2]
    strh.w r6, [r2, lr]
    strh.w r7, [r2, lr, lsl #1]
    strh r4, [r3], #2
    vmov s18, r3
    vmov r0, s20
    cmp r3, r0
    bne.w .Lpair

    vpop {s16-s23}
    add sp, sp, #12
    pop {r4-r11, pc}

.Lother:
    ldr pc, [sp, #OUTPUTS]
    .size nn_quad_s8, . - nn_quad_s8
