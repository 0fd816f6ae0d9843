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
 * Stack: 72 bytes. Rounding: double, in the short form NN_SIGN.
 */
#include "nn_dense.inc"

#define FOUR_STEPS_BYTES 108

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
