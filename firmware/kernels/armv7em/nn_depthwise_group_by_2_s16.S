/* void nn_depthwise_group_by_2_s16(const nn_depthwise_packed_t *p,
 *                                  const nn_depthwise_group_t *group)
 *
 * Depthwise 3 x 3 of int16, stride 2, up to four channels of one image: nn_depthwise_group_by_2_s8
 * with inputs that need no widening and outputs of another rounding.
 * twin/nn_depthwise_group_by_2_s16.c says the same in C. Instructions:
 *
 *   a unit 27; a channel of a block of units 29, 34 with swapped rows; a pair of columns of a row 15;
 *   a row 28; a pair of rows of outputs 30; a group 200.
 *
 * Stack: 244 bytes. Rounding: wide, in the short form that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define FUNCTION nn_depthwise_group_by_2_s16
#include "nn_depthwise_wide.inc"

    .macro begin
    .endm

    .macro pixel first, second
    ldr \first, [r7]
    ldr \second, [r7, #4]
    add r7, r7, r8
    .endm

    .macro nothing first, second
    movs \first, #0
    movs \second, #0
    .endm

    .macro border_and_pixel
    nothing r0, r2
    pixel r1, r3
    .endm

    .macro two_pixels
    pixel r0, r2
    pixel r1, r3
    .endm

    .macro pixel_and_border
    pixel r0, r2
    nothing r1, r3
    .endm

    .macro widen
    pkhbt r4, r0, r1, lsl #16
    pkhtb r5, r1, r0, asr #16
    pkhbt r6, r2, r3, lsl #16
    pkhtb r3, r3, r2, asr #16
    strd r6, r3, [r9, #8]
    strd r4, r5, [r9], #NN_PAIR_BYTES
    .endm

    .macro border_word
    movs r0, #0
    .endm

#include "nn_depthwise_group_by_2.inc"
