/* void nn_few_16_s8(const nn_few_t *p, const int8_t *input, int8_t *output)
 *
 * Pixels of up to sixteen inputs times all output channels. nn_packed.h describes the stream,
 * twin/nn_few_16_s8.c says the same in C.
 *
 * The trick is that of nn_few_8_s8; here the pixel takes eight registers, so a channel arrives in
 * three pieces:
 *
 *   an output: 3 LDM, 8 SMLAD, SMMUL, SSAT, STRB = 14; the loop 3 for four of them; a pixel 20
 *   which are 0.96 per MAC for 16 inputs and 32 channels; nn_quad_s8 takes 1.3, gathering included
 *
 * An output reads 10 words, where nn_quad_s8 reads fewer: the stream should lie in RAM.
 *
 * r0-r7 hold the pixel, r8 the sum, r9-r11 what belongs to the channel; r12 points to the stream, lr
 * to the output. s0 is the next pixel, s1 their end, s2 the bytes from one to the next, s3 where the
 * first block of channels is entered, s4 the stream, s5 its end.
 *
 * Stack: 36 bytes. Rounding: double, in the form that quantize/lowering/offsets.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define CHANNELS 4 /* in a block */
#define STREAM_BYTES 40 /* of one channel */
#define CHANNEL_BYTES 56 /* of one channel below: the entry address depends on it */

    .section .text.nn_few_16_s8, "ax", %progbits
    .balign 4
    .global nn_few_16_s8
    .thumb_func
    .type nn_few_16_s8, %function
nn_few_16_s8:
    push {r4-r11, lr}
    ldm r0, {r3-r6}       /* stream, channels, pixels, bytes of one */
    mov lr, r2
    mla r5, r5, r6, r1
    vmov s1, r5
    movs r7, #STREAM_BYTES
    mla r8, r4, r7, r3
    vmov s4, s5, r3, r8
    rsb r4, r4, #0
    and r4, r4, #(CHANNELS - 1) /* channels to skip in the first, partial block */
    movs r8, #CHANNEL_BYTES
    adr r7, .Lchannels
    mla r7, r4, r8, r7
    orr r7, r7, #1
    vmov s2, s3, r6, r7
    mov r8, r1

.Lpixel:
    ldr r0, [r8]
    ldr r2, [r8, #4]
    ldr r4, [r8, #8]
    ldr r6, [r8, #12]
    vmov r9, r10, s2, s3
    vmov r12, s4
    add r8, r8, r9
    vmov s0, r8
    mov r9, #0xFF00FF00
    and r1, r9, r0
    and r3, r9, r2
    and r5, r9, r4
    and r7, r9, r6
    and r0, r9, r0, lsl #8
    and r2, r9, r2, lsl #8
    and r4, r9, r4, lsl #8
    and r6, r9, r6, lsl #8
    bx r10

    .balign 4
.Lchannels:
    .rept CHANNELS
    ldmia.w r12!, {r8-r11}
    smlad r8, r9, r0, r8
    smlad r8, r10, r1, r8
    smlad r8, r11, r2, r8
    ldmia.w r12!, {r9-r11}
    smlad r8, r9, r3, r8
    smlad r8, r10, r4, r8
    smlad r8, r11, r5, r8
    ldmia.w r12!, {r9-r11}
    smlad r8, r9, r6, r8
    smlad r8, r10, r7, r8
    smmul r8, r8, r11
    ssat r8, #8, r8, asr #NN_CODE_SHIFT
    strb r8, [lr], #1
    .endr
    .if (. - .Lchannels) - CHANNELS * CHANNEL_BYTES
    .error "a channel has another size"
    .endif
    vmov r8, s5
    cmp r12, r8
    bne.w .Lchannels
    vmov r8, r9, s0, s1
    cmp r8, r9
    bne.w .Lpixel
    pop {r4-r11, pc}
    .size nn_few_16_s8, . - nn_few_16_s8
