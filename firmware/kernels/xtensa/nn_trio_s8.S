/* nn_trio_s8 (nn_trio.h): four pixels times all channels, three channels at a time.
 *
 * Products are 32 bits wide and two of them serve three channels A, B, C: one stream adds up
 * B + 2^11 C, the other A + 2^21 C, both modulo 2^32. With every sum between -2^20 and 2^20 the
 * second gives A and the lowest 11 bits of C, these and the first give B, and then C. The last
 * channel, when it is alone, has a stream of its own.
 *
 * A step is 4 inputs x 3 channels x 4 pixels = 48 MACs: for each input 2 loads of weights and for
 * each pixel a load, 2 MULL and 2 additions, with the pointers 90, which are 1.88 a MAC; with a
 * lone channel 54 for 16 MACs. Three channels of four pixels take about 200 more in the short form,
 * 13 to 16 an output; in the exact form about 90 for each chunk and 91 a channel.
 *
 * Stack: 112 bytes. Rounding: double, in the short or the exact form.
 * A register an accumulator: a9 to a12 the first sums of the pixels, a13, a14, a15, a0 the second. */
#include "layout/nn_offsets.h"
#include "nn_xtensa.inc"

    .equ OUTPUTS, 0 /* of each pixel */
    .equ X, 16
    .equ STEPS, 20
    .equ OTHERS, 24 /* channels left, but for one */
    .equ CHUNKS_LEFT, 28
    .equ CHUNKS, 32
    .equ SUMS, 36 /* [3][4]: of a channel, of a pixel */
    .equ SAVED, 84
    .equ FRAME, 112
    .equ NUMBERS, 12 /* from the last step of a stream to its nn_short_t or word and nn_exact_t */
    .equ ADDED, 4 /* that word */

    .macro pixel first, second, place
    l8ui a7, a3, \place
    mull a8, a7, a5
    mull a7, a7, a6
    add.n \first, \first, a8
    add.n \second, \second, a7
    .endm

    .macro input number
    l32i.n a5, a2, 8 * \number + 8
    l32i.n a6, a2, 8 * \number + 12
    pixel a9, a13, 4 * \number
    pixel a10, a14, 4 * \number + 1
    pixel a11, a15, 4 * \number + 2
    pixel a12, a0, 4 * \number + 3
    .endm

    .macro pixel_alone second, place
    l8ui a7, a3, \place
    mull a7, a7, a6
    add.n \second, \second, a7
    .endm

    .macro input_alone number
    l32i.n a6, a2, 4 * \number + 4
    pixel_alone a13, 4 * \number
    pixel_alone a14, 4 * \number + 1
    pixel_alone a15, 4 * \number + 2
    pixel_alone a0, 4 * \number + 3
    .endm

    /* The sum of A to \to, that of B to \to, that of C to \to, in this order. */
    .macro unpack_a to, first, second
    sext20 \to, \second
    sub \second, \second, \to /* 2^21 C */
    .endm
    .macro unpack_b to, first, second
    srai \second, \second, 10
    sub \to, \first, \second
    sext20 \to, \to
    sub \first, \first, \to /* 2^11 C */
    .endm
    .macro unpack_c to, first, second
    srai \to, \first, 11
    .endm

    .macro add_to place, first, second
    unpack_a a5, \first, \second
    unpack_b a6, \first, \second
    unpack_c a7, \first, \second
    l32i a8, a1, SUMS + \place
    add.n a5, a5, a8
    l32i a8, a1, SUMS + 16 + \place
    add.n a6, a6, a8
    l32i a8, a1, SUMS + 32 + \place
    add.n a7, a7, a8
    s32i a5, a1, SUMS + \place
    s32i a6, a1, SUMS + 16 + \place
    s32i a7, a1, SUMS + 32 + \place
    .endm

    /* a4, a5, a6: high, mid, below, a2: numbers; a8: where the pixel's output went */
    .macro output unpack_it, channel, first, second, place
    \unpack_it a3, \first, \second
    mull a7, a3, a5
    l32i.n a8, a2, NUMBERS + NN_SHORT_BYTES * \channel + NN_SHORT_AT_OR_MORE
    srai a7, a7, NN_MID_PLACES
    movltz a8, a6, a3
    mull a3, a3, a4
    add.n a7, a7, a8
    l32i.n a8, a1, OUTPUTS + \place
    add.n a3, a3, a7
    sra a3, a3
    clamps7 a3, a3
    s8i a3, a8, \channel
    .endm

    .macro last_output unpack_it, channel, first, second, place
    output \unpack_it, \channel, \first, \second, \place
    addi.n a8, a8, 3
    s32i.n a8, a1, OUTPUTS + \place
    .endm

    .macro outputs kind, unpack_it, channel
    l32i.n a4, a2, NUMBERS + NN_SHORT_BYTES * \channel + NN_SHORT_AT_HIGH
    l32i.n a5, a2, NUMBERS + NN_SHORT_BYTES * \channel + NN_SHORT_AT_MID
    l32i.n a6, a2, NUMBERS + NN_SHORT_BYTES * \channel + NN_SHORT_AT_BELOW
    \kind \unpack_it, \channel, a9, a13, 0
    \kind \unpack_it, \channel, a10, a14, 4
    \kind \unpack_it, \channel, a11, a15, 8
    \kind \unpack_it, \channel, a12, a0, 12
    .endm

    /* a14, a15: least and most, a5, a6, a7: high, mid, low, a0: added to x, a9: sums, a2: numbers */
    .macro exact place, output
    l32i.n a8, a9, 4 * \place
    larger a8, a8, a14
    smaller a8, a8, a15
    add.n a8, a8, a0
    mull a4, a8, a7
    srai a4, a4, NN_LOW_PLACES
    mull a3, a8, a6
    add.n a4, a4, a3
    srai a4, a4, NN_MID_PLACES
    mull a8, a8, a5
    l32i.n a3, a2, ADDED + NN_EXACT_AT_CONSTANT
    add.n a8, a8, a4
    add.n a8, a8, a3
    l32i.n a4, a2, ADDED + NN_EXACT_AT_OR_MORE
    l32i.n a3, a2, ADDED + NN_EXACT_AT_BELOW
    movltz a4, a3, a8
    add.n a8, a8, a4
    sra a8, a8
    s8i a8, \output, 0
    addi.n \output, \output, 1
    .endm

    .section .text.nn_trio_s8, "ax"
    .align 4
    .global nn_trio_s8
    .type nn_trio_s8, @function
