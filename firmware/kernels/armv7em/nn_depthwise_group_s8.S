/* void nn_depthwise_group_s8(const nn_depthwise_packed_t *p,
 *                            const nn_depthwise_group_t *group)
 *
 * Depthwise 3 x 3, stride 1, up to four channels of one image; nn_packed.h describes the operands,
 * twin/nn_depthwise_group_s8.c says the same in C.
 *
 * Rows come in pairs: a word of the ring holds rows 2k and 2k + 1 of the padded image. Two pairs P0
 * and P1 are enough for two output rows. For each column of the window 4 multiplies do 6 MACs:
 *
 *   out[2k]     += SMLAD(w01, P0) + SMLATB(w12, P1)
 *   out[2k + 1] += SMLABT(w01, P0) + SMLAD(w12, P1)
 *
 * A pair is P1 first and P0 later. Even pairs are stored twice, so that P0 and P1 always are
 * neighbours in the order even, odd, even; k decides which two of the three are meant.
 *
 * The unit of work is one column of two outputs. Up to UNITS of them are unrolled; fewer enter in
 * the middle. Their sums lie in s0-s11 while r5-r10 hold the weights; then these registers hold what
 * the requantisation needs. The data of the two columns before lies in r0-r1 and r2-r3, which
 * change roles from column to column: hence two ways in. Instructions:
 *
 *   a unit 22; a channel of a block of units 19; a column of a pair of rows 14 or 15; a pair of rows
 *   55; the weights of a channel 35.
 *
 * Inputs are masked, not widened, into halfwords 256 * input: sums are then shifted by 8 bits before
 * weights are, which have no room for more than 8.
 *
 * Stack: 244 bytes. Rounding: double, in the form that quantize/lowering/offsets.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define FUNCTION nn_depthwise_group_s8
#define FUNCTION_WITH_OUTPUTS nn_depthwise_group_to_s8
#include "nn_depthwise_narrow.inc"

    .macro begin
    mov r2, #EVEN_BYTES
    .endm

    .macro widen
    ldr r0, [r7]
    ldr r1, [r9]
    add r7, r7, r8
    add r9, r9, r10
    pkhbt r4, r0, r1, lsl #16
    pkhtb r6, r1, r0, asr #16
    and r3, r2, r4, lsl #8
    ands r4, r4, r2
    and r5, r2, r6, lsl #8
    ands r6, r6, r2
    stmia r11!, {r3-r6}
    .endm

#include "nn_depthwise_group.inc"
