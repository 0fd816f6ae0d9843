/* nn_dense_bytes_s8 (nn_trio.h): a step of 4 inputs x 4 channels = 16 MACs takes 54 instructions,
 * 3.4 each, and a byte of flash for each. Stack: 32 bytes. Rounding: double, in the exact form. */
#include "nn_dense.inc"

    .macro prepare
    .endm
    .macro input number
    l8ui a7, a3, \number
    macs \number
    .endm

    enter nn_dense_bytes_s8, a12, a13
    loop a6, nn_dense_bytes_loop, .Lafter
nn_dense_bytes_loop:
    input 0
    input 1
    input 2
    input 3
    addi a2, a2, 16
    addi.n a3, a3, 4
    leave nn_dense_bytes_s8, a12, a13
