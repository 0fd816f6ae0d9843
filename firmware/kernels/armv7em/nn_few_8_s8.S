/* void nn_few_8_s8(const nn_few_t *p, const int8_t *input, int8_t *output)
 *
 * Pixels of up to eight inputs times all output channels. nn_packed.h describes the stream,
 * twin/nn_few_8_s8.c says the same in C.
 *
 * The trick: a pixel stays in four registers while one LDM brings all that is known of a channel.
 * Inputs are masked into halfwords 256 * input, and weights are 16-bit, shifted left such that all
 * channels end with the same shift, which SSAT does:
 *
 *   an output: LDM, 4 SMLAD, SMMUL, SSAT, STRB = 8; the loop 2 for four of them; a pixel 14
 *   which are 1.17 per MAC for 8 inputs and 16 channels; nn_quad_s8 takes 2.1, gathering included
 *
 * An output reads 6 words, where nn_quad_s8 reads fewer: the stream should lie in RAM.
 *
 * r0-r3 hold the pixel, r4 the sum, r5-r8 weights, r9 multiplier, r10 the mask; r11 is the stream's
 * end, r12 points to it, lr to the output. s0 is the next pixel, s1 their end, s2 the bytes from one
 * to the next, s3 where the first block of channels is entered, s4 the stream.
 *
 * Stack: 36 bytes. Rounding: double, in the form that quantize/lowering/offsets.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define CHANNELS 4 /* in a block */
#define STREAM_BYTES 24 /* of one channel */
#define CHANNEL_BYTES 32 /* of one channel below: the entry address depends on it */

    .section .text.nn_few_8_s8, "ax", %progbits
    .balign 4
    .global nn_few_8_s8
    .thumb_func
    .type nn_few_8_s8, %function
nn_few_8_s8:
    push {r4-r11, lr}
    ldm r0, {r3-r6}       /* stream, channels, pixels, bytes of one */
    mov lr, r2
    vmov s4, r3
    mla r5, r5, r6, r1
    vmov s1, r5
    movs r7, #STREAM_BYTES
    mla r11, r4, r7, r3
    rsb r4, r4, #0
    and r4, r4, #(CHANNELS - 1) /* channels to skip in the first, partial block */
    adr r7, .Lchannels
    add r7, r7, r4, lsl #5
    orr r7, r7, #1
    vmov s2, s3, r6, r7
    mov r4, r1
    mov r10, #0xFF00FF00

.Lpixel:
    ldr r2, [r4, #4]
    ldr r0, [r4]
    vmov r5, r6, s2, s3
    vmov r12, s4
    add r4, r4, r5
    vmov s0, r4
    and r1, r10, r0
    and r0, r10, r0, lsl #8
    and r3, r10, r2
    and r2, r10, r2, lsl #8
    bx r6

    .balign 4
.Lchannels:
    .rept CHANNELS
    ldmia.w r12!, {r4-r9}
    smlad r4, r5, r0, r4
    smlad r4, r6, r1, r4
    smlad r4, r7, r2, r4
    smlad r4, r8, r3, r4
    smmul r4, r4, r9
    ssat r4, #8, r4, asr #NN_CODE_SHIFT
    strb r4, [lr], #1
    .endr
    .if (. - .Lchannels) - CHANNELS * CHANNEL_BYTES
    .error "a channel has another size"
    .endif
    cmp r12, r11
    bne.w .Lchannels
    vmov r4, r5, s0, s1
    cmp r4, r5
    bne.w .Lpixel
    pop {r4-r11, pc}
    .size nn_few_8_s8, . - nn_few_8_s8
