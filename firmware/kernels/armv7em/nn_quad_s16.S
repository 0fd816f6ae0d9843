/* void nn_quad_s16(const nn_quad_t *quad, const uint32_t *x, int16_t *output, int32_t stride)
 *
 * Four pixels times all output channels, two channels (A, B) at a time; nn_wide.h describes the
 * operands, twin/nn_quad_s16.c says the same in C.
 *
 * The trick: a word of the weight stream holds bytes a0, b0, a1, b1, so SXTB16 of it is a pair of
 * weights of A, and of the word turned by a byte one of B. Eight sums, four inputs, a weight and a
 * pointer take all registers, so a word is fetched twice, from s0-s15:
 *
 *   a step of 2 inputs x 2 channels x 4 pixels = 16 MACs: LDM, 2 VMOV, 2 SXTB16, 8 SMLAD = 13
 *   each 16 steps: 6 to refill the stream and test the end; each pair and four pixels: 57
 *   (61 with a ReLU), which are 0.84 per MAC in the limit and 0.95 for 64 inputs.
 *
 * r4-r7 gather A, r8-r11 gather B, r0-r3 hold the inputs, r12 the weights, lr points to the inputs.
 * What is left lives in s16-s25, two to a VMOV.
 *
 * Stack: 80 bytes. Rounding: wide, in the short form that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define STEP_BYTES 52 /* of one step below: the entry address depends on it */
#define STEPS 16

    .section .text.nn_quad_s16, "ax", %progbits
    .balign 4
    .global nn_quad_s16
    .thumb_func
    .type nn_quad_s16, %function
nn_quad_s16:
    push {r4-r11, lr}
    sub sp, sp, #4
    vpush {s16-s25}
    ldr.w r12, [r0, #NN_QUAD_AT_STREAM]
    ldrh r5, [r0, #NN_QUAD_AT_COUNT] /* channel pairs */
    ldrh r6, [r0, #NN_QUAD_AT_STEPS]
    ldrh r7, [r0, #NN_QUAD_AT_FORM]
    add r8, r1, r6, lsl #4
    vmov s18, r8          /* end of the inputs: a step has 4 words */
    lsls r3, r3, #1
    vmov s20, s21, r2, r3 /* output of pixel 0, stride in bytes */
    add r8, r2, r5, lsl #2
    vmov s22, r8          /* end of the outputs of pixel 0 */
    rsb r8, r6, #0
    and r8, r8, #(STEPS - 1) /* steps to skip in the first, partial block */
    movs r9, #STEP_BYTES
    adr r10, .Lsteps
    mla r9, r8, r9, r10
    orr r9, r9, #1
    vmov s19, r9          /* where the first block is entered */
    movs r9, #8
    sub r9, r9, r8, lsl #2
    vmov s24, s25, r1, r9 /* inputs; from a pair's start to where its first VLDM reads */
    subs r7, r7, #NN_FORM_WIDE
    vmov s17, r7          /* 0 without a ReLU */

.Lpair:
    ldrd r4, r8, [r12]    /* first value of A, of B */
    vmov lr, r0, s24, s25
    mov r5, r4
    mov r6, r4
    mov r7, r4
    mov r9, r8
    mov r10, r8
    mov r11, r8
    add r12, r12, r0
    vldmia r12!, {s0-s15}
    vmov s16, r12
    vmov r12, s19
    bx r12

.Lblock:
    vmov r12, s16
    vldmia r12!, {s0-s15}
    vmov s16, r12
    .balign 4
.Lsteps:
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmov r12, s\n
    ldmia.w lr!, {r0-r3}
    sxtb16 r12, r12
    smlad r4, r12, r0, r4
    smlad r5, r12, r1, r5
    smlad r6, r12, r2, r6
    smlad r7, r12, r3, r7
    vmov r12, s\n
    sxtb16 r12, r12, ror #8
    smlad r8, r12, r0, r8
    smlad r9, r12, r1, r9
    smlad r10, r12, r2, r10
    smlad r11, r12, r3, r11
    .endr
    .if (. - .Lsteps) - STEPS * STEP_BYTES
    .error "a step has another size"
    .endif
    vmov r12, s18
    cmp lr, r12
    bne.w .Lblock

    vmov r12, lr, s16, s17
    ldmia.w r12!, {r0-r3} /* multipliers of A and B, constant of A, of B, shifts */
    .irp n, 4, 5, 6, 7
    smlawb r\n, r\n, r0, r1
    asr.w r\n, r\n, r3
    ssat r\n, #16, r\n
    .endr
    lsrs r3, r3, #8
    .irp n, 8, 9, 10, 11
    smlawt r\n, r\n, r0, r2
    asr.w r\n, r\n, r3
    ssat r\n, #16, r\n
    .endr
    pkhbt r4, r4, r8, lsl #16 /* channels A and B lie side by side */
    pkhbt r5, r5, r9, lsl #16
    pkhbt r6, r6, r10, lsl #16
    pkhbt r7, r7, r11, lsl #16
    cmp lr, #0
    beq .Lstore
    usat16 r4, #15, r4
    usat16 r5, #15, r5
    usat16 r6, #15, r6
    usat16 r7, #15, r7
.Lstore:
    vmov r3, lr, s20, s21
    str r4, [r3]
    str.w r5, [r3, lr]
    str.w r6, [r3, lr, lsl #1]
    add r2, r3, lr
    str.w r7, [r2, lr, lsl #1]
    adds r3, r3, #4
    vmov s20, r3
    vmov r0, s22
    cmp r3, r0
    bne.w .Lpair

    vpop {s16-s25}
    add sp, sp, #4
    pop {r4-r11, pc}
    .size nn_quad_s16, . - nn_quad_s16
