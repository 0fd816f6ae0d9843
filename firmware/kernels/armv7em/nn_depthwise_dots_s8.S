/* void nn_depthwise_dots_s8(const nn_lines_t *p, const int8_t *input, int8_t *output)
 *
 * out[n,l,t,c] = clamp(zp + requant_c(bias[c] + sum over k of
 *                (in[n, l, t*s + k*d, c] - zp_in) * w[k,c]))
 *
 * Depthwise along lines, four channels of an output at a time: for few outputs of long windows,
 * where widening a whole line first costs more, and for strides. nn_depthwise.h describes the
 * operands, twin/nn_depthwise_dots_s8.c says the same in C.
 *
 * PKHBT and PKHTB pair the raw bytes of two inputs, then SXTB16 widens inputs and weights on the
 * fly. A pair of taps takes 20 instructions for 8 MACs, an output 7, in NN_FLOOR 6, four of them 22
 * besides, a window 24.
 *
 * Stack: 108 bytes. Rounding: double, in the short forms that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define SIGN_BYTES 28 /* of the code of an output: entry addresses depend on it */
#define FLOOR_BYTES 24

/* The frame: what LDM fetches at once lies together. */
#define GROUP 0   /* its inputs, taps, bytes between inputs, taps of a channel */
#define OUTPUT 16 /* its outputs, values; where outputs are made */
#define COUNT 28  /* outputs left of the line, lines left, images left */
#define LINE 40   /* its inputs, outputs */
#define IMAGE 48  /* the same */
#define CODE 56   /* of four outputs; bytes of one's */
#define PARAMS 64
#define CHANNELS 68 /* left */
#define FRAME 72

    .section .text.nn_depthwise_dots_s8, "ax", %progbits
    .balign 4
    .global nn_depthwise_dots_s8
    .thumb_func
    .type nn_depthwise_dots_s8, %function
