/* nn_nine_s8 (nn_mac16.h): one channel of a depthwise convolution of three by three. Eight weights
 * stay in m0 to m3, the ninth in a register; a word of each line serves the two outputs that need
 * it, and the next two. An output takes 21.5 instructions, 9 of which are its products, where sums
 * are kept 30, with stride 2 27 and 34; a line takes about 30, a channel 40.
 * Stack: 80 bytes. Rounding: double, in two products.
 *
 * a2, a3, a4: words of three lines, a5, a6, a7: the next ones, a0: the ninth weight, a8: plane,
 * a9: or_more, a10: output, a11: output step, a12: high, a13: mid. */
#include "layout/nn_offsets.h"
#include "nn_mac16.inc"

    .equ PAIR_STEP, 0
    .equ LEAST, 4
    .equ MOST, 8
    .equ OR_MORE, 12
    .equ BELOW, 16
    .equ PLANE, 20
    .equ LINES, 24
    .equ WAY, 28
    .equ NINE, 32
    .equ REST, 36 /* outputs behind the loop */
    .equ SAVED, 40
    .equ FRAME, 80

    .macro words first, second, third
    l32i.n \first, a8, 0
    l32i.n \second, a8, 4
    l32i.n \third, a8, 8
    l32i.n a15, a1, PAIR_STEP
    add.n a8, a8, a15
    .endm
    .macro next_words
    mov.n a2, a5
    mov.n a3, a6
    mov.n a4, a7
    .endm

    /* The window that begins in the lower halves of a, b, c and ends in those of d, e, f. */
    .macro low_sum a, b, c, d, e, f
    mul_da LL, 0, \a
    mula_da HH, 0, \a
    mula_da LL, 1, \d
    mula_da HL, 1, \b
    mula_ad HL, \b, 2
    mula_ad LH, \e, 2
    mula_ad LL, \c, 3
    mula_ad HH, \c, 3
    mula_aa LL, \f, a0
    .endm
    /* The one that begins in the upper halves. */
    .macro high_sum a, b, c, d, e, f
    mul_da LH, 0, \a
    mula_da HL, 0, \d
    mula_da LH, 1, \d
    mula_da HH, 1, \b
    mula_ad LL, \e, 2
    mula_ad HH, \e, 2
    mula_ad HL, \c, 3
    mula_ad LH, \f, 3
    mula_aa HL, \f, a0
    .endm

    .macro output kept
    get_sum a14
    .if \kept
    l32i.n a15, a1, LEAST
    larger a14, a14, a15
    l32i.n a15, a1, MOST
    smaller a14, a14, a15
    l32i.n a9, a1, OR_MORE
    l32i.n a15, a1, BELOW
    movltz a9, a15, a14
    .endif
    mull a15, a14, a13
    mull a14, a14, a12
    srai a15, a15, NN_MID_PLACES
    add.n a14, a14, a9
    add.n a14, a14, a15
    sra a14, a14
    .if !\kept
    clamps7 a14, a14
    .endif
    s8i a14, a10, 0
    add.n a10, a10, a11
    .endm

    .macro low kept, words:vararg
    low_sum \words
    output \kept
    .endm
    .macro high kept, words:vararg
    high_sum \words
    output \kept
    .endm

    /* Outputs of a line one by one, with stride 2. */
    .macro by_2 name, kept
    .align 4
.L\name:
    mov a14, a14
    mov a14, a14
    mov a14, a14
    loop a14, nn_nine_\name\()_loop, .L\name\()_end
nn_nine_\name\()_loop:
    words a5, a6, a7
    low \kept, a2, a3, a4, a5, a6, a7
    next_words
.L\name\()_end:
    j .Lline_end
    .endm

    .macro last_output /* unless there are more behind the loop */
    l32i.n a14, a1, REST
    addi.n a14, a14, -1
    s32i.n a14, a1, REST
    beqz a14, .Lline_end
    .endm

    .section .text.nn_nine_s8, "ax"
    .align 4
    .global nn_nine_s8
    .type nn_nine_s8, @function
