/* nn_kept_outputs_s8 (nn_mac16.h): 14 instructions an output.
 * Stack: 32 bytes. Rounding: double, in two products by sign.
 *
 * a3: sums, a4: outputs, a6: high, a7: mid, a8: or_more, a9: below, a10: least, a11: most. */
#include "layout/nn_offsets.h"
#include "nn_mac16.inc"

    .equ SAVED, 0
    .equ FRAME, 32

    .section .text.nn_kept_outputs_s8, "ax"
    .align 4
    .global nn_kept_outputs_s8
    .type nn_kept_outputs_s8, @function
nn_kept_outputs_s8:
    open_frame FRAME, SAVED, a12, a13
    l32i a12, a2, NN_MAC_AT_SHIFT
    l32i a6, a2, NN_MAC_AT_HIGH
    l32i a7, a2, NN_MAC_AT_MID
    l32i a8, a2, NN_MAC_AT_OR_MORE
    l32i a9, a2, NN_MAC_AT_BELOW
    l32i a10, a2, NN_MAC_AT_LEAST
    l32i a11, a2, NN_MAC_AT_MOST
    ssr a12
    j .Loutputs

    .begin no-transform
    .align 4
.Loutputs:
    mov a5, a5
    mov a5, a5
    mov a5, a5
    loop a5, nn_kept_outputs_loop, .Lend
nn_kept_outputs_loop:
    l32i.n a12, a3, 0
    addi.n a3, a3, 4
    larger a12, a12, a10
    smaller a12, a12, a11
    mov.n a2, a8
    movltz a2, a9, a12
    mull a13, a12, a7
    mull a12, a12, a6
    srai a13, a13, NN_MID_PLACES
    add.n a12, a12, a2
    add.n a12, a12, a13
    sra a12, a12
    s8i a12, a4, 0
    addi.n a4, a4, 1
.Lend:
    .end no-transform
    close_frame FRAME, SAVED, a12, a13
    .size nn_kept_outputs_s8, . - nn_kept_outputs_s8
