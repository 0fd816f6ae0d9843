/* void nn_depthwise_group_s8(const nn_depthwise_packed_t *p,
 *                            const nn_depthwise_group_t *group)
 *
 * Depthwise 3 x 3, stride 1, up to four channels of one image; nn_packed.h describes the operands,
 * twin/nn_depthwise_group_s8.c says the same in C.
 *
 * Rows come in pairs: a word of the ring holds rows 2k and 2k + 1 of the padded image. Two pairs P0
 * and P1 are enough for two output rows. For each column of the window 4 multiplies do 6 MACs:
 *
 *   out[2k]     += SMLAD(w01, P0) + SMLATB(w12, P1)
 *   out[2k + 1] += SMLABT(w01, P0) + SMLAD(w12, P1)
 *
 * A pair is P1 first and P0 later. Even pairs are stored twice, so that P0 and P1 always are
 * neighbours in the order even, odd, even; k decides which two of the three are meant.
 *
 * The unit of work is one column of two outputs. Up to UNITS of them are unrolled; fewer enter in
 * the middle. Their sums lie in s0-s11 while r0-r5 hold the weights; then these registers hold what
 * the requantisation needs. The data of the two columns before lies in r7-r8 and r9-r10, which
 * change roles from column to column: hence two ways in. Instructions:
 *
 *   a unit 22 (8 more with the sign form); a channel of a block of units 19; a column of a pair of
 *   rows 14 or 15; a pair of rows 54.
 *
 * Stack: 212 bytes. Rounding: double, in the short forms that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define UNITS 6
#define UNIT_BYTES 60 /* of its code: entry addresses depend on it */
#define HEAD_BYTES 40
#define TAIL_BYTES 28 /* of an output's */
#define SHIFT 12      /* of NN_FIXED */

/* The frame: what LDM fetches at once lies together. */
#define STEP_1 0 /* bytes from the outputs of a unit to the next; then 3 and 5 times that */
#define END 12   /* of the outputs of the last channel */
#define TAIL 16  /* where the requantisation starts */
#define HEAD 20  /* where a channel starts */
#define ENTRY 24 /* where its units start */
#define ROW 28   /* next row, its address; rows, bytes of a row, zero point's address, c */
#define FILL 52  /* where an even pair of rows goes, its end */
#define OUT_ROW 60 /* bytes of an output row, rows left */
#define STREAM 68  /* expanded weights, channels */
#define BEHIND 76  /* output columns behind the first block, units of a block */
#define BLOCK 84   /* its data, its outputs, columns behind it */
#define DATA 96    /* P0 of the first column */
#define OUTPUT 100
#define SECOND 104 /* from the first output of a unit to the other */
#define PAIRS 108 /* of rows, loaded */
#define SUMS 112
#define FRAME 160

    .section .text.nn_depthwise_group_s8, "ax", %progbits
    .balign 4
    .global nn_depthwise_group_s8
    .thumb_func
    .type nn_depthwise_group_s8, %function
nn_depthwise_group_s8:
    push {r4-r11, lr}
    vpush {s16-s19}
    sub sp, sp, #FRAME

