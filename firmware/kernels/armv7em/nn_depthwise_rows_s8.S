/* void nn_depthwise_rows_s8(const nn_depthwise_rows_t *p, const int8_t *input, int8_t *output,
 *                           int8_t *scratch)
 *
 * out[n,y,x,c] = clamp(zp + requant_c(bias[c] + sum over ky,kx of
 *                (in[n, y*s - ph + ky, x - pw + kx, c] - zp_in) * w[ky,kx,c]))
 *
 * Depthwise with windows of several rows, four channels at a time; nn_depthwise.h describes the
 * operands, twin/nn_depthwise_rows_s8.c says the same in C. Each row of the window is a line, as in
 * nn_depthwise_lines.inc: four outputs go through its steps row by row. As many padded rows as the
 * window has are kept, widened, in a ring; a table tells how far it is from each to the next.
 *
 * UNITS steps are unrolled; fewer enter in the middle. Instructions:
 *
 *   a step 6, a row of the window 8; four outputs 34 besides, with the sign form 38; a pair of
 *   inputs of four channels 12; a step of four weights 19, in NN_FLOOR 15; a channel of a row of
 *   outputs 17, such a row 50.
 *
 * Stack: 260 bytes. Rounding: double, in the short forms that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#include "nn_depthwise_lines.inc"

/* The rest of the frame. */
#define BACK 88   /* bytes from the weights of the first row to those of the last */
#define ROW 92    /* next row, its address; rows, bytes of a row; where it goes, bytes of that row */
#define RING 116  /* where `where it goes` ends, bytes of all rows */
#define PIXEL 124 /* whether pad is odd, c, from a row's first input to its last, zero point */
#define FILL 140  /* bytes of a row in the ring that come from the image */
#define LANES 144 /* bytes of a pair that are left alone */
#define GROUP 148 /* the next one's taps, inputs, outputs; channels left */
#define IMAGE 164 /* inputs, outputs, images left */
#define PARAMS 176
#define SCRATCH 180 /* weights, ring */
#define LEFT 188    /* rows of outputs */
#define TABLE 192   /* from a row of the ring to the next; bit 0: from the last to the first */
#define FRAME 224

    .section .text.nn_depthwise_rows_s8, "ax", %progbits
    .balign 4
    .global nn_depthwise_rows_s8
    .thumb_func
    .type nn_depthwise_rows_s8, %function
nn_depthwise_rows_s8:
    push {r4-r11, lr}
    sub sp, sp, #FRAME

