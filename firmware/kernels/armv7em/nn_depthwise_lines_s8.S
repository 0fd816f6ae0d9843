/* void nn_depthwise_lines_s8(const nn_lines_t *p, const int8_t *input, int8_t *output,
 *                            int8_t *scratch)
 *
 * out[n,l,t,c] = clamp(zp + requant_c(bias[c] + sum over k of
 *                (in[n, l, t - pad + k, c] - zp_in) * w[k,c]))
 *
 * Depthwise along lines, four channels at a time; nn_depthwise.h describes the operands,
 * twin/nn_depthwise_lines_s8.c says the same in C; nn_depthwise_lines.inc, how four outputs are made
 * of pairs of inputs and of weights.
 *
 * UNITS steps are unrolled; fewer enter in the middle, more go through .Llong before. Weights and
 * line are widened first, so that outputs may lie on their inputs. Instructions:
 *
 *   a step 6, in .Llong 8; four outputs 26 besides, with the sign form 30; a pair of inputs of four
 *   channels 12, a step of four weights 19, in NN_FLOOR 15; a channel 17, a line of a group 25, a
 *   group 40.
 *
 * Stack: 176 bytes. Rounding: double, in the short forms that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#include "nn_depthwise_lines.inc"

/* The rest of the frame. */
#define LINE 88   /* where its first pair goes, its inputs, lines left */
#define GROUP 100 /* the next one's taps, inputs, outputs; channels left */
#define IMAGE 116 /* inputs, outputs, images left */
#define PARAMS 128
#define SCRATCH 132 /* weights, line */
#define FRAME 140

    .section .text.nn_depthwise_lines_s8, "ax", %progbits
    .balign 4
    .global nn_depthwise_lines_s8
    .thumb_func
    .type nn_depthwise_lines_s8, %function
nn_depthwise_lines_s8:
    push {r4-r11, lr}
    sub sp, sp, #FRAME

/* Fill in the frame. */
    ldrh r4, [r0, #NN_LINES_AT_IMAGES]
    add r5, sp, #IMAGE
    stm r5, {r1, r2, r4}
    ldrh r6, [r0, #NN_LINES_AT_KERNEL]
    lsrs r6, r6, #1
    adds r6, r6, #1          /* steps */
    add r7, r3, r6, lsl #5   /* the line */
    add r5, sp, #PARAMS
    stm r5, {r0, r3, r7}
    ldrh r1, [r0, #NN_LINES_AT_PAD]
    ldr r2, [r0, #NN_LINES_AT_PAD_WORD]
    lsrs r1, r1, #1
    add r1, r7, r1, lsl #4
    str r1, [sp, #LINE]
    sxtb16 r2, r2            /* borders hold zero points */
    mov r3, r2
    mov r4, r2
    mov r5, r2
    ldrh r1, [r0, #NN_LINES_AT_PAIRS]
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
    cmp r6, #0
    it lt
    adrlt r4, .Llong
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
    ldrd r5, r6, [sp, #SCRATCH] /* line */
    ldr r7, [sp, #STEP]
    ittt lt                  /* the last four: -r4 are left alone */
    addlt r2, r2, r4
    sublt r5, r5, r4, lsl #3
    sublt r6, r6, r4, lsl #2
    add r8, r1, #64
    it lt
    addlt r8, r8, r4, lsl #4
    sub r6, r6, r7
    sub r5, r5, r7, lsl #1
    str r8, [sp, #LAST]
    strd r1, r6, [sp, #FIRST]
    strd r5, r3, [sp, #FIRST + 8]
    str r2, [sp, #LINE + 4]
    adds r2, r2, #4
    adds r3, r3, #4
    add r9, sp, #GROUP + 4
    stm r9, {r2-r4}

/* Widen the weights. */
    mov r2, r0
    ldr r0, [sp, #PARAMS]
    ldr r12, [sp, #SCRATCH]
    ldrh lr, [r0, #NN_LINES_AT_KERNEL]
    ldrh r4, [r0, #NN_LINES_AT_LINES]
    str r4, [sp, #LINE + 8]
    ldrb r3, [r0, #NN_LINES_AT_FORM]
    widen_taps
    str r2, [sp, #GROUP]

/* Widen a line: r9 is where the next pair goes, r7 the next input, r10 the last. */
.Lline:
    ldr r0, [sp, #PARAMS]
    ldr r9, [sp, #LINE]
    ldr r7, [sp, #LINE + 4]
    ldrh r8, [r0, #NN_LINES_AT_INPUT_STEP]
    ldrh r10, [r0, #NN_LINES_AT_INPUTS]
    sub r10, r10, #1
    mla r10, r10, r8, r7
    ldrh r2, [r0, #NN_LINES_AT_PAD]
    ldr r11, [r0, #NN_LINES_AT_PAD_WORD]
    lsls r2, r2, #31
    widen_line .Lchannels

.Lchannels:
    ldrd r12, r10, [sp, #STEP]
    add r4, sp, #FIRST
    ldm r4, {r0, r7, r8, r9}
.Lchannel:
    start_channel

/* r0 to r3: sums; r4, r5: E, O; r6: P; r7: the line, r8: weights, both as the entry wants them;
 * r9: outputs, r10 bytes apart; r12: from r7 to the first P; lr: outputs left. */
.Lblock:
    ldr r6, [r7, r12]
    ldm sp, {r0-r3, pc}

    .balign 4
.Llong:
    add r7, r7, r12
    add r8, r8, r12, lsl #1
    asr r11, r12, #4
1:  ldrd r4, r5, [r8], #NN_STEP_BYTES
    smlad r0, r4, r6, r0
    smladx r1, r5, r6, r1
    ldr r6, [r7, #16]!
    smlad r2, r4, r6, r2
    smladx r3, r5, r6, r3
    adds r11, r11, #1
    bne 1b

    .balign 4
    steps
    store_outputs 32
.Lchannel_done:
    add r4, sp, #CHANNEL
    ldm r4, {r0, r7, r8, r9, r11}
    cmp r0, r11
    bne .Lchannel

    ldr r5, [sp, #PARAMS]
    ldrd r1, r2, [sp, #LINE + 4]
    ldr r3, [sp, #FIRST + 12]
    subs r2, r2, #1
    beq .Lgroup_done
    ldrd r4, r5, [r5, #NN_LINES_AT_INPUT_LINE] /* output_line */
    add r1, r1, r4
    add r3, r3, r5
    str r3, [sp, #FIRST + 12]
    strd r1, r2, [sp, #LINE + 4]
    b .Lline

.Lgroup_done:
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
    .size nn_depthwise_lines_s8, . - nn_depthwise_lines_s8
