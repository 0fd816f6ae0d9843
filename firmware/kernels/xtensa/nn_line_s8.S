/* nn_line_s8 (nn_trio.h): one channel of a depthwise convolution along one line of outputs, four at
 * a time; an input that several of the four need is loaded once. A segment is 12 MACs in 36
 * instructions, 39 with stride 2; four outputs take 88 more, 102 by sign. With 3 x 3 these are 49 to
 * 55 an output.
 * Stack: 64 bytes. Rounding: double, in the exact form.
 *
 * a8 to a11: the four sums; a2: segments; a3: inputs; a13, a14, a15: of the requantisation. */
#include "layout/nn_offsets.h"
#include "nn_xtensa.inc"

    .equ FIRST, 0 /* value of a sum */
    .equ SEGMENTS, 4
    .equ WEIGHTS, 8
    .equ X, 12
    .equ OUTPUT, 16
    .equ LINE, 20
    .equ LEFT, 24
    .equ CHANNEL, 28
    .equ SAVED, 32
    .equ FRAME, 64

    .macro tap sum, weight
    mull a12, a7, \weight
    add.n \sum, \sum, a12
    .endm
    .macro column place
    l8ui a7, a3, \place
    .endm
    .macro weights
    l16si a4, a2, 0
    l16si a5, a2, 2
    l16si a6, a2, 4
    l16si a0, a2, 6
    addi.n a2, a2, 8
    .endm

    /* a4, a5: least and most, a13, a14, a6: high, mid, low, a15: constant */
    .macro scale sum
    larger \sum, \sum, a4
    smaller \sum, \sum, a5
    mull a12, \sum, a6
    mull a7, \sum, a14
    srai a12, a12, NN_LOW_PLACES
    add.n a12, a12, a7
    mull \sum, \sum, a13
    srai a12, a12, NN_MID_PLACES
    add.n \sum, \sum, a15
    add.n \sum, \sum, a12
    .endm
    .macro by_sign sum
    mov.n a12, a6
    movltz a12, a7, \sum
    add.n \sum, \sum, a12
    .endm
    .macro store sum, place
    sra \sum, \sum
    s8i \sum, \place, 0
    .endm

    .section .text.nn_line_s8, "ax"
    .align 4
    .global nn_line_s8
    .type nn_line_s8, @function
nn_line_s8:
    open_frame FRAME, SAVED, a0, a12, a13, a14, a15
    s32i a2, a1, LINE
    s32i a3, a1, CHANNEL
    s32i a4, a1, X
    s32i a5, a1, OUTPUT
    l32i.n a6, a2, NN_LINE_AT_GROUPS
    s32i a6, a1, LEFT
    l32i.n a6, a2, NN_LINE_AT_SEGMENTS
    s32i a6, a1, SEGMENTS
    l32i.n a7, a3, NN_CHANNEL_AT_FIRST
    s32i a7, a1, FIRST
    l32i.n a13, a3, NN_CHANNEL_AT_EXACT + NN_EXACT_AT_HIGH
    l32i.n a14, a3, NN_CHANNEL_AT_EXACT + NN_EXACT_AT_MID
    l32i.n a7, a3, NN_CHANNEL_AT_EXACT + NN_EXACT_AT_SHIFT
    l32i.n a15, a3, NN_CHANNEL_AT_EXACT + NN_EXACT_AT_CONSTANT
    ssr a7
    addi a3, a3, NN_CHANNEL_BYTES
    s32i a3, a1, WEIGHTS
    j .Lgroup

    .align 4
    .begin no-transform
.Lgroup:
    l32i.n a8, a1, FIRST
    l32i.n a6, a1, SEGMENTS
    l32i.n a2, a1, WEIGHTS
    l32i.n a3, a1, X
    l32i.n a7, a1, LINE
    l32i.n a7, a7, NN_LINE_AT_STRIDE
    mov.n a9, a8
    mov.n a10, a8
    mov.n a11, a8
    bnei a7, 1, .Lstride_2
    loop a6, nn_line_stride_1_loop, .Lstride_1_end
nn_line_stride_1_loop:
    weights
    column 0
    tap a8, a4
    column 1
    tap a8, a5
    tap a9, a4
    column 2
    tap a8, a6
    tap a9, a5
    tap a10, a4
    column 3
    tap a9, a6
    tap a10, a5
    tap a11, a4
    column 4
    tap a10, a6
    tap a11, a5
    column 5
    tap a11, a6
    add.n a3, a3, a0
.Lstride_1_end:
    j .Lscale

    .align 4
.Lstride_2:
    mov.n a7, a7
    loop a6, nn_line_stride_2_loop, .Lstride_2_end
nn_line_stride_2_loop:
    weights
    column 0
    tap a8, a4
    column 1
    tap a8, a5
    column 2
    tap a8, a6
    tap a9, a4
    column 3
    tap a9, a5
    column 4
    tap a9, a6
    tap a10, a4
    column 5
    tap a10, a5
    column 6
    tap a10, a6
    tap a11, a4
    column 7
    tap a11, a5
    column 8
    tap a11, a6
    add.n a3, a3, a0
.Lstride_2_end:
    .end no-transform

.Lscale:
    l32i.n a3, a1, CHANNEL
    l32i.n a2, a1, LINE
    l32i.n a4, a3, NN_CHANNEL_AT_EXACT + NN_EXACT_AT_LEAST
    l32i.n a5, a3, NN_CHANNEL_AT_EXACT + NN_EXACT_AT_MOST
    l32i.n a6, a3, NN_CHANNEL_AT_EXACT + NN_EXACT_AT_LOW
    scale a8
    scale a9
    scale a10
    scale a11
    l32i.n a6, a2, NN_LINE_AT_BY_SIGN
    beqz a6, .Lstore
    l32i.n a6, a3, NN_CHANNEL_AT_EXACT + NN_EXACT_AT_OR_MORE
    l32i.n a7, a3, NN_CHANNEL_AT_EXACT + NN_EXACT_AT_BELOW
    by_sign a8
    by_sign a9
    by_sign a10
    by_sign a11
.Lstore:
    l32i.n a3, a1, OUTPUT
    l32i.n a5, a2, NN_LINE_AT_OUTPUTS_0
    l32i.n a6, a2, NN_LINE_AT_OUTPUTS_1
    l32i.n a7, a2, NN_LINE_AT_OUTPUTS_2
    add.n a5, a3, a5
    add.n a6, a5, a6
    add.n a7, a6, a7
    store a11, a7 /* a line shorter than four: the last that exists is stored last */
    store a10, a6
    store a9, a5
    store a8, a3

    l32i.n a6, a1, LEFT
    addi.n a6, a6, -1
    beqz a6, .Lend
    s32i a6, a1, LEFT
    l32i.n a4, a2, NN_LINE_AT_NEXT_0 /* inputs and outputs to the next group */
    l32i.n a5, a2, NN_LINE_AT_NEXT_1
    bnei a6, 1, .Lmove
    l32i.n a4, a2, NN_LINE_AT_LAST_0 /* to the last one */
    l32i.n a5, a2, NN_LINE_AT_LAST_1
.Lmove:
    add.n a3, a3, a5
    s32i a3, a1, OUTPUT
    l32i.n a3, a1, X
    add.n a3, a3, a4
    s32i a3, a1, X
    j .Lgroup

.Lend:
    close_frame FRAME, SAVED, a0, a12, a13, a14, a15
    .size nn_line_s8, . - nn_line_s8
