/* void nn_mono_row_s8(const nn_mono_row_t *p, int8_t *output)
 *
 * A row of a 3 x 3 convolution of one input channel; nn_depthwise.h describes the operands,
 * twin/nn_mono_row_s8.c says the same in C.
 *
 * The nine inputs of a window stay in five registers while LDM brings the channels' weights, from
 * RAM. PKHBT and PKHTB pair raw bytes of the first two rows, AND makes them halfwords, times 256. A
 * word is read of each row, of which the fourth byte has no weight. Instructions:
 *
 *   an output: LDM, 5 SMLAD, LDRD, SMMLA, SSAT, STRB = 10; four of them 2; a window 18; a row 16
 *
 * r0 to r4: the window; r5 to r9: weights; r10: sum; r11: stream; r12: output; lr: stream's end.
 *
 * Stack: 68 bytes. Rounding: double, in the form of nn_depthwise_group_s8.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define UNITS 4       /* channels at a time */
#define UNIT_BYTES 40 /* of the code of an output: entry addresses depend on it */

/* The frame: what LDM fetches at once lies together. */
#define COLUMN 12 /* behind the rows; then the stride, the stream */
#define ENTRY 24  /* where the first channels are computed */
#define END 28    /* of the outputs */
#define FRAME 32

    .section .text.nn_mono_row_s8, "ax", %progbits
    .balign 4
    .global nn_mono_row_s8
    .thumb_func
    .type nn_mono_row_s8, %function
nn_mono_row_s8:
    push {r4-r11, lr}
    sub sp, sp, #FRAME
    mov r12, r1
    ldm r0, {r2-r9}          /* rows, column, stride, stream, channels, pixels */
    stm sp, {r2-r7}
    add lr, r7, r8, lsl #5
    mla r9, r8, r9, r12
    rsb r8, r8, #0
    and r8, r8, #UNITS - 1   /* to skip in the first four */
    movs r1, #UNIT_BYTES
    adr r2, .Lchannels
    mla r2, r8, r1, r2
    adds r2, r2, #1
    strd r2, r9, [sp, #ENTRY]

.Lwindow:
    ldm sp, {r5-r9, r11}
    ldr r1, [r5, r8]
    ldr r2, [r6, r8]
    ldr r0, [r7, r8]
    add r8, r8, r9
    str r8, [sp, #COLUMN]
    mov r10, #0xFF00FF00
    pkhbt r3, r1, r2, lsl #16
    pkhtb r2, r2, r1, asr #16
    and r4, r10, r0
    and r0, r10, r0, lsl #8
    and r1, r10, r3, lsl #8
    and r3, r10, r3
    and r2, r10, r2, lsl #8
    ldr pc, [sp, #ENTRY]

    .balign 4
.Lchannels:
    .rept UNITS
    ldmia r11!, {r5-r10}
    smlad r10, r5, r0, r10
    smlad r10, r6, r1, r10
    smlad r10, r7, r2, r10
    smlad r10, r8, r3, r10
    smlad r10, r9, r4, r10
    ldrd r5, r6, [r11], #8
    smmla r10, r10, r5, r6
    ssat r10, #8, r10, asr #NN_CODE_SHIFT
    strb r10, [r12], #1
    .endr
    .if (. - .Lchannels) - UNITS * UNIT_BYTES
    .error "a channel has another size"
    .endif
    cmp r11, lr
    bne.w .Lchannels
    ldr r5, [sp, #END]
    cmp r12, r5
    bne .Lwindow

    add sp, sp, #FRAME
    pop {r4-r11, pc}
    .size nn_mono_row_s8, . - nn_mono_row_s8
