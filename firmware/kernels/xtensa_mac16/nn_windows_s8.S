/* nn_windows_s8 (nn_mac16.h): windows side by side times all channels. A MAC is an instruction that
 * loads half of the next operands as well; an output takes 15 more, 17 where windows do not follow
 * each other without a gap, 3 more where its sum is kept, 6 by sign; a channel takes 19.
 * Stack: 48 bytes. Rounding: double, in two products.
 *
 * a0: channels left, a2: a channel's numbers, a3: inputs, a4: weights, a5: first value, a6: steps,
 * a7, a8, a9: high, mid, or_more, a10, a11: output and its end, a12: output step, a13: gap less 4. */
#include "layout/nn_offsets.h"
#include "nn_mac16.inc"

    .equ X, 0
    .equ OUTPUT, 4
    .equ SPAN, 8 /* of a channel's outputs */
    .equ SAVED, 12
    .equ FRAME, 48
    .equ JOINED, -1 /* in place of a gap less 4, where there is none */

    /* All windows with one channel; `apart`, `kept` and `by_sign` are 1 or 0. */
    .macro windows name, apart, kept, by_sign
    .align 4
    mov.n a15, a15 /* never runs: for LOOP's place */
    .if !\apart
.Lfirst_\name: /* the others' inputs are loaded by the one before */
    ldinc 0, a3
    .endif
.L\name:
    .if \kept
    addi a4, a2, NN_MAC_KEPT_BYTES - 4
    .else
    addi a4, a2, NN_MAC_BYTES - 4
    .endif
    set_sum a5
    ldinc 2, a4
    .if \apart
    ldinc 0, a3
    .endif
    loop a6, nn_windows_\name\()_loop, .L\name\()_end
nn_windows_\name\()_loop:
    four_macs a3, a4
.L\name\()_end:
    get_sum a15
    .if \kept
    l32i.n a14, a2, NN_MAC_AT_LEAST
    larger a15, a15, a14
    l32i.n a14, a2, NN_MAC_AT_MOST
    smaller a15, a15, a14
    .endif
    .if \by_sign
    l32i.n a9, a2, NN_MAC_AT_OR_MORE
    l32i.n a14, a2, NN_MAC_AT_BELOW
    movltz a9, a14, a15
    .endif
    mull a14, a15, a8
    mull a15, a15, a7
    srai a14, a14, NN_MID_PLACES
    add.n a15, a15, a9
    add.n a15, a15, a14
    sra a15, a15
    .if !\kept
    clamps7 a15, a15
    .endif
    s8i a15, a10, 0
    add.n a10, a10, a12
    .if \apart
    add.n a3, a3, a13
    .endif
    bne a10, a11, .L\name
    .endm

    .section .text.nn_windows_s8, "ax"
    .align 4
    .global nn_windows_s8
    .type nn_windows_s8, @function
nn_windows_s8:
    open_frame FRAME, SAVED, a0, a12, a13, a14, a15
    addi a3, a3, -4
    s32i a3, a1, X
    s32i a4, a1, OUTPUT
    l32i a12, a2, NN_WINDOWS_AT_OUTPUT_STEP
    l32i a13, a2, NN_WINDOWS_AT_GAP
    l32i a6, a2, NN_WINDOWS_AT_STEPS
    l32i a0, a2, NN_WINDOWS_AT_CHANNELS
    l32i a2, a2, NN_WINDOWS_AT_STREAM
    mull a5, a5, a12
    addi a13, a13, -4
    s32i a5, a1, SPAN
    movi a14, JOINED
    addi a15, a13, 4
    moveqz a13, a14, a15
    j .Lchannel

    .begin no-transform
    .align 4
.Lchannel:
    l32i.n a14, a2, NN_MAC_AT_SHIFT
    l32i.n a5, a2, NN_MAC_AT_FIRST
    l32i.n a7, a2, NN_MAC_AT_HIGH
    l32i.n a8, a2, NN_MAC_AT_MID
    l32i.n a9, a2, NN_MAC_AT_OR_MORE
    l32i.n a3, a1, X
    l32i.n a10, a1, OUTPUT
    l32i.n a11, a1, SPAN
    ssr a14
    addi.n a15, a10, 1
    add.n a11, a11, a10
    s32i.n a15, a1, OUTPUT
    bbsi a14, NN_MAC_KEPT_BIT, .Lare_kept
    beqi a13, JOINED, .Lfirst_joined
    j .Lapart
    windows joined, 0, 0, 0
.Lnext:
    mov.n a2, a4
    addi.n a0, a0, -1
    bnez a0, .Lchannel
    close_frame FRAME, SAVED, a0, a12, a13, a14, a15

.Lare_kept:
    bbsi a14, NN_MAC_BY_SIGN_BIT, .Lare_by_sign
    beqi a13, JOINED, .Lfirst_kept
    j .Lapart_kept
.Lare_by_sign:
    beqi a13, JOINED, .Lby_sign_far
    j .Lapart_by_sign
.Lby_sign_far:
    j .Lfirst_by_sign

    windows kept, 0, 1, 0
    j .Lnext
    windows by_sign, 0, 1, 1
    j .Lnext
    windows apart, 1, 0, 0
    j .Lnext
    windows apart_kept, 1, 1, 0
    j .Lnext
    windows apart_by_sign, 1, 1, 1
    j .Lnext
    .end no-transform
    .size nn_windows_s8, . - nn_windows_s8
