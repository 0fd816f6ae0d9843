/* void nn_dense_s8(const nn_dense_t *p, const void *x, int8_t *output, int32_t groups)
 *
 * One input vector times groups of four output channels A, B, C, D; nn_packed.h describes the
 * operands, twin/nn_dense_s8.c says the same in C. As in nn_quad_s8, a halfword of the stream is
 * 256 * a + b, so a word serves two inputs of two channels. Four steps (of two inputs each):
 *
 *   wide: the inputs are 16-bit already: 1 LDM for them, 2 for the weights, 8 SXTB16, 16 SMLAD
 *         = 27 for 32 MACs, 0.84 each; each 16 steps 3 more
 *   else: LDRD and four SXTB16 widen eight inputs for each group: with the end of the loop 34,
 *         1.06 each, but no scratch
 *   each group about 50.
 *
 * Stack: 72 bytes. Rounding: double, in the short form NN_SIGN.
 */
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define FOUR_STEPS_BYTES 108 /* of .Lwide: the entry address depends on it */

    .macro two_steps x0, x1
    ldmia.w r12!, {r8-r11}
    smlad r4, r8, \x0, r4
    smlad r5, r9, \x0, r5
    smlad r4, r10, \x1, r4
    smlad r5, r11, \x1, r5
    sxtb16 r8, r8
    sxtb16 r9, r9
    sxtb16 r10, r10
    sxtb16 r11, r11
    smlad r6, r8, \x0, r6
    smlad r7, r9, \x0, r7
    smlad r6, r10, \x1, r6
    smlad r7, r11, \x1, r7
    .endm

    .macro output sum
    ldrd r0, r1, [r8], #8
    smmlar r0, \sum, r0, r1
    add r0, r0, \sum, asr #31
    asr.w r0, r0, r2
    lsr r2, r2, #8
    ssat r0, #8, r0
    strb r0, [r3], #1
    .endm

    .section .text.nn_dense_s8, "ax", %progbits
    .balign 4
    .global nn_dense_s8
    .thumb_func
    .type nn_dense_s8, %function
nn_dense_s8:
    push {r4-r11, lr}
    sub sp, sp, #4
    vpush {s16-s23}
    ldm r0, {r4-r8}       /* stream, requant, bytes of a requant, steps, wide */
    vmov s16, s17, r5, r6
    vmov s18, r1
    vmov s20, r2
    add r9, r2, r3, lsl #2
    vmov s21, r9          /* end of the outputs */
    rsb r10, r7, #0
    ubfx r10, r10, #2, #2 /* quarters to skip in the first, partial block of .Lwide */
    mov r12, r4
    lsl r7, r7, #1        /* bytes of the inputs */
    adr r9, .Lnarrow
    cmp r8, #0
    beq 1f
    lsl r7, r7, #1
    movs r8, #FOUR_STEPS_BYTES
    adr r9, .Lwide
    mla r9, r10, r8, r9
1:
    orr r9, r9, #1
    vmov s22, r9
    add r7, r7, r1
    vmov s19, r7          /* end of the inputs */

.Lgroup:
    vmov lr, s18
    ldmia.w r12!, {r4-r7} /* first values of 256 * A + B, 256 * C + D, B, D */
    vmov r0, s22
    bx r0

    .balign 4
.Lnarrow:
    ldrd r0, r2, [lr], #8
    sxtb16 r1, r0, ror #8
    sxtb16 r0, r0
    sxtb16 r3, r2, ror #8
    sxtb16 r2, r2
    two_steps r0, r1
    two_steps r2, r3
    vmov r8, s19
    cmp lr, r8
    bne .Lnarrow
    b.w .Loutputs

    .balign 4
.Lwide:
    .rept 4
    ldmia.w lr!, {r0-r3}
    two_steps r0, r1
    two_steps r2, r3
    .endr
    .if (. - .Lwide) - 4 * FOUR_STEPS_BYTES
    .error "four steps have another size"
    .endif
    vmov r8, s19
    cmp lr, r8
    bne.w .Lwide

.Loutputs:
    vmov r8, r9, s16, s17
    add r9, r9, r8
    vmov s16, r9
    vmov r3, s20
    sub r4, r4, r6
    sub r5, r5, r7
    asr r4, r4, #7        /* 2 * A */
    asr r5, r5, #7
    lsl r6, r6, #1
    lsl r7, r7, #1
    ldr r2, [r8], #4      /* four shifts */
    output r4
    output r6
    output r5
    output r7
    vmov s20, r3
    vmov r0, s21
    cmp r3, r0
    bne.w .Lgroup
    vpop {s16-s23}
    add sp, sp, #4
    pop {r4-r11, pc}
    .size nn_dense_s8, . - nn_dense_s8
