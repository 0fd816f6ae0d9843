/* nn_dense_direct_s8 (nn_trio.h): as nn_dense_bytes_s8, with inputs as they lie in memory. A word of
 * four has its signs turned at once: 56 instructions for 16 MACs, 3.5 each.
 * Stack: 32 bytes. Rounding: double, in the exact form.
 *
 * a14: four inputs, a15: their signs. */
#include "nn_dense.inc"

    .macro prepare
    movi a15, 0x80
    slli a14, a15, 8
    or a15, a15, a14
    slli a14, a15, 16
    or a15, a15, a14
    .endm
    .macro input number
    extui a7, a14, 8 * \number, 8
    macs \number
    .endm

    enter nn_dense_direct_s8, a12, a13, a14, a15
    loop a6, nn_dense_direct_loop, .Lafter
nn_dense_direct_loop:
    l32i.n a14, a3, 0
    xor a14, a14, a15
    input 0
    input 1
    input 2
    input 3
    addi a2, a2, 16
    addi.n a3, a3, 4
    leave nn_dense_direct_s8, a12, a13, a14, a15