nn_depthwise_dots_s8:
    push {r4-r11, lr}
    sub sp, sp, #FRAME
    str r0, [sp, #PARAMS]
    ldrh r3, [r0, #NN_LINES_AT_INPUT_STEP]
    ldrh r4, [r0, #NN_LINES_AT_KERNEL]
    strd r3, r4, [sp, #GROUP + 8]
    ldrb r4, [r0, #NN_LINES_AT_FORM]
    adr r5, .Lfloor
    movs r6, #FLOOR_BYTES
    cmp r4, #NN_FORM_SIGN
    itt eq
    adreq r5, .Lsign
    moveq r6, #SIGN_BYTES
    adds r5, r5, #1
    strd r5, r6, [sp, #CODE]
    ldrh r5, [r0, #NN_LINES_AT_IMAGES]

.Limage:                     /* r1: inputs, r2: outputs, r5: images left */
    ldrh r4, [r0, #NN_LINES_AT_LINES]
    str r5, [sp, #COUNT + 8]
    strd r1, r2, [sp, #IMAGE]
.Lline:
    ldrh r3, [r0, #NN_LINES_AT_OUTPUTS]
    strd r3, r4, [sp, #COUNT]
    strd r1, r2, [sp, #LINE]
.Lwindow:
    ldrd r6, r7, [r0, #NN_LINES_AT_TAPS] /* values */
    ldrh r3, [r0, #NN_LINES_AT_CHANNELS]
    ldr r8, [sp, #CODE]
    strd r1, r6, [sp, #GROUP]
    add r6, sp, #OUTPUT
    stm r6, {r2, r7, r8}
.Lgroup:
    str r3, [sp, #CHANNELS]
    ldm sp, {r4-r7}
    movs r0, #0
    movs r1, #0
    movs r2, #0
    movs r3, #0
    b .Lnext
.Lpair:
    ldr r8, [r4]
    ldr r9, [r4, r6]
    add r4, r4, r6, lsl #1
.Lmultiply:
    pkhbt r10, r8, r9, lsl #16
    pkhtb r11, r9, r8, asr #16
    ldrd r8, r9, [r5], #8
    sxtb16 r12, r10
    sxtb16 lr, r8
    sxtb16 r10, r10, ror #8
    sxtb16 r8, r8, ror #8
    smlad r0, r12, lr, r0
    smlad r1, r10, r8, r1
    sxtb16 r12, r11
    sxtb16 lr, r9
    sxtb16 r11, r11, ror #8
    sxtb16 r9, r9, ror #8
    smlad r2, r12, lr, r2
    smlad r3, r11, r9, r3
.Lnext:
    subs r7, r7, #2
    bge .Lpair
    adds r8, r7, #1
    bne .Lsummed
    ldr r8, [r4]             /* an odd last one: its partner's weights are 0 */
    mov r9, r8
    b .Lmultiply

.Lsummed:
    str r5, [sp, #GROUP + 4]
    add r8, sp, #OUTPUT
    ldm r8, {r4, r5, pc}

    .macro floor_output sum
    ldmia r5!, {r6-r9}
    add \sum, r6, \sum, lsl #8
    smmla \sum, \sum, r7, r8
    asr.w \sum, \sum, r9
    ssat \sum, #8, \sum
    strb.w \sum, [r4], #1
    .endm

    .macro sign_output sum
    ldmia r5!, {r6-r9}
    add \sum, r6, \sum, lsl #1
    smmlar r10, \sum, r7, r8
    add r10, r10, \sum, asr #31
    asr r10, r10, r9
    ssat r10, #8, r10
    strb r10, [r4], #1
    .endm

    .balign 4
.Lsign:
    sign_output r0
    sign_output r1
    sign_output r2
    sign_output r3
    .if (. - .Lsign) - 4 * SIGN_BYTES
    .error "an output has another size"
    .endif
    b .Lstored

    .balign 4
.Lfloor:
    floor_output r0
    floor_output r1
    floor_output r2
    floor_output r3
    .if (. - .Lfloor) - 4 * FLOOR_BYTES
    .error "an output has another size"
    .endif

.Lstored:
    ldr r3, [sp, #CHANNELS]
    ldr r0, [sp, #GROUP]
    strd r4, r5, [sp, #OUTPUT]
    adds r0, r0, #4
    subs r3, r3, #4
    ble .Lwindow_done
    str r0, [sp, #GROUP]
    cmp r3, #4
    bge .Lgroup
    rsb r1, r3, #4           /* the last four: r1 are left alone */
    subs r0, r0, r1
    str r0, [sp, #GROUP]
    ldrd r4, r5, [sp, #CODE]
    mla r4, r1, r5, r4
    str r4, [sp, #OUTPUT + 8]
    b .Lgroup

.Lwindow_done:
    ldr r0, [sp, #PARAMS]
    ldrd r3, r4, [sp, #COUNT]
    ldrd r1, r2, [sp, #LINE]
    subs r3, r3, #1
    beq .Lline_done
    ldrh r5, [r0, #NN_LINES_AT_OUTPUTS]
    str r3, [sp, #COUNT]
    subs r3, r5, r3
    ldrh r5, [r0, #NN_LINES_AT_STRIDE]
    ldrh r6, [r0, #NN_LINES_AT_OUTPUT_STEP]
    mla r1, r3, r5, r1
    mla r2, r3, r6, r2
    b .Lwindow

.Lline_done:
    ldrd r5, r6, [r0, #NN_LINES_AT_INPUT_LINE] /* output_line */
    add r1, r1, r5
    add r2, r2, r6
    subs r4, r4, #1
    bne .Lline
    ldrd r5, r6, [r0, #NN_LINES_AT_INPUT_IMAGE] /* output_image */
    ldrd r1, r2, [sp, #IMAGE]
    add r1, r1, r5
    add r2, r2, r6
    ldr r5, [sp, #COUNT + 8]
    subs r5, r5, #1
    bne .Limage

    add sp, sp, #FRAME
    pop {r4-r11, pc}
    .size nn_depthwise_dots_s8, . - nn_depthwise_dots_s8
