/* void nn_depthwise_group_by_2_s8(const nn_depthwise_packed_t *p,
 *                                 const nn_depthwise_group_t *group)
 *
 * Depthwise 3 x 3, stride 2, up to four channels of one image; nn_packed.h describes the operands,
 * twin/nn_depthwise_group_by_2_s8.c says the same in C.
 *
 * Columns come in pairs: a word X of the ring holds columns 2j and 2j + 1 of a padded row, which an
 * output takes whole; the output before takes its lower half:
 *
 *   out[j] += SMLAD(w01, X)        out[j - 1] += SMLABB(w2, X)
 *
 * Two rows of outputs share five rows of inputs. The next two start with the last of these, so
 * their four new rows come into the ring backwards; then the rows of the weights are swapped, as
 * are the rows of outputs. A single last row is computed forwards.
 *
 * The unit of work is one column of two outputs. Up to UNITS of them are unrolled; fewer enter in
 * the middle. Their sums lie in s0-s11 while r0-r4 hold the weights w01 of each row, w2 of the first
 * and the last, w2 of the second, and lr the first value; r7-r10 hold the sums of two columns, which
 * change roles from column to column. Instructions:
 *
 *   a unit 25; a channel of a block of units 28, 33 with swapped rows; a pair of columns of a row
 *   13; a row 29; a pair of rows of outputs 30; a group 200.
 *
 * Stack: 244 bytes. Rounding: double, in the form that quantize/lowering/offsets.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define FUNCTION nn_depthwise_group_by_2_s8
#define FUNCTION_WITH_OUTPUTS nn_depthwise_group_by_2_to_s8
#include "nn_depthwise_narrow.inc"

    .macro begin
    mov r6, #EVEN_BYTES
    .endm

    .macro border_and_pixel
    mov r0, r11
    ldr r1, [r7]
    add r7, r7, r8
    .endm

    .macro two_pixels
    ldr r0, [r7]
    ldr r1, [r7, r8]
    add r7, r7, r8, lsl #1
    .endm

    .macro pixel_and_border
    ldr r0, [r7]
    mov r1, r11
    add r7, r7, r8
    .endm

    .macro widen
    pkhbt r3, r0, r1, lsl #16
    pkhtb r1, r1, r0, asr #16
    and r2, r6, r3, lsl #8
    ands r3, r3, r6
    and r0, r6, r1, lsl #8
    ands r1, r1, r6
    strd r0, r1, [r9, #8]
    strd r2, r3, [r9], #NN_PAIR_BYTES
    .endm

    .macro border_word
    and r0, r6, r11
    .endm

#include "nn_depthwise_group_by_2.inc"
