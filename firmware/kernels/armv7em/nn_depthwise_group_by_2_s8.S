/* void nn_depthwise_group_by_2_s8(const nn_depthwise_packed_t *p,
 *                                 const nn_depthwise_group_t *group)
 *
 * Depthwise 3 x 3, stride 2, up to four channels of one image; nn_packed.h describes the operands,
 * twin/nn_depthwise_group_by_2_s8.c says the same in C.
 *
 * Columns come in pairs: a word X of the ring holds columns 2j and 2j + 1 of a padded row, which an
 * output takes whole; the output before takes its lower half:
 *
 *   out[j] += SMLAD(w01, X)        out[j - 1] += SMLABB(w2, X)
 *
 * Two rows of outputs share five rows of inputs. The next two start with the last of these, so
 * their four new rows come into the ring backwards; then the rows of the weights are swapped, as
 * are the rows of outputs. A single last row is computed forwards.
 *
 * The unit of work is one column of two outputs. Up to UNITS of them are unrolled; fewer enter in
 * the middle. Their sums lie in s0-s11 while r0-r4 hold the weights w01 of each row, w2 of the first
 * and the last, w2 of the second, and r5 the first value; r7-r10 hold the sums of two columns, which
 * change roles from column to column. Instructions:
 *
 *   a unit 25 (8 more with the sign form); a channel of a block of units 28, 33 with swapped rows;
 *   a pair of columns of a row 13; a row 28; a pair of rows of outputs 30; a group 200.
 *
 * Stack: 228 bytes. Rounding: double, in the short forms that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define UNITS 6
#define UNIT_BYTES 72 /* of its code: entry addresses depend on it */
#define TAIL_BYTES 28 /* of an output's */
#define SHIFT 12      /* of NN_FIXED */

/* The frame: what LDM fetches at once lies together. */
#define STEP_1 0 /* bytes from the outputs of a unit to the next; then 3 and 5 times that */
#define END 12   /* of the outputs of the last channel */
#define TAIL 16  /* where the requantisation starts */
#define HEAD 20  /* where a channel starts, and where it will with the next rows */
#define ENTRY 28 /* where units start; with an odd number to skip, behind .Lodd_entry */
#define ROW 36   /* next row, its address; rows, bytes of a row; where it goes, from there to next */
#define PIXEL 60 /* whether pad_w is odd, c, from a row's first input to its last, zero point */
#define FILL 76  /* bytes of a row in the ring that come from the image */
#define OUT_ROW 80 /* bytes of an output row, rows left */
#define STREAM 88  /* expanded weights, channels */
#define BEHIND 96  /* output columns behind the first block, units of a block */
#define BLOCK 104  /* its data, its outputs, columns behind it */
#define DATA 116
#define OUTPUT 120
#define SECOND 124 /* from the first output of a unit to the other */
#define SUMS 128
#define FRAME 176

    .section .text.nn_depthwise_group_by_2_s8, "ax", %progbits
    .balign 4
    .global nn_depthwise_group_by_2_s8
    .thumb_func
    .type nn_depthwise_group_by_2_s8, %function
nn_depthwise_group_by_2_s8:
    push {r4-r11, lr}
    vpush {s16-s19}
    sub sp, sp, #FRAME

