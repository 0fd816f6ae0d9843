/* nn_linear_terms_s8 (nn_trio.h): 10 instructions an element, and 3 for each four.
 * Stack: none (windowed: 16 bytes). Rounding: half up.
 *
 * a3, a4: operands, a5: output, a6, a7: their terms, a2: parameters, a10: rows left. */
#include "layout/nn_offsets.h"
#include "nn_xtensa.inc"

    .macro element place
    l8ui a8, a3, \place
    l8ui a9, a4, \place
    addx4 a8, a8, a6
    addx4 a9, a9, a7
    l32i.n a8, a8, 0
    l32i.n a9, a9, 0
    add.n a8, a8, a9
    srai a8, a8, NN_LINEAR_BITS
    clamps7 a8, a8
    s8i a8, a5, \place
    .endm

    .section .text.nn_linear_terms_s8, "ax"
    .align 4
    .global nn_linear_terms_s8
    .type nn_linear_terms_s8, @function
nn_linear_terms_s8:
    open_frame NO_WORDS, 0
    l32i.n a6, a2, NN_TERMS_AT_A_TERMS
    l32i.n a7, a2, NN_TERMS_AT_B_TERMS
    l32i.n a10, a2, NN_TERMS_AT_ROWS
    j .Lrow

    .align 4
    .begin no-transform
.Lrow:
    l32i.n a8, a2, NN_TERMS_AT_COUNT
    srli a8, a8, 2
    beqz a8, .Lrest
    mov.n a8, a8
    loop a8, nn_linear_four_loop, .Lfour_end
nn_linear_four_loop:
    element 0
    element 1
    element 2
    element 3
    addi.n a3, a3, 4
    addi.n a4, a4, 4
    addi.n a5, a5, 4
.Lfour_end:
    j .Lrest

    .align 4
.Lrest:
    l32i.n a8, a2, NN_TERMS_AT_COUNT
    extui a8, a8, 0, 2
    beqz a8, .Lnext
    mov.n a8, a8
    loop a8, nn_linear_one_loop, .Lone_end
nn_linear_one_loop:
    element 0
    addi.n a3, a3, 1
    addi.n a4, a4, 1
    addi.n a5, a5, 1
.Lone_end:
.Lnext:
    l32i.n a8, a2, NN_TERMS_AT_A_STEP
    l32i.n a9, a2, NN_TERMS_AT_B_STEP
    add.n a3, a3, a8
    add.n a4, a4, a9
    addi.n a10, a10, -1
    bnez a10, .Lrow
    .end no-transform
    close_frame NO_WORDS, 0
    .size nn_linear_terms_s8, . - nn_linear_terms_s8
