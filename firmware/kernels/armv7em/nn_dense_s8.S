/* void nn_dense_s8(const nn_dense_t *p, const void *x, int8_t *output, int32_t groups)
 *
 * One vector of int8 inputs times groups of four output channels (nn_dense_groups.inc); twin/nn_dense_s8.c says
 * the same in C. LDRD and four SXTB16 widen eight inputs for each group: with 2 LDM for the weights, 8
 * SXTB16, 16 SMLAD and the end of the loop 34 instructions for 32 MACs, 1.06 each, but no scratch.
 *
 * Stack: 72 bytes. Rounding: double, in the short form NN_SIGN.
 */
#include "nn_dense_groups.inc"

    begin nn_dense_s8
    lsls r7, r7, #1
    adr r9, .Lsteps + 1
    b.w SHARED

    .balign 4
.Lsteps:
    ldrd r0, r2, [lr], #8
    sxtb16 r1, r0, ror #8
    sxtb16 r0, r0
    sxtb16 r3, r2, ror #8
    sxtb16 r2, r2
    two_steps r0, r1
    two_steps r2, r3
    end nn_dense_s8, .Lsteps
