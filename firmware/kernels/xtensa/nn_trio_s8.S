/* nn_trio_s8 (nn_trio.h): four pixels times all channels, three channels at a time.
 *
 * Products are 32 bits wide and two of them serve three channels A, B, C: one stream adds up
 * A + 2^11 B, the other C + 2^21 B, both modulo 2^32. With every sum between -2^20 and 2^20 the
 * second gives C and the lowest 11 bits of B, the first B to within half of 2^11, and then A.
 *
 * Rounding: double, in an exact form.
 * A register an accumulator: a9 to a12 the first sums of the pixels, a13, a14, a15, a0 the second. */
#include "nn_xtensa.inc"

    .equ SUMS, 0 /* [3][4]: of a channel, of a pixel */
    .equ X, 48
    .equ OUTPUTS, 52
    .equ CHUNK, 56
    .equ STEPS, 60
    .equ LEFT, 64
    .equ CHUNKS, 68
    .equ FORM, 72
    .equ SAVED, 76
    .equ FRAME, 96

    .macro pixel first, second, place
    l8ui a7, a3, \place
    mull a8, a7, a5
    mull a7, a7, a6
    add.n \first, \first, a8
    add.n \second, \second, a7
    .endm

    .macro input number
    l32i.n a5, a2, 8 * \number
    l32i.n a6, a2, 8 * \number + 4
    pixel a9, a13, 4 * \number
    pixel a10, a14, 4 * \number + 1
    pixel a11, a15, 4 * \number + 2
    pixel a12, a0, 4 * \number + 3
    .endm

    .macro unpack first, second
    srai a5, \first, 11 /* B, but for the carry of A */
    slli a6, a5, 21
    sub a6, \second, a6
    sext20 a7, a6 /* C */
    sub a6, a6, a7
    srai a6, a6, 21
    add.n a5, a5, a6 /* B */
    slli a6, a5, 11
    sub a6, \first, a6 /* A */
    .endm

    .macro keep place
    s32i.n a6, a1, SUMS + \place
    s32i.n a5, a1, SUMS + 16 + \place
    s32i.n a7, a1, SUMS + 32 + \place
    .endm

    .macro add_to place
    l32i.n a8, a1, SUMS + \place
    add.n a6, a6, a8
    l32i.n a8, a1, SUMS + 16 + \place
    add.n a5, a5, a8
    l32i.n a8, a1, SUMS + 32 + \place
    add.n a7, a7, a8
    keep \place
    .endm

    /* a14, a15: least and most, a5, a6, a7: high, mid, low, a0: added to x, a9: sums, a2: numbers;
     * the value in a8, a3 and a4 free */
    .macro kept place
    l32i.n a8, a9, 4 * \place
    larger a8, a8, a14
    smaller a8, a8, a15
    .endm

    .macro near place
    kept \place
    mull a4, a8, a6
    mull a8, a8, a5
    srai a4, a4, MID_BITS
    add.n a8, a8, a7 /* the constant */
    add.n a8, a8, a4
    .endm

    .macro exact place
    kept \place
    add.n a8, a8, a0
    mull a4, a8, a7
    srai a4, a4, LOW_BITS
    mull a3, a8, a6
    add.n a4, a4, a3
    srai a4, a4, MID_BITS
    mull a8, a8, a5
    l32i.n a3, a2, 28
    add.n a8, a8, a4
    add.n a8, a8, a3
    l32i.n a4, a2, 32
    l32i.n a3, a2, 36
    movltz a4, a3, a8
    add.n a8, a8, a4
    .endm

    .macro store place
    sra a8, a8
    s8i a8, \place, 0
    addi.n \place, \place, 1
    .endm

    .macro store_near place, output
    near \place
    store \output
    .endm

    .macro store_near_sign place, output
    near \place
    mov.n a4, a0
    movltz a4, a3, a8
    add.n a8, a8, a4
    store \output
    .endm

    .macro store_exact place, output
    exact \place
    store \output
    .endm

    .macro four kind
    \kind 0, a10
    \kind 1, a11
    \kind 2, a12
    \kind 3, a13
    .endm

    .section .text.nn_trio_s8, "ax"
    .align 4
    .global nn_trio_s8
    .type nn_trio_s8, @function
nn_trio_s8:
    addi a1, a1, -FRAME
    s32i a0, a1, SAVED
    s32i a12, a1, SAVED + 4
    s32i a13, a1, SAVED + 8
    s32i a14, a1, SAVED + 12
    s32i a15, a1, SAVED + 16
    s32i a3, a1, X
    s32i a4, a1, OUTPUTS
    l32i a5, a2, 4
    s32i a5, a1, LEFT
    l32i a5, a2, 8
    s32i a5, a1, CHUNKS
    l32i a5, a2, 12
    s32i a5, a1, STEPS
    l32i a5, a2, 16
    s32i a5, a1, FORM
    l32i a2, a2, 0

    j .Ltrio

    .align 4
    .begin no-transform
