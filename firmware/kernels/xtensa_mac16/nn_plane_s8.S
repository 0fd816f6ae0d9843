/* nn_plane_s8 (nn_mac16.h): 9 instructions a pair of inputs, and about 12 a line.
 * Stack: 32 bytes. Rounding: none.
 *
 * a2: inputs, a3: plane, a4: line of it, a5: lines left, a6: head, a7: pairs, a8: tail, a9: pair
 * step, a10: input step, a11: line step, a12: signs. */
#include "layout/nn_offsets.h"
#include "nn_mac16.inc"

    .equ SAVED, 0
    .equ FRAME, 32

    .macro put_input place
    l8ui a13, a2, 0
    add.n a2, a2, a10
    xor a13, a13, a12
    s16i a13, a4, \place
    add.n a4, a4, a9
    .endm

    .section .text.nn_plane_s8, "ax"
    .align 4
    .global nn_plane_s8
    .type nn_plane_s8, @function
nn_plane_s8:
    open_frame FRAME, SAVED, a12, a13, a14, a15
    mov a14, a2
    mov a2, a3
    l32i a3, a14, NN_PLANE_AT_START
    add a3, a3, a4
    l32i a5, a14, NN_PLANE_AT_LINES
    l32i a6, a14, NN_PLANE_AT_HEAD
    l32i a7, a14, NN_PLANE_AT_PAIRS
    l32i a8, a14, NN_PLANE_AT_TAIL
    l32i a9, a14, NN_PLANE_AT_PAIR_STEP
    l32i a10, a14, NN_PLANE_AT_INPUT_STEP
    l32i a11, a14, NN_PLANE_AT_LINE_STEP
    movi a12, 0x80
    j .Lline

    .begin no-transform
    .align 4
.Lline:
    mov.n a4, a3
    beqz a6, .Lno_head
    put_input 2
.Lno_head:
    beqz a7, .Lno_pairs
    j .Lpairs
    .align 4
.Lpairs:
    slli a14, a12, 16
    or a14, a14, a12
    mov a7, a7
    loop a7, nn_plane_loop, .Lpairs_end
nn_plane_loop:
    l8ui a13, a2, 0
    add.n a2, a2, a10
    l8ui a15, a2, 0
    add.n a2, a2, a10
    slli a15, a15, 16
    or a13, a13, a15
    xor a13, a13, a14
    s32i.n a13, a4, 0
    add.n a4, a4, a9
.Lpairs_end:
.Lno_pairs:
    beqz a8, .Lno_tail
    put_input 0
.Lno_tail:
    addi.n a3, a3, 4
    add.n a2, a2, a11
    addi.n a5, a5, -1
    bnez a5, .Lline
    .end no-transform
    close_frame FRAME, SAVED, a12, a13, a14, a15
    .size nn_plane_s8, . - nn_plane_s8
