/* int8_t *nn_svdf_units_s8(const nn_svdf_packed_t *p, int8_t *state, int8_t *output,
 *                          const int8_t *newest)
 *
 * The state of all filters moves one place and ends with its newest value, the sum over a unit's
 * filters becomes its output; nn_packed.h describes the operands, twin/nn_svdf_units_s8.c says the
 * same in C. Returns the state behind them.
 *
 * A word of the state is read a byte further on, which moves it: LDR, STR, LDR of the weights, four
 * SXTB16, two SMLAD and the loop, 11 for four MACs. The last word of a filter, which may hold bytes
 * of the next one, keeps these: 25 a filter. A unit takes 19 besides.
 * Stack: 40 bytes. Rounding: double, of any sum.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .macro products
    sxtb16 r10, r7
    sxtb16 r7, r7, ror #8
    sxtb16 lr, r8
    sxtb16 r8, r8, ror #8
    smlad r5, r10, lr, r5
    smlad r5, r7, r8, r5
    .endm

    .section .text.nn_svdf_units_s8, "ax", %progbits
    .balign 4
    .global nn_svdf_units_s8
    .thumb_func
    .type nn_svdf_units_s8, %function
nn_svdf_units_s8:
    push {r3-r11, lr}
    ldm r0, {r4-r7}       /* units, rank, stream, words */
    ldr r11, [r0, #NN_SVDF_AT_OLD]
    ldr r12, [r0, #NN_SVDF_AT_NEXT]
    add r4, r4, r2
    vmov s0, r4           /* end of the outputs */
    vmov s1, s2, r5, r7   /* rank, words */
    mov r4, r6
.Lunit:
    ldr r5, [r4], #4      /* the sum */
    vmov r6, s1
    add r6, r6, r3
    vmov s3, r6           /* end of the unit's newest values */
.Lfilter:
    ldrd r7, r8, [r0, #NN_SVDF_AT_ZERO_POINT] /* place */
    vmov r6, s2
    ldrb r9, [r3], #1
    add r9, r9, r7
    uxtb r9, r9
    lsl r9, r9, r8        /* the newest value in the filter's last word */
    cbz r6, .Llast
.Lword:
    ldr r7, [r1, #1]
    ldr r8, [r4], #4
    str r7, [r1], #4
    products
    subs r6, r6, #1
    bne .Lword
.Llast:
    ldr r7, [r1]
    ldr r8, [r4], #4
    and r10, r11, r7, lsr #8
    and r7, r7, r12
    orr r7, r7, r10
    orr r7, r7, r9
    str r7, [r1]
    products
    ldr r6, [r0, #NN_SVDF_AT_LAST_BYTES]
    add r1, r1, r6
    vmov r6, s3
    cmp r3, r6
    bne .Lfilter

    ldrd r6, r7, [r0, #NN_SVDF_AT_MULTIPLIER] /* shift */
    ldr r8, [r0, #NN_SVDF_AT_OUTPUT_OFFSET]
    smull r9, r6, r5, r6
    adds r9, r9, #(1 << 30)
    adc r6, r6, #0
    lsls r9, r9, #1
    adc r6, r6, r6        /* sum * multiplier / 2^31, rounded half up */
    add r6, r6, r6, asr #31
    asrs r6, r6, r7
    adc r6, r6, r8        /* half away from 0: the carry is the last bit shifted out */
    ssat r6, #8, r6
    strb r6, [r2], #1
    vmov r6, s0
    cmp r2, r6
    bne .Lunit
    mov r0, r1
    pop {r3-r11, pc}
    .size nn_svdf_units_s8, . - nn_svdf_units_s8
