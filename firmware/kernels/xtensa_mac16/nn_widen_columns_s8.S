/* nn_widen_columns_s8 (nn_mac16.h): 9 instructions for four bytes, 8 where two words follow each
 * other, and about 9 a column. Stack: 32 bytes. Rounding: none.
 *
 * a2: bytes, a3: halfwords, a4: pairs of words, a5: columns, a6: step, a7: signs, a12: mask. */
#include "layout/nn_offsets.h"
#include "nn_mac16.inc"

    .equ SAVED, 0
    .equ FRAME, 32

    .macro widen_word place
    l32i.n a8, a2, 4 * \place
    xor a8, a8, a7
    and a9, a8, a12
    s32i.n a9, a3, 8 * \place
    srli a8, a8, 8
    and a8, a8, a12
    s32i.n a8, a3, 8 * \place + 4
    .endm

    .section .text.nn_widen_columns_s8, "ax"
    .align 4
    .global nn_widen_columns_s8
    .type nn_widen_columns_s8, @function
nn_widen_columns_s8:
    open_frame FRAME, SAVED, a12, a13
    mov a13, a4
    l32i a4, a2, NN_COLUMNS_AT_INPUTS
    l32i a5, a2, NN_COLUMNS_AT_COLUMNS
    l32i a6, a2, NN_COLUMNS_AT_STEP
    mov a2, a3
    movi a7, 0x80
    slli a8, a7, 8
    or a7, a7, a8
    slli a8, a7, 16
    or a7, a7, a8
    movi a12, 0xFF
    slli a8, a12, 16
    or a12, a12, a8
    extui a11, a4, 2, 1 /* a word alone */
    srli a4, a4, 3
    j .Lcolumn

    .begin no-transform
    .align 4
.Lcolumn:
    mov.n a3, a13
    add.n a13, a13, a6
    beqz a4, .Lalone
    mov.n a10, a4
    loop a4, nn_widen_columns_loop, .Lwords_end
nn_widen_columns_loop:
    widen_word 0
    widen_word 1
    addi.n a2, a2, 8
    addi a3, a3, 16
.Lwords_end:
.Lalone:
    beqz a11, .Lnext
    widen_word 0
    addi.n a2, a2, 4
.Lnext:
    addi.n a5, a5, -1
    bnez a5, .Lcolumn
    .end no-transform
    close_frame FRAME, SAVED, a12, a13
    .size nn_widen_columns_s8, . - nn_widen_columns_s8
