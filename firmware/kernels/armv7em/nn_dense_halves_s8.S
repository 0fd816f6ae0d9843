/* void nn_dense_halves_s8(const nn_dense_t *p, const void *x, int8_t *output, int32_t groups)
 *
 * As nn_dense_s8, but the weights are 16-bit: twice the flash, no SXTB16 of them. Four steps (of two
 * inputs each):
 *
 *   wide: 1 LDM for the inputs, 4 for the weights, 16 SMLAD = 21 for 32 MACs, 0.66 each; each 16
 *         steps 3 more
 *   else: LDRD and four SXTB16 widen eight inputs for each group: with the end of the loop 28, 0.88
 *         each, but no scratch
 *
 * twin/nn_dense_halves_s8.c says the same in C.
 *
 * Stack: 72 bytes. Rounding: double, in the short form NN_SIGN.
 */
#include "nn_dense.inc"

#define FOUR_STEPS_BYTES 84

    .macro step x
    ldmia.w r12!, {r8-r11}
    smlad r4, r8, \x, r4
    smlad r5, r9, \x, r5
    smlad r6, r10, \x, r6
    smlad r7, r11, \x, r7
    .endm

    begin nn_dense_halves_s8
    lsls r7, r7, #1
    adr r9, .Lnarrow
    cmp r8, #0
    beq 1f
    lsls r7, r7, #1
    movs r8, #FOUR_STEPS_BYTES
    adr r9, .Lsteps
    mla r9, r10, r8, r9
1:
    groups

    .balign 4
.Lnarrow:
    ldrd r0, r2, [lr], #8
    sxtb16 r1, r0, ror #8
    sxtb16 r0, r0
    sxtb16 r3, r2, ror #8
    sxtb16 r2, r2
    step r0
    step r1
    step r2
    step r3
    vmov r8, s19
    cmp lr, r8
    bne .Lnarrow
    b.w .Loutputs

    .balign 4
.Lsteps:
    .rept 4
    ldmia.w lr!, {r0-r3}
    step r0
    step r1
    step r2
    step r3
    .endr
    check_steps .Lsteps, FOUR_STEPS_BYTES
    repeat .Lsteps

.Loutputs:
    begin_outputs
    .irp sum, r4, r5, r6, r7
    lsls \sum, \sum, #1
    output \sum
    .endr
    end nn_dense_halves_s8
