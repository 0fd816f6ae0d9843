/* void nn_depthwise_dots_s8(const nn_depthwise_1d_t *p, const nn_depthwise_group_t *group)
 *
 * Depthwise along lines, up to four channels of one image, an output at a time: for few outputs of
 * long windows, where widening a whole line first costs more, and for strides. nn_depthwise.h
 * describes the operands, twin/nn_depthwise_dots_s8.c says the same in C.
 *
 * PKHBT and PKHTB pair the raw bytes of two inputs, then SXTB16 widens inputs and weights on the
 * fly. A pair of taps takes 20 instructions for 8 MACs, an output 7 (6 in NN_FLOOR), a window of
 * four channels besides 20, a group 38.
 *
 * Stack: 84 bytes. Rounding: double, in the short forms that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define SIGN_BYTES 28 /* of the code of an output: entry addresses depend on it */
#define FLOOR_BYTES 24

/* The frame: what LDM fetches at once lies together. */
#define WINDOW 0  /* its inputs, taps, bytes between inputs, taps of a channel */
#define OUTPUT 16 /* the first channel's, its values, where outputs are made */
#define COUNT 28  /* outputs left of the line, lines left */
#define LINE 36   /* its inputs, outputs */
#define PARAMS 44
#define FRAME 48

    .section .text.nn_depthwise_dots_s8, "ax", %progbits
    .balign 4
    .global nn_depthwise_dots_s8
    .thumb_func
    .type nn_depthwise_dots_s8, %function
nn_depthwise_dots_s8:
    push {r4-r11, lr}
    sub sp, sp, #FRAME
    str r0, [sp, #PARAMS]
    ldrd r2, r3, [r1, #NN_GROUP_AT_TAPS] /* values */
    ldr r4, [r0, #NN_1D_AT_INPUT_STEP]
    ldr r5, [r0, #NN_1D_AT_KERNEL]
    str r2, [sp, #WINDOW + 4]
    strd r4, r5, [sp, #WINDOW + 8]
    ldr r2, [r1, #NN_GROUP_AT_CHANNELS]
    rsb r2, r2, #4           /* channels that are left alone */
    ldr r4, [r0, #NN_1D_AT_FORM]
    adr r5, .Lfloor
    movs r6, #FLOOR_BYTES
    cmp r4, #NN_FORM_SIGN
    itt eq
    adreq r5, .Lsign
    moveq r6, #SIGN_BYTES
    mla r5, r2, r6, r5
    adds r5, r5, #1
    strd r3, r5, [sp, #OUTPUT + 4]
    ldr r2, [r0, #NN_1D_AT_LINES]
    ldrd r3, r4, [r1, #NN_GROUP_AT_INPUT] /* output */

.Lline:
    str r2, [sp, #COUNT + 4]
    strd r3, r4, [sp, #LINE]
    ldr r2, [r0, #NN_1D_AT_OUTPUTS]
.Lwindow:
    str r2, [sp, #COUNT]
    str r3, [sp, #WINDOW]
    str r4, [sp, #OUTPUT]
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
    ldr r0, [sp, #PARAMS]
    ldr r2, [sp, #COUNT]
    ldr r3, [sp, #WINDOW]
    ldr r4, [sp, #OUTPUT]
    ldr r5, [r0, #NN_1D_AT_STRIDE]
    ldr r6, [r0, #NN_1D_AT_OUTPUT_STEP]
    add r3, r3, r5
    add r4, r4, r6
    subs r2, r2, #1
    bne .Lwindow
    ldr r2, [sp, #COUNT + 4]
    ldrd r3, r4, [sp, #LINE]
    ldrd r5, r6, [r0, #NN_1D_AT_INPUT_LINE] /* output_line */
    add r3, r3, r5
    add r4, r4, r6
    subs r2, r2, #1
    bne .Lline

    add sp, sp, #FRAME
    pop {r4-r11, pc}
    .size nn_depthwise_dots_s8, . - nn_depthwise_dots_s8
