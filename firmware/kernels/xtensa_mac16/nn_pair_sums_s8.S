/* nn_pair_sums_s8 (nn_mac16.h): two channels A and B for a byte of flash a weight. A first pass adds
 * up 256 a + b + 128, a second one what stands in the lower bytes; their difference is 256 times A's
 * sum, and 128 times the sum of the inputs is taken off B's. Four inputs of both take 4 + 9
 * instructions, 1.63 a MAC; two channels take 30 more.
 * Stack: 32 bytes. Rounding: none.
 *
 * a2: stream, a3: inputs, a4: steps, a5: pairs left, a6: sums, a7: first input less 4, a8: weights,
 * a9, a10: words of weights, a11: mask, a12: 0, a13: 128 times the sum of the inputs. */
#include "layout/nn_offsets.h"
#include "nn_mac16.inc"

    .equ SAVED, 0
    .equ FRAME, 32

    .section .text.nn_pair_sums_s8, "ax"
    .align 4
    .global nn_pair_sums_s8
    .type nn_pair_sums_s8, @function
nn_pair_sums_s8:
    open_frame FRAME, SAVED, a12, a13, a14
    mov a6, a5
    addi a7, a4, -4
    l32i a4, a2, NN_PAIR_SUMS_AT_STEPS
    l32i a5, a2, NN_PAIR_SUMS_AT_PAIRS
    mov a2, a3
    mov a3, a7
    movi a12, 0
    movi a11, 0xFF
    slli a9, a11, 16
    or a11, a11, a9
    movi a10, 1
    slli a9, a10, 16
    or a10, a10, a9
    set_sum a12
    ldinc 0, a3
    j .Lsum

    .begin no-transform
    .align 4
.Lsum:
    mov a4, a4
    mov a4, a4
    mov a4, a4
    loop a4, nn_pair_inputs_loop, .Lsum_end
nn_pair_inputs_loop:
    mula_da_ldinc LL, 1, a3, 0, a10
    mula_da HH, 0, a10
    mula_da_ldinc LL, 0, a3, 1, a10
    mula_da HH, 1, a10
.Lsum_end:
    get_sum a13
    slli a13, a13, 7
    j .Lpair

    .align 4
.Lpair:
    mov.n a3, a7
    addi a8, a2, -4
    set_sum a12
    ldinc 0, a3
    ldinc 2, a8
    loop a4, nn_pair_both_loop, .Lboth_end
nn_pair_both_loop:
    four_macs a3, a8
.Lboth_end:
    get_sum a14
    mov.n a3, a7
    set_sum a12
    ldinc 0, a3
    j .Lsecond
    .align 4
.Lsecond:
    mov a4, a4
    mov a4, a4
    mov a4, a4
    loop a4, nn_pair_lower_loop, .Llower_end
nn_pair_lower_loop:
    l32i.n a9, a2, 0
    l32i.n a10, a2, 4
    and a9, a9, a11
    mula_da_ldinc LL, 1, a3, 0, a9
    mula_da HH, 0, a9
    and a10, a10, a11
    mula_da_ldinc LL, 0, a3, 1, a10
    mula_da HH, 1, a10
    addi.n a2, a2, 8
.Llower_end:
    get_sum a9
    l32i.n a8, a6, 0
    l32i.n a10, a6, 4
    sub a14, a14, a9
    sub a9, a9, a13
    srai a14, a14, 8
    add.n a10, a10, a9
    add.n a8, a8, a14
    s32i.n a10, a6, 4
    s32i.n a8, a6, 0
    addi.n a6, a6, 8
    addi.n a5, a5, -1
    bnez a5, .Lpair
    .end no-transform
    close_frame FRAME, SAVED, a12, a13, a14
    .size nn_pair_sums_s8, . - nn_pair_sums_s8