nn_nine_s8:
    open_frame FRAME, SAVED, a0, a12, a13, a14, a15
    s32i a2, a1, NINE
    s32i a4, a1, PLANE
    mov a10, a5
    l32i a14, a2, NN_NINE_AT_LINES
    l32i a15, a2, NN_NINE_AT_PAIR_STEP
    l32i a11, a2, NN_NINE_AT_OUTPUT_STEP
    s32i a14, a1, LINES
    s32i a15, a1, PAIR_STEP
    l32i a15, a2, NN_NINE_AT_IS_BY_2
    slli a15, a15, 1
    l32i a12, a3, NN_MAC_AT_HIGH
    l32i a13, a3, NN_MAC_AT_MID
    l32i a9, a3, NN_MAC_AT_OR_MORE
    l32i a14, a3, NN_MAC_AT_SHIFT
    s32i a9, a1, OR_MORE
    ssr a14
    bbci a14, NN_MAC_KEPT_BIT, .Lweights
    l32i a14, a3, NN_MAC_AT_BELOW
    s32i a14, a1, BELOW
    l32i a14, a3, NN_MAC_AT_LEAST
    s32i a14, a1, LEAST
    l32i a14, a3, NN_MAC_AT_MOST
    s32i a14, a1, MOST
    addi a15, a15, 1
    addi a3, a3, NN_MAC_KEPT_BYTES - NN_MAC_BYTES
.Lweights:
    s32i a15, a1, WAY
    addi a3, a3, NN_MAC_BYTES - 4
    ldinc 0, a3
    ldinc 1, a3
    ldinc 2, a3
    ldinc 3, a3
    l32i a0, a3, 4
    j .Lline

    .begin no-transform
    .align 4
.Lline:
    l32i.n a8, a1, PLANE
    l32i.n a14, a1, NINE
    words a2, a3, a4
    l32i.n a14, a14, NN_NINE_AT_OUTPUTS
    l32i.n a15, a1, WAY
    beqz a15, .Lplain
    addi.n a15, a15, -1
    beqz a15, .Lkept
    addi.n a15, a15, -1
    beqz a15, .Lplain_by_2
    j .Lkept_by_2

    .align 4
.Lplain:
    srli a15, a14, 2
    extui a14, a14, 0, 2
    s32i a14, a1, REST
    beqz a15, .Lplain_end
    mov.n a15, a15
    loop a15, nn_nine_plain_loop, .Lplain_end
nn_nine_plain_loop:
    words a5, a6, a7
    low 0, a2, a3, a4, a5, a6, a7
    high 0, a2, a3, a4, a5, a6, a7
    words a2, a3, a4
    low 0, a5, a6, a7, a2, a3, a4
    high 0, a5, a6, a7, a2, a3, a4
.Lplain_end:
    l32i.n a14, a1, REST
    beqz a14, .Lline_end
    words a5, a6, a7
    low 0, a2, a3, a4, a5, a6, a7
    last_output
    high 0, a2, a3, a4, a5, a6, a7
    last_output
    words a2, a3, a4
    low 0, a5, a6, a7, a2, a3, a4

.Lline_end:
    l32i.n a15, a1, NINE
    l32i.n a8, a1, PLANE
    l32i.n a14, a15, NN_NINE_AT_LINE_INPUTS
    l32i.n a15, a15, NN_NINE_AT_LINE_OUTPUTS
    add.n a8, a8, a14
    add.n a10, a10, a15
    s32i.n a8, a1, PLANE
    l32i.n a14, a1, LINES
    addi.n a14, a14, -1
    s32i.n a14, a1, LINES
    bnez a14, .Lline
    close_frame FRAME, SAVED, a0, a12, a13, a14, a15

    .align 4
.Lkept:
    srli a15, a14, 1
    extui a14, a14, 0, 1
    s32i a14, a1, REST
    beqz a15, .Lkept_end
    mov.n a15, a15
    loop a15, nn_nine_kept_loop, .Lkept_end
nn_nine_kept_loop:
    words a5, a6, a7
    low 1, a2, a3, a4, a5, a6, a7
    high 1, a2, a3, a4, a5, a6, a7
    next_words
.Lkept_end:
    l32i.n a14, a1, REST
    beqz a14, .Lkept_back
    words a5, a6, a7
    low 1, a2, a3, a4, a5, a6, a7
.Lkept_back:
    j .Lline_end

    by_2 plain_by_2, 0
    by_2 kept_by_2, 1
    .end no-transform
    .size nn_nine_s8, . - nn_nine_s8