/* Expand the weights. */
    ldrd r2, r3, [r1, #NN_GROUP_AT_TAPS] /* values */
    ldrd lr, r12, [r1, #NN_GROUP_AT_SCRATCH] /* channels */
    strd lr, r12, [sp, #STREAM]
    ldr r11, [r0, #NN_DEPTHWISE_AT_FORM]
.Lexpand:
    ldrsb r9, [r2, #NN_TAP_BYTES - 1]
    mov r7, r9
    cmp r11, #NN_FORM_SIGN
    it eq
    moveq r7, #1
    .macro tap_pair to, first, second
    ldrsb \to, [r2, #\first]
    ldrsb r10, [r2, #\second]
    lsl \to, \to, r7
    lsl r10, r10, r7
    pkhbt \to, \to, r10, lsl #16
    .endm
    tap_pair r4, 0, 1
    tap_pair r5, 3, 4
    tap_pair r6, 6, 7
    tap_pair r8, 2, 8
    ldrsb r10, [r2, #5]
    lsl r10, r10, r7
    stmia lr!, {r4, r5, r6, r8, r10}
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
    strd r7, r3, [sp, #DATA]
    ldr r4, [r0, #NN_DEPTHWISE_AT_INPUT_C]
    ldrd r7, r8, [r0, #NN_DEPTHWISE_AT_PAD_H] /* pad_w */
    ldr r9, [r0, #NN_DEPTHWISE_AT_INSIDE]
    ldr r12, [r0, #NN_DEPTHWISE_AT_PAD_WORD]
    movs r1, #NN_PAIR_BYTES
    lsrs r3, r8, #1
    mla r6, r3, r1, r6       /* where a row's first pair goes */
    and r8, r8, #1
    add r10, r8, r9
    add r10, r10, #1
    lsr r10, r10, #1
    mul r10, r10, r1
    str r10, [sp, #FILL]
    sub r9, r9, #1
    mul r9, r9, r4
    add r10, sp, #PIXEL
    strd r8, r4, [r10]
    strd r9, r12, [r10, #8]
    ldrd r8, r9, [r0, #NN_DEPTHWISE_AT_INPUT_H] /* w */
    mul r9, r9, r4
    mls r2, r7, r9, r2
    negs r7, r7
    movs r12, #16
    add r10, sp, #ROW
    strd r7, r2, [r10]
    strd r8, r9, [r10, #8]
    ldrd r7, r8, [r0, #NN_DEPTHWISE_AT_OUTPUT_H] /* w */
    mul r9, r8, r4
    strd r9, r7, [sp, #OUT_ROW]
    adds r7, r7, #1
    adr r2, .Lhead
    adr r3, .Lswapped
    lsls r7, r7, #30
    itttt pl                 /* an even number of times: start backwards, end forwards */
    movpl r2, r3
    adrpl r3, .Lhead
    addpl r6, r6, #64
    rsbpl r12, r12, #0
    strd r6, r12, [r10, #16]
    add r2, r2, #1
    add r3, r3, #1
    strd r2, r3, [sp, #HEAD]
    ldr r5, [r0, #NN_DEPTHWISE_AT_BLOCK]
    subs r8, r8, r5
    strd r8, r5, [sp, #BEHIND]
    rsb r6, r5, #UNITS       /* to skip */
    add r7, r4, r4, lsl #1
    add r8, r4, r4, lsl #2
    stm sp, {r4, r7, r8}
    movs r9, #UNIT_BYTES
    adr r10, .Lunits
    mla r9, r6, r9, r10
    adds r9, r9, #1
    mov r10, r9
    lsls r12, r6, #31
    beq 1f
    adr r9, .Lodd_entry
    adds r9, r9, #1
1:  strd r9, r10, [sp, #ENTRY]
    adr r9, .Lsign
    cmp r11, #NN_FORM_SIGN
    beq 1f
    adr r9, .Lfixed
    movs r10, #TAIL_BYTES
    mla r9, r6, r10, r9
    ldr r3, [sp, #OUTPUT]
    mls r3, r6, r4, r3       /* the skipped ones lie before the first */
    str r3, [sp, #OUTPUT]
1:  adds r9, r9, #1
    str r9, [sp, #TAIL]
    movs r12, #1

/* Load the rows of two rows of outputs; r12: of one more. */
.Lrows:
    ldr r6, [sp, #OUT_ROW + 4]
    add r12, r12, #4
    cmp r6, #1
    it eq
    subeq r12, r12, #2
.Lrow:
    add r0, sp, #ROW
    ldm r0, {r1-r6}
    mov r7, r2
    mov r9, r5
    add r2, r2, r4
    add r5, r5, r6
    cmp r1, r3
    add.w r1, r1, #1
    stm r0, {r1-r6}
    add r0, sp, #PIXEL
    ldm r0, {r1, r8, r10, r11}
    bhs .Loutside            /* above or below the image */
    add r10, r10, r7
    cmp r1, #0
    beq .Lnext_pair
    mov r0, r11
    ldr r1, [r7]
    add r7, r7, r8
    b .Lwiden

.Lpair:
    ldr r0, [r7]
    ldr r1, [r7, r8]
    add r7, r7, r8, lsl #1
.Lwiden:
    pkhbt r2, r0, r1, lsl #16
    pkhtb r4, r1, r0, asr #16
    sxtb16 r0, r2
    sxtb16 r1, r2, ror #8
    sxtb16 r2, r4
    sxtb16 r3, r4, ror #8
    strd r2, r3, [r9, #8]
    strd r0, r1, [r9], #NN_PAIR_BYTES
.Lnext_pair:
    cmp r7, r10
    blo .Lpair
    bhi .Lloaded
    ldr r0, [r7]
    mov r1, r11
    add r7, r7, r8
    b .Lwiden

.Loutside:
    sxtb16 r0, r11
    ldr r10, [sp, #FILL]
    add r10, r10, r9
1:  strd r0, r0, [r9, #8]
    strd r0, r0, [r9], #NN_PAIR_BYTES
    cmp r9, r10
    bne 1b
.Lloaded:
    subs r12, r12, #1
    bne .Lrow

    ldrd r0, r1, [sp, #DATA] /* OUTPUT */
    ldrd r5, r6, [sp, #OUT_ROW]
    cmp r6, #1
    it eq
    moveq r5, #0             /* the second row does not exist: under the first */
    ldr r3, [sp, #ROW + 20]
    cmp r3, #0
    itt lt
    addlt r1, r1, r5         /* the second row first */
    rsblt r5, r5, #0
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
    ldmia r12!, {r0-r5}
    vldmia r12!, {s16-s18}
    add r11, lr, #4
    vmov s12, s13, r12, r11
    .endm

    .balign 4
.Lswapped:
    head
    mov r6, r0
    mov r0, r2
    mov r2, r6
    ror r3, r3, #16
    b .Lfirst
    .balign 4
.Lhead:
    head
.Lfirst:
    ldr r6, [lr]
    smlad r9, r0, r6, r5
    ldr r6, [lr, #16]
    smlad r9, r1, r6, r9
    ldr r6, [lr, #32]
    smlad r9, r2, r6, r9
    smlad r10, r0, r6, r5
    ldr r6, [lr, #48]
    smlad r10, r1, r6, r10
    ldr r6, [lr, #64]
    smlad r10, r2, r6, r10
    ldr pc, [sp, #ENTRY]

    .balign 4
.Lodd_entry:
    mov r7, r9
    mov r8, r10
    ldr pc, [sp, #ENTRY + 4]

    .macro unit now_1, now_2, next_1, next_2, s0, s1
    ldr r6, [lr, #NN_PAIR_BYTES]!
    smlabb \now_1, r3, r6, \now_1
    smlad \next_1, r0, r6, r5
    ldr r6, [lr, #16]
    smlabb \now_1, r4, r6, \now_1
    smlad \next_1, r1, r6, \next_1
    ldr r6, [lr, #32]
    smlatb \now_1, r3, r6, \now_1
    smlad \next_1, r2, r6, \next_1
    smlabb \now_2, r3, r6, \now_2
    smlad \next_2, r0, r6, r5
    ldr r6, [lr, #48]
    smlabb \now_2, r4, r6, \now_2
    smlad \next_2, r1, r6, \next_2
    ldr r6, [lr, #64]
    smlatb \now_2, r3, r6, \now_2
    smlad \next_2, r2, r6, \next_2
    vmov \s0, \s1, \now_1, \now_2
    .endm

    .balign 4
.Lunits:
    unit r9, r10, r7, r8, s0, s1
    unit r7, r8, r9, r10, s2, s3
    unit r9, r10, r7, r8, s4, s5
    unit r7, r8, r9, r10, s6, s7
    unit r9, r10, r7, r8, s8, s9
    unit r7, r8, r9, r10, s10, s11
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
    movs r5, #NN_PAIR_BYTES
    mla r0, r6, r5, r0
    ldr r5, [sp, #SECOND]
    b .Lblock

.Lrows_done:
    ldrd r5, r6, [sp, #OUT_ROW]
    ldr r1, [sp, #OUTPUT]
    add r1, r1, r5, lsl #1
    str r1, [sp, #OUTPUT]
    ldrd r0, r1, [sp, #HEAD]
    strd r1, r0, [sp, #HEAD]
    ldrd r0, r1, [sp, #ROW + 16]
    negs r1, r1
    add r0, r0, r1, lsl #1   /* the next to last is the first to go */
    strd r0, r1, [sp, #ROW + 16]
    mov r12, #0
    subs r6, r6, #2
    str r6, [sp, #OUT_ROW + 4]
    bgt .Lrows

    add sp, sp, #FRAME
    vpop {s16-s19}
    pop {r4-r11, pc}
    .size nn_depthwise_group_by_2_s8, . - nn_depthwise_group_by_2_s8
