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
 *
 * A group takes about 45 instructions besides its steps.
 *
 * r4-r7 are sums, r12 points to the stream, lr to the inputs. What is left lives in s16-s22:
 *
 *   s16 requant, s17 bytes to the next group's
 *   s18 inputs, s19 their end
 *   s20 output, s21 end of the outputs
 *   s22 where a group's steps are entered
 *
 * Stack: 72 bytes. Rounding: double, in the short form NN_SIGN.
 */
#include "layout/nn_offsets.h"

#define FOUR_STEPS_BYTES 108

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .macro output sum
    ldrd r0, r1, [r8], #8
    smmlar r0, \sum, r0, r1
    add r0, r0, \sum, asr #31
    asrs r0, r0, r2
    lsrs r2, r2, #8
    ssat r0, #8, r0
    strb r0, [r3], #1
    .endm

/* Leaves steps in r7, `wide` in r8, in r10 the quarters to skip in the first block of 16 steps. */
    .macro begin function
    .section .text.\function, "ax", %progbits
    .balign 4
    .global \function
    .thumb_func
    .type \function, %function
\function:
    push {r4-r11, lr}
    sub sp, sp, #4
    vpush {s16-s23}
    ldm r0, {r4-r8}       /* stream, requant, bytes of a requant, steps, wide */
    vmov s16, s17, r5, r6
    vmov s18, r1
    vmov s20, r2
    add r9, r2, r3, lsl #2
    vmov s21, r9
    rsb r10, r7, #0
    ubfx r10, r10, #2, #2
    mov r12, r4
    .endm

/* r7: bytes of the inputs, r9: where the steps are entered. */
    .macro groups
    orr r9, r9, #1
    vmov s22, r9
    add r7, r7, r1
    vmov s19, r7
.Lgroup:
    vmov lr, s18
    ldmia.w r12!, {r4-r7} /* first values */
    vmov r0, s22
    bx r0
    .endm

/* Four times the four steps that end here, of `bytes` each: the entry address depends on it. */
    .macro check_steps start, bytes
    .if (. - \start) - 4 * \bytes
    .error "four steps have another size"
    .endif
    .endm

    .macro repeat start
    vmov r8, s19
    cmp lr, r8
    bne.w \start
    .endm

/* r8: requant, r2: four shifts, r3: output, as the macro `output` takes them. */
    .macro begin_outputs
    vmov r8, r9, s16, s17
    add r9, r9, r8
    vmov s16, r9
    vmov r3, s20
    ldr r2, [r8], #4
    .endm

    .macro end function
    vmov s20, r3
    vmov r0, s21
    cmp r3, r0
    bne.w .Lgroup
    vpop {s16-s23}
    add sp, sp, #4
    pop {r4-r11, pc}
    .size \function, . - \function
    .endm

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

    begin nn_dense_s8
    lsls r7, r7, #1
    adr r9, .Lnarrow
    cmp r8, #0
    beq 1f
    lsls r7, r7, #1
    movs r8, #FOUR_STEPS_BYTES
    adr r9, .Lwide
    mla r9, r10, r8, r9
1:
    groups                /* 256 * A + B, 256 * C + D, B, D */

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
    check_steps .Lwide, FOUR_STEPS_BYTES
    repeat .Lwide

.Loutputs:
    begin_outputs
    subs r4, r4, r6
    subs r5, r5, r7
    asrs r4, r4, #7       /* 2 * A */
    asrs r5, r5, #7
    lsls r6, r6, #1
    lsls r7, r7, #1
    output r4
    output r6
    output r5
    output r7
    end nn_dense_s8