.Ltrio:
    movi.n a4, 0
    s32i.n a4, a1, CHUNK
    l32i.n a3, a1, X
.Lchunk:
    l32i.n a9, a2, 0
    l32i.n a13, a2, 4
    addi.n a2, a2, 8
    l32i.n a4, a1, STEPS
    mov.n a10, a9
    mov.n a11, a9
    mov.n a12, a9
    mov.n a14, a13
    mov.n a15, a13
    mov.n a0, a13
    loop a4, nn_trio_loop, .Lafter
nn_trio_loop:
    input 0
    input 1
    input 2
    input 3
    addi a2, a2, 32
    addi a3, a3, 16
.Lafter:
    .end no-transform

    l32i a4, a1, CHUNK
    bnez a4, .Lmore
    unpack a9, a13
    keep 0
    unpack a10, a14
    keep 4
    unpack a11, a15
    keep 8
    unpack a12, a0
    keep 12
    j .Lnext
.Lmore:
    unpack a9, a13
    add_to 0
    unpack a10, a14
    add_to 4
    unpack a11, a15
    add_to 8
    unpack a12, a0
    add_to 12
.Lnext:
    addi.n a4, a4, 1
    s32i a4, a1, CHUNK
    l32i a5, a1, CHUNKS
    bne a4, a5, .Lchunk

    l32i a3, a1, OUTPUTS
    l32i.n a10, a3, 0
    l32i.n a11, a3, 4
    l32i.n a12, a3, 8
    l32i.n a13, a3, 12
    mov.n a9, a1
    l32i a3, a1, LEFT
    movi.n a4, 3
    smaller a4, a4, a3 /* channels of this trio */
    sub a3, a3, a4
    s32i a3, a1, LEFT
    l32i a8, a1, FORM
    beqz a8, .Lnear
    beqi a8, 1, .Lnear_sign
    j .Lexact

    .align 4
    .begin no-transform
.Lnear:
    mov.n a4, a4
    loop a4, nn_trio_near_loop, .Lnear_end
nn_trio_near_loop:
    l32i.n a14, a2, 0
    l32i.n a15, a2, 4
    l32i.n a5, a2, 8
    l32i.n a6, a2, 12
    l32i.n a8, a2, 16
    l32i.n a7, a2, 20
    addi a2, a2, 24
    ssr a8
    four store_near
    addi a9, a9, 16
.Lnear_end:
.Lnext_trio:
    l32i.n a3, a1, OUTPUTS
    l32i a4, a1, LEFT
    beqz a4, .Lend
    s32i.n a10, a3, 0
    s32i.n a11, a3, 4
    s32i.n a12, a3, 8
    s32i.n a13, a3, 12
    j .Ltrio

    .align 4
.Lnear_sign:
    mov.n a4, a4
    loop a4, nn_trio_near_sign_loop, .Lnear_sign_end
nn_trio_near_sign_loop:
    l32i.n a14, a2, 0
    l32i.n a15, a2, 4
    l32i.n a5, a2, 8
    l32i.n a6, a2, 12
    l32i.n a8, a2, 16
    l32i.n a7, a2, 20
    l32i.n a0, a2, 24
    l32i.n a3, a2, 28
    addi a2, a2, 32
    ssr a8
    four store_near_sign
    addi a9, a9, 16
.Lnear_sign_end:
    j .Lnext_trio

    .align 4
.Lexact:
    mov.n a4, a4
    loop a4, nn_trio_exact_loop, .Lexact_end
nn_trio_exact_loop:
    l32i.n a0, a2, 0
    l32i.n a14, a2, 4
    l32i.n a15, a2, 8
    l32i.n a5, a2, 12
    l32i.n a6, a2, 16
    l32i.n a7, a2, 20
    l32i.n a8, a2, 24
    ssr a8
    four store_exact
    addi a2, a2, 40
    addi a9, a9, 16
.Lexact_end:
    j .Lnext_trio
    .end no-transform

.Lend:
    l32i a0, a1, SAVED
    l32i a12, a1, SAVED + 4
    l32i a13, a1, SAVED + 8
    l32i a14, a1, SAVED + 12
    l32i a15, a1, SAVED + 16
    addi a1, a1, FRAME
    ret
    .size nn_trio_s8, . - nn_trio_s8
