/* void nn_dense_wide_s8(const nn_dense_t *p, const void *x, int8_t *output, int32_t groups)
 *
 * One vector of int16 inputs times groups of four output channels (nn_dense_groups.inc); twin/nn_dense_wide_s8.c
 * says the same in C. Four steps of two inputs each take 1 LDM for them, 2 for the weights, 8 SXTB16 and
 * 16 SMLAD: 27 instructions for 32 MACs, 0.84 each; each 16 steps 3 more.
 *
 * Stack: 72 bytes. Rounding: double, in the short form NN_SIGN.
 */
#include "nn_dense_groups.inc"

#define FOUR_STEPS_BYTES 108

    begin nn_dense_wide_s8
    rsb r10, r7, #0
    ubfx r10, r10, #2, #2 /* quarters to skip in the first block of 16 steps */
    movs r8, #FOUR_STEPS_BYTES
    adr r9, .Lsteps + 1
    mla r9, r10, r8, r9
    lsls r7, r7, #2
    b.w SHARED

    .balign 4
.Lsteps:
    .rept 4
    ldmia.w lr!, {r0-r3}
    two_steps r0, r1
    two_steps r2, r3
    .endr
    .if (. - .Lsteps) - 4 * FOUR_STEPS_BYTES
    .error "four steps have another size"
    .endif
    end nn_dense_wide_s8, .Lsteps