/* Fill in the frame. */
    ldrh r4, [r0, #NN_LINES_AT_IMAGES]
    add r5, sp, #IMAGE
    stm r5, {r1, r2, r4}
    ldrh r6, [r0, #NN_LINES_AT_KERNEL]
    lsrs r6, r6, #1
    adds r6, r6, #1          /* steps */
    ldr r8, [r0, #NN_ROWS_AT_KERNEL_H]
    mul r7, r6, r8
    add r7, r3, r7, lsl #5   /* the ring */
    add r5, sp, #PARAMS
    stm r5, {r0, r3, r7}
    sub r9, r8, #1
    mul r9, r9, r6
    lsls r9, r9, #5
    str r9, [sp, #BACK]
    ldrh r9, [r0, #NN_LINES_AT_PAIRS]
    mul r1, r9, r8
    lsls r9, r9, #4
    str r9, [sp, #ROW + 20]
    mul r10, r9, r8
    ldrh r4, [r0, #NN_LINES_AT_PAD]
    ldr r2, [r0, #NN_LINES_AT_PAD_WORD]
    lsrs r5, r4, #1
    add r9, r7, r5, lsl #4
    add r9, r9, r10
    strd r9, r10, [sp, #RING]
    ldrh r5, [r0, #NN_LINES_AT_INPUTS]
    ldrh r9, [r0, #NN_LINES_AT_INPUT_STEP]
    and r8, r4, #1
    add r10, r5, r8
    adds r10, r10, #1
    lsrs r10, r10, #1
    lsl r10, r10, #4
    str r10, [sp, #FILL]
    subs r5, r5, #1
    mul r10, r5, r9
    add r4, sp, #PIXEL
    strd r8, r9, [r4]
    strd r10, r2, [r4, #8]
    ldr r3, [r0, #NN_ROWS_AT_HEIGHT]
    ldr r4, [r0, #NN_LINES_AT_INPUT_LINE]
    strd r3, r4, [sp, #ROW + 8]
    sxtb16 r2, r2            /* borders hold zero points */
    mov r3, r2
    mov r4, r2
    mov r5, r2
1:  stmia r7!, {r2-r5}
    subs r1, r1, #1
    bne 1b
    rsb r6, r6, #UNITS       /* steps to skip */
    lsls r3, r6, #4
    ldrh r4, [r0, #NN_LINES_AT_OUTPUT_STEP]
    ldrh r5, [r0, #NN_LINES_AT_OUTPUTS]
    add r1, sp, #STEP
    stm r1, {r3-r5}
    adr r4, .Lunits
    movs r5, #UNIT_BYTES
    mla r4, r6, r5, r4
    adds r4, r4, #1
    str r4, [sp, #ENTRY]
    ldrb r4, [r0, #NN_LINES_AT_FORM]
    adr r5, .Lfloor
    movs r6, #FLOOR_BYTES
    cmp r4, #NN_FORM_SIGN
    itt eq
    adreq r5, .Lsign
    moveq r6, #SIGN_BYTES
    adds r5, r5, #1
    strd r5, r6, [sp, #CODE]

.Limage:
    ldr r4, [sp, #PARAMS]
    ldrd r0, r1, [r4, #NN_LINES_AT_TAPS] /* values */
    ldrd r2, r3, [sp, #IMAGE]
    ldrh r4, [r4, #NN_LINES_AT_CHANNELS]

/* r0: taps, r1: values, r2: inputs, r3: outputs, r4: channels left. */
.Lgroup:
    subs r4, r4, #4
    ldr r5, [sp, #SCRATCH]
    ldr r7, [sp, #STEP]
    mov r6, #0
    add r8, r1, #64
    itttt lt                 /* the last four: -r4 are left alone */
    addlt r2, r2, r4
    sublt r5, r5, r4, lsl #3
    sublt r6, r6, r4, lsl #2
    addlt r8, r8, r4, lsl #4
    sub r5, r5, r7, lsl #1
    str r6, [sp, #LANES]
    str r8, [sp, #LAST]
    str r1, [sp, #FIRST]
    strd r5, r3, [sp, #FIRST + 8]
    ldr r8, [sp, #PARAMS]
    ldr r5, [r8, #NN_ROWS_AT_PAD_H]
    ldr r6, [sp, #ROW + 12]
    mls r6, r5, r6, r2       /* the address of a row above the image */
    negs r5, r5
    strd r5, r6, [sp, #ROW]
    ldr r5, [sp, #RING]
    ldr r6, [sp, #RING + 4]
    subs r5, r5, r6
    str r5, [sp, #ROW + 16]
    adds r2, r2, #4
    adds r3, r3, #4
    add r9, sp, #GROUP + 4
    stm r9, {r2-r4}

/* Widen the weights. */
    mov r2, r0
    ldr r12, [sp, #SCRATCH]
    ldrh r4, [r8, #NN_LINES_AT_LINES]
    str r4, [sp, #LEFT]
    ldr r4, [r8, #NN_ROWS_AT_KERNEL_H]
    ldrb r3, [r8, #NN_LINES_AT_FORM]
.Ltaps:
    str r4, [sp, #CHANNEL]
    ldr r4, [sp, #PARAMS]
    ldrh lr, [r4, #NN_LINES_AT_KERNEL]
    widen_taps
    ldr r4, [sp, #CHANNEL]
    subs r4, r4, #1
    bne .Ltaps
    str r2, [sp, #GROUP]
    ldr r0, [sp, #PARAMS]
    ldr r12, [r0, #NN_ROWS_AT_KERNEL_H]

/* Load r12 rows: r9 is where the next pair goes, r7 the next input, r10 the last. */
.Lrow:
    add r0, sp, #ROW
    ldm r0, {r1-r6}
    mov r7, r2
    mov r9, r5
    add r2, r2, r4
    add r5, r5, r6
    ldrd r10, r11, [sp, #RING]
    cmp r5, r10
    it hs
    subhs r5, r5, r11
    cmp r1, r3
    add.w r1, r1, #1
    stm r0, {r1-r6}
    add r0, sp, #PIXEL
    ldm r0, {r1, r8, r10, r11}
    bhs .Loutside            /* above or below the image */
    add r10, r10, r7
    cmp r1, #0
    widen_line .Lloaded

.Loutside:
    sxtb16 r0, r11
    ldr r10, [sp, #FILL]
    add r10, r10, r9
1:  strd r0, r0, [r9], #8
    cmp r9, r10
    bne 1b
.Lloaded:
    subs r12, r12, #1
    bne .Lrow

/* The oldest row is the first, and where the next one will go. */
    ldrd r2, r3, [sp, #ROW + 16] /* bytes of a row in the ring */
    ldrd r4, r5, [sp, #RING]
    ldr r0, [sp, #PARAMS]
    ldr r6, [r0, #NN_ROWS_AT_KERNEL_H]
    ldrh r0, [r0, #NN_LINES_AT_PAD]
    lsrs r0, r0, #1
    add r7, sp, #TABLE
    mov r1, r2
    b 2f
1:  add r8, r2, r3
    cmp r8, r4
    it hs
    subhs r8, r8, r5
    sub r9, r8, r2
    str r9, [r7], #4
    mov r2, r8
2:  subs r6, r6, #1
    bne 1b
    sub r9, r1, r2
    orr r9, r9, #1
    str r9, [r7]
    sub r1, r1, r0, lsl #4
    ldr r0, [sp, #LANES]
    ldrd r12, r10, [sp, #STEP]
    add r1, r1, r0
    sub r1, r1, r12
    str r1, [sp, #FIRST + 4]

    add r4, sp, #FIRST
    ldm r4, {r0, r7, r8, r9}
.Lchannel:
    start_channel

/* r0 to r3: sums; r4, r5: E, O; r6: P; r7: the row, r8: weights, both as the entry wants them; r9:
 * outputs, r10 bytes apart; r11: the table; r12: from r7 to the first P; lr: outputs left. */
.Lblock:
    add r11, sp, #TABLE
    ldr r6, [r7, r12]
    ldm sp, {r0-r3, pc}

.Lnext_row:
    add r7, r7, r4
    add r8, r8, #NN_STEP_BYTES * UNITS
    sub r8, r8, r12, lsl #1
    ldr r6, [r7, r12]
    ldr pc, [sp, #ENTRY]

    .balign 4
    steps
    ldr r4, [r11], #4
    lsrs r5, r4, #1
    bcc .Lnext_row
    add r7, r7, r4
    ldr r4, [sp, #BACK]
    sub r8, r8, r4
    store_outputs 31         /* the table's bit 0 is there already */
.Lchannel_done:
    add r4, sp, #CHANNEL
    ldm r4, {r0, r7, r8, r9, r11}
    cmp r0, r11
    bne .Lchannel

    ldr r5, [sp, #PARAMS]
    ldr r2, [sp, #LEFT]
    ldr r3, [sp, #FIRST + 12]
    ldr r4, [r5, #NN_LINES_AT_OUTPUT_LINE]
    ldr r12, [r5, #NN_ROWS_AT_STRIDE_H]
    add r3, r3, r4
    str r3, [sp, #FIRST + 12]
    subs r2, r2, #1
    str r2, [sp, #LEFT]
    bne .Lrow

    mov r1, r0
    add r4, sp, #GROUP
    ldm r4, {r0, r2, r3, r4}
    cmp r4, #0
    bgt .Lgroup
    ldr r0, [sp, #PARAMS]
    add r4, sp, #IMAGE
    ldm r4, {r1-r3}
    ldrd r5, r6, [r0, #NN_LINES_AT_INPUT_IMAGE] /* output_image */
    add r1, r1, r5
    add r2, r2, r6
    subs r3, r3, #1
    stm r4, {r1-r3}
    bne .Limage

    add sp, sp, #FRAME
    pop {r4-r11, pc}
    .size nn_depthwise_rows_s8, . - nn_depthwise_rows_s8