/* Expand the weights. */
    ldrd r2, r3, [r1, #NN_GROUP_AT_TAPS] /* values */
    ldrd lr, r12, [r1, #NN_GROUP_AT_SCRATCH] /* channels */
    strd lr, r12, [sp, #STREAM]
    ldr r11, [r0, #NN_DEPTHWISE_AT_FORM]
.Lexpand:
    ldrsb r7, [r2, #NN_TAP_BYTES - 1]
    mov r9, r7
    cmp r11, #NN_FORM_SIGN
    it eq
    moveq r7, #1
    .irp n, 0, 1, 2
    ldrsb r4, [r2, #\n]
    ldrsb r5, [r2, #\n + 3]
    ldrsb r6, [r2, #\n + 6]
    lsls r4, r4, r7
    lsls r5, r5, r7
    lsls r6, r6, r7
    pkhbt r4, r4, r5, lsl #16
    pkhbt r5, r5, r6, lsl #16
    stmia lr!, {r4, r5}
    .endr
    ldmia r3!, {r4, r5, r6}
    stmia lr!, {r4, r5, r6, r9}
    adds r2, r2, #NN_TAP_BYTES
    subs r12, r12, #1
    bne .Lexpand

/* Fill in the frame. */
    ldrd r2, r3, [r1, #NN_GROUP_AT_INPUT] /* output */
    ldrd r6, r7, [r1, #NN_GROUP_AT_SCRATCH] /* channels */
    adds r6, r6, #NN_WEIGHT_BYTES
    rsb r7, r7, #4           /* channels that are left alone */
    add r7, r6, r7, lsl #2
    str r7, [sp, #DATA]
    ldr r4, [r0, #NN_DEPTHWISE_AT_INPUT_C]
    ldrd r7, r8, [r0, #NN_DEPTHWISE_AT_PAD_H] /* pad_w */
    ldr r9, [r0, #NN_DEPTHWISE_AT_INSIDE]
    movs r10, #NN_COLUMN_BYTES
    mla r8, r8, r10, r6
    mla r9, r9, r10, r8
    strd r8, r9, [sp, #FILL]
    ldrd r8, r9, [r0, #NN_DEPTHWISE_AT_INPUT_H] /* w */
    mul r9, r9, r4
    mls r2, r7, r9, r2
    negs r7, r7
    add r10, r0, #NN_DEPTHWISE_AT_PAD_WORD
    add r12, sp, #ROW
    str r7, [r12], #4
    stm r12, {r2, r8, r9, r10}
    str r4, [r12, #16]
    ldrd r7, r8, [r0, #NN_DEPTHWISE_AT_OUTPUT_H] /* w */
    mul r9, r8, r4
    strd r9, r7, [sp, #OUT_ROW]
    ldr r5, [r0, #NN_DEPTHWISE_AT_BLOCK]
    sub r8, r8, r5
    strd r8, r5, [sp, #BEHIND]
    rsb r6, r5, #UNITS       /* to skip */
    add r7, r4, r4, lsl #1
    add r8, r4, r4, lsl #2
    stm sp, {r4, r7, r8}
    movs r9, #UNIT_BYTES
    adr r10, .Lunits
    mla r9, r6, r9, r10
    adds r9, r9, #1
    str r9, [sp, #ENTRY]
    adr r9, .Lsign
    cmp r11, #NN_FORM_SIGN
    beq 1f
    adr r9, .Lfixed
    movs r10, #TAIL_BYTES
    mla r9, r6, r10, r9
    mls r3, r6, r4, r3       /* the skipped ones lie before the first */
1:  adr r10, .Lhead
    lsls r6, r6, #31
    it ne
    addne r10, r10, #HEAD_BYTES
    adds r9, r9, #1
    add r10, r10, #1
    strd r9, r10, [sp, #TAIL]
    str r3, [sp, #OUTPUT]
    movs r4, #0
    str r4, [sp, #PAIRS]

/* Load a pair of rows: r7 and r9 point to their pixels, which lie r8 and r10 apart. */
.Lrow:
    add r0, sp, #ROW
    ldm r0, {r1-r6}
    mov r7, r2
    mov r8, r6
    cmp r1, r3
    itt hs                   /* above or below the image */
    movhs r7, r5
    movhs r8, #0
    adds r1, r1, #1
    add r2, r2, r4
    mov r9, r2
    mov r10, r6
    cmp r1, r3
    itt hs
    movhs r9, r5
    movhs r10, #0
    adds r1, r1, #1
    add r2, r2, r4
    stm r0, {r1, r2}
    ldrd r11, lr, [sp, #FILL]
    ldr r4, [sp, #PAIRS]
    lsls r5, r4, #31
    add r4, r4, #1
    str r4, [sp, #PAIRS]
    bne .Lodd_pair

    .macro widen
    ldr r0, [r7]
    ldr r1, [r9]
    add r7, r7, r8
    add r9, r9, r10
    pkhbt r2, r0, r1, lsl #16
    pkhtb r3, r1, r0, asr #16
    sxtb16 r4, r2
    sxtb16 r5, r2, ror #8
    sxtb16 r6, r3
    sxtb16 r12, r3, ror #8
    stmia r11!, {r4, r5, r6, r12}
    .endm

.Leven_pair:
    widen
    adds r11, r11, #16
    stmia r11!, {r4, r5, r6, r12}
    cmp r11, lr
    bne .Leven_pair
    ldr r5, [sp, #PAIRS]
    cmp r5, #1
    beq .Lrow
    ldr r0, [sp, #DATA]
    adds r0, r0, #16
    b .Lloaded

.Lodd_pair:
    adds r11, r11, #16
    add lr, lr, #16
1:  widen
    adds r11, r11, #32
    cmp r11, lr
    bne 1b
    ldr r0, [sp, #DATA]

.Lloaded:
    ldr r1, [sp, #OUTPUT]
    ldrd r5, r6, [sp, #OUT_ROW]
    cmp r6, #1
    it eq
    moveq r5, #0             /* the second row does not exist: under the first */
    str r5, [sp, #SECOND]
    ldr r2, [sp, #BEHIND]

.Lblock:
    strd r0, r1, [sp, #BLOCK]
    str r2, [sp, #BLOCK + 8]
    ldrd r3, r4, [sp, #STREAM]
    vmov s12, s13, r3, r0
    add r4, r4, r1
    str r4, [sp, #END]
    add r5, r5, r1
    vmov s14, s15, r1, r5
    ldr pc, [sp, #HEAD]

    .macro head
    vmov r12, lr, s12, s13
    ldmia r12!, {r0-r6}
    vldmia r12!, {s16-s18}
    add r11, lr, #4
    vmov s12, s13, r12, r11
    .endm

    .macro multiply acc, w01, w12, p0, p1, start
    smlad \acc, \w01, \p0, \start
    smlatb \acc, \w12, \p1, \acc
    .endm

    .macro multiply_below acc, w01, w12, p0, p1, start
    smlabt \acc, \w01, \p0, \start
    smlad \acc, \w12, \p1, \acc
    .endm

    .macro next p0, p1
    ldr \p1, [lr, #NN_COLUMN_BYTES + 16]
    ldr \p0, [lr, #NN_COLUMN_BYTES]!
    .endm

    .balign 4
.Lhead:
    .macro unit p0, p1, q0, q1, s0, s1
    multiply r11, r0, r1, \p0, \p1, r6
    multiply_below r12, r0, r1, \p0, \p1, r6
    next \p0, \p1
    multiply r11, r2, r3, \q0, \q1, r11
    multiply_below r12, r2, r3, \q0, \q1, r12
    multiply r11, r4, r5, \p0, \p1, r11
    multiply_below r12, r4, r5, \p0, \p1, r12
    vmov \s0, \s1, r11, r12
    .endm

    head
    ldr.w r7, [lr]
    ldr r8, [lr, #16]
    next r9, r10
    ldr.w pc, [sp, #ENTRY]
    .if (. - .Lhead) - HEAD_BYTES
    .error "a head has another size"
    .endif
    head
    ldr r9, [lr]
    ldr r10, [lr, #16]
    next r7, r8
    ldr pc, [sp, #ENTRY]

    .balign 4
.Lunits:
    unit r7, r8, r9, r10, s0, s1
    unit r9, r10, r7, r8, s2, s3
    unit r7, r8, r9, r10, s4, s5
    unit r9, r10, r7, r8, s6, s7
    unit r7, r8, r9, r10, s8, s9
    unit r9, r10, r7, r8, s10, s11
    .if (. - .Lunits) - UNITS * UNIT_BYTES
    .error "a unit has another size"
    .endif

#include "nn_depthwise_outputs.inc"

.Lchannel_done:
    cmp r9, r10
    it ne
    ldrne pc, [sp, #HEAD]

    ldr r2, [sp, #BLOCK + 8]
    cbz r2, .Lrows_done
    ldrd r0, r1, [sp, #BLOCK]
    ldr r6, [sp, #BEHIND + 4]
    cmp r6, r2
    it gt
    movgt r6, r2             /* the last block overlaps the one before */
    subs r2, r2, r6
    mla r1, r6, r4, r1
    movs r5, #NN_COLUMN_BYTES
    mla r0, r6, r5, r0
    ldr r5, [sp, #SECOND]
    b .Lblock

.Lrows_done:
    ldrd r5, r6, [sp, #OUT_ROW]
    ldr r1, [sp, #OUTPUT]
    add r1, r1, r5, lsl #1
    str r1, [sp, #OUTPUT]
    subs r6, r6, #2
    str r6, [sp, #OUT_ROW + 4]
    bgt .Lrow

    add sp, sp, #FRAME
    vpop {s16-s19}
    pop {r4-r11, pc}
    .size nn_depthwise_group_s8, . - nn_depthwise_group_s8
