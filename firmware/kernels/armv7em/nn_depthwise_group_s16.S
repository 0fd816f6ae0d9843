/* void nn_depthwise_group_s16(const nn_depthwise_packed_t *p,
 *                             const nn_depthwise_group_t *group)
 *
 * Depthwise 3 x 3 of int16, stride 1, up to four channels of one image: nn_depthwise_group_s8 with
 * inputs that need no widening and outputs of another rounding. twin/nn_depthwise_group_s16.c says
 * the same in C. Instructions:
 *
 *   a unit 24; a channel of a block of units 20; a column of a pair of rows 14 or 15; a pair of rows
 *   54.
 *
 * Stack: 244 bytes. Rounding: wide, in the short form that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define FUNCTION nn_depthwise_group_s16
#include "nn_depthwise_wide.inc"

    .macro begin
    .endm

    .macro widen
    ldr r0, [r7]
    ldr r1, [r7, #4]
    ldr r2, [r9]
    ldr r3, [r9, #4]
    add r7, r7, r8
    add r9, r9, r10
    pkhbt r5, r1, r3, lsl #16
    pkhtb r6, r3, r1, asr #16
    pkhbt r3, r0, r2, lsl #16
    pkhtb r4, r2, r0, asr #16
    stmia r11!, {r3-r6}
    .endm

#include "nn_depthwise_group.inc"
