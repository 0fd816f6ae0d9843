/* nn_offset_columns_s8 (nn_mac16.h): 5 instructions an input, and 6 a column of several.
 * Stack: none (windowed: 16 bytes). Rounding: none.
 *
 * a2: bytes, a3: halfwords of a column, a4: inputs of it, a5: columns, a6: step, a7: bytes from one
 * halfword to the next, a9: sign. */
#include "layout/nn_offsets.h"
#include "nn_mac16.inc"

    .section .text.nn_offset_columns_s8, "ax"
    .align 4
    .global nn_offset_columns_s8
    .type nn_offset_columns_s8, @function
nn_offset_columns_s8:
    open_frame NO_WORDS, 0
    mov a10, a2
    mov a2, a3
    mov a3, a4
    l32i a4, a10, NN_COLUMNS_AT_INPUTS
    l32i a5, a10, NN_COLUMNS_AT_COLUMNS
    l32i a6, a10, NN_COLUMNS_AT_STEP
    movi a7, 2
    movi a9, 0x80
    bnei a4, 1, .Lbegin
    mov a7, a6 /* columns of one input are one of many, so far apart */
    mov a4, a5
    movi a5, 1
.Lbegin:
    j .Lcolumn

    .begin no-transform
    .align 4
.Lcolumn:
    mov a10, a3
    add a3, a3, a6
    mov a4, a4
    loop a4, nn_offset_columns_loop, .Lend
nn_offset_columns_loop:
    l8ui a8, a2, 0
    addi.n a2, a2, 1
    xor a8, a8, a9
    s16i a8, a10, 0
    add.n a10, a10, a7
.Lend:
    addi.n a5, a5, -1
    bnez a5, .Lcolumn
    .end no-transform
    close_frame NO_WORDS, 0
    .size nn_offset_columns_s8, . - nn_offset_columns_s8
