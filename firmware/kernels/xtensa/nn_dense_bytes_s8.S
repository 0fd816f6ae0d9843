/* nn_dense_bytes_s8 (nn_trio.h): one vector times all channels, four at a time. A step of 4 inputs
 * x 4 channels = 16 MACs takes 54 instructions, 3.4 each, and a byte of flash for each; an output
 * about 30 more. Stack: 32 bytes. Rounding: double, in the exact form.
 *
 * a8 to a11: sums, a2: stream, a3: inputs, a4: output, a5: channels left. */
#include "layout/nn_offsets.h"
#include "nn_xtensa.inc"

    .equ X, 0
    .equ STEPS, 4
    .equ BASE, 8
    .equ SAVED, 12
    .equ FRAME, 32

    .macro mac sum, place
    l8ui a6, a2, \place
    mull a6, a6, a7
    add.n \sum, \sum, a6
    .endm
    .macro input number
    l8ui a7, a3, \number
    mac a8, 4 * \number
    mac a9, 4 * \number + 1
    mac a10, 4 * \number + 2
    mac a11, 4 * \number + 3
    .endm
    .macro first sum, place
    l32i.n \sum, a2, 4 * \place
    add.n \sum, \sum, a7
    .endm

    /* a12: numbers, a13: bytes from one channel to the next */
    .macro scale sum
    l32i.n a6, a12, NN_EXACT_AT_LEAST
    l32i.n a7, a12, NN_EXACT_AT_MOST
    larger \sum, \sum, a6
    smaller \sum, \sum, a7
    l32i.n a6, a12, NN_EXACT_AT_LOW
    l32i.n a7, a12, NN_EXACT_AT_MID
    mull a6, \sum, a6
    mull a7, \sum, a7
    srai a6, a6, NN_LOW_PLACES
    add.n a6, a6, a7
    l32i.n a7, a12, NN_EXACT_AT_HIGH
    srai a6, a6, NN_MID_PLACES
    mull \sum, \sum, a7
    l32i.n a7, a12, NN_EXACT_AT_CONSTANT
    add.n \sum, \sum, a6
    add.n \sum, \sum, a7
    l32i.n a6, a12, NN_EXACT_AT_OR_MORE
    l32i.n a7, a12, NN_EXACT_AT_BELOW
    movltz a6, a7, \sum
    l32i.n a7, a12, NN_EXACT_AT_SHIFT
    add.n \sum, \sum, a6
    ssr a7
    sra \sum, \sum
    s8i \sum, a4, 0
    add.n a12, a12, a13
    addi.n a4, a4, 1
    addi.n a5, a5, -1
    beqz a5, .Lend
    .endm

    .section .text.nn_dense_bytes_s8, "ax"
    .align 4
    .global nn_dense_bytes_s8
    .type nn_dense_bytes_s8, @function
nn_dense_bytes_s8:
    addi a1, a1, -FRAME
    s32i a12, a1, SAVED
    s32i a13, a1, SAVED + 4
    s32i a3, a1, X
    s32i a5, a1, BASE
    l32i.n a12, a2, NN_BYTES_AT_EXACT
    l32i.n a13, a2, NN_BYTES_AT_EXACT_BYTES
    l32i.n a5, a2, NN_BYTES_AT_OUTPUT_DEPTH
    l32i.n a6, a2, NN_BYTES_AT_STEPS
    s32i a6, a1, STEPS
    l32i.n a2, a2, NN_BYTES_AT_STREAM
    j .Lgroup

    .align 4
    .begin no-transform
.Lgroup:
    l32i.n a7, a1, BASE
    l32i.n a3, a1, X
    first a8, 0
    first a9, 1
    first a10, 2
    first a11, 3
    addi a2, a2, 16
    l32i.n a6, a1, STEPS
    loop a6, nn_dense_bytes_loop, .Lafter
nn_dense_bytes_loop:
    input 0
    input 1
    input 2
    input 3
    addi a2, a2, 16
    addi.n a3, a3, 4
.Lafter:
    .end no-transform
    scale a8
    scale a9
    scale a10
    scale a11
    j .Lgroup

.Lend:
    l32i a12, a1, SAVED
    l32i a13, a1, SAVED + 4
    addi a1, a1, FRAME
    ret
    .size nn_dense_bytes_s8, . - nn_dense_bytes_s8