nn_trio_s8:
    open_frame FRAME, SAVED, a0, a12, a13, a14, a15
    s32i.n a3, a1, X
    .irp place, 0, 4, 8, 12
    l32i.n a5, a4, \place
    s32i.n a5, a1, OUTPUTS + \place
    .endr
    l32i.n a4, a2, NN_TRIO_AT_CHANNELS
    addi.n a4, a4, -1
    s32i.n a4, a1, OTHERS
    l32i.n a5, a2, NN_TRIO_AT_CHUNKS
    s32i.n a5, a1, CHUNKS
    s32i.n a5, a1, CHUNKS_LEFT
    l32i.n a5, a2, NN_TRIO_AT_STEPS
    s32i.n a5, a1, STEPS
    l32i.n a2, a2, NN_TRIO_AT_STREAM
    j .Ltrio

    .align 4
    .begin no-transform
.Lalone:
    l32i a13, a2, 0
    l32i a4, a1, STEPS
    mov a14, a13
    mov.n a15, a13
    mov.n a0, a13
    loop a4, nn_trio_alone_loop, .Lafter_alone
nn_trio_alone_loop:
    input_alone 0
    input_alone 1
    input_alone 2
    input_alone 3
    addi a2, a2, 16
    addi a3, a3, 16
.Lafter_alone:
    addi a2, a2, -4
    j .Lafter

    .align 4
.Ltrio:
    l32i.n a3, a1, X
.Lchunk:
    beqz a4, .Lalone
    l32i a9, a2, 0
    l32i a13, a2, 4
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

    l32i.n a8, a2, NUMBERS - 4 /* the shift */
    bltz a8, .Lunpack
    ssr a8
    outputs output, unpack_a, 0
    l32i.n a3, a1, OTHERS
    beqz a3, .Lend
    outputs output, unpack_b, 1
    l32i.n a3, a1, OTHERS
    beqi a3, 1, .Lend
    outputs last_output, unpack_c, 2
    addi a2, a2, NUMBERS + 3 * NN_SHORT_BYTES
.Lnext_trio:
    l32i.n a4, a1, OTHERS
    addi a4, a4, -3
    s32i.n a4, a1, OTHERS
    bgez a4, .Ltrio
    j .Lend

.Lunpack:
    addi a2, a2, NUMBERS
    l32i.n a4, a1, CHUNKS
    l32i.n a5, a1, CHUNKS_LEFT
    bne a4, a5, .Lmore
    movi.n a4, 0
    .irp place, 0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44
    s32i a4, a1, SUMS + \place
    .endr
.Lmore:
    add_to 0, a9, a13
    add_to 4, a10, a14
    add_to 8, a11, a15
    add_to 12, a12, a0
    l32i.n a5, a1, CHUNKS_LEFT
    l32i.n a4, a1, OTHERS
    addi.n a5, a5, -1
    s32i.n a5, a1, CHUNKS_LEFT
    bnez a5, .Lchunk

    l32i.n a5, a1, CHUNKS
    s32i.n a5, a1, CHUNKS_LEFT
    l32i.n a10, a1, OUTPUTS
    l32i.n a11, a1, OUTPUTS + 4
    l32i.n a12, a1, OUTPUTS + 8
    l32i.n a13, a1, OUTPUTS + 12
    addi a9, a1, SUMS
    addi.n a4, a4, 1
    movi.n a3, 3
    smaller a4, a4, a3 /* channels of this trio */
    j .Lexact

    .align 4
    .begin no-transform
.Lexact:
    mov.n a4, a4
    loop a4, nn_trio_exact_loop, .Lexact_end
nn_trio_exact_loop:
    l32i.n a0, a2, 0
    l32i.n a14, a2, ADDED + NN_EXACT_AT_LEAST
    l32i.n a15, a2, ADDED + NN_EXACT_AT_MOST
    l32i.n a5, a2, ADDED + NN_EXACT_AT_HIGH
    l32i.n a6, a2, ADDED + NN_EXACT_AT_MID
    l32i.n a7, a2, ADDED + NN_EXACT_AT_LOW
    l32i.n a8, a2, ADDED + NN_EXACT_AT_SHIFT
    ssr a8
    exact 0, a10
    exact 1, a11
    exact 2, a12
    exact 3, a13
    addi a2, a2, ADDED + NN_EXACT_BYTES
    addi a9, a9, 16
.Lexact_end:
    .end no-transform
    s32i.n a10, a1, OUTPUTS
    s32i.n a11, a1, OUTPUTS + 4
    s32i.n a12, a1, OUTPUTS + 8
    s32i.n a13, a1, OUTPUTS + 12
    j .Lnext_trio

.Lend:
    close_frame FRAME, SAVED, a0, a12, a13, a14, a15
    .size nn_trio_s8, . - nn_trio_s8
