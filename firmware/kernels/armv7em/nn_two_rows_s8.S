/* void nn_two_rows_s8(const nn_batch_matmul_packed_t *p, const uint32_t *rows,
 *                     const uint32_t *columns, int8_t *output, int32_t pairs)
 *
 * Two rows times `pairs` pairs of columns of 16-bit values, and what they become; nn_packed.h says
 * how they lie, twin/nn_two_rows_s8.c says the same in C. Four values of each take LDM, 2 LDRD, 8
 * SMLAD and the loop 2: 13 for 16 MACs, 0.81 each. Four outputs take 35 besides.
 *
 * Stack: 36 bytes. Rounding: double, in the short form NN_SIGN.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .section .text.nn_two_rows_s8, "ax", %progbits
    .balign 4
    .global nn_two_rows_s8
    .thumb_func
    .type nn_two_rows_s8, %function
nn_two_rows_s8:
    push {r4-r11, lr}
    ldr r4, [sp, #36]     /* pairs */
    ldr r5, [r0, #NN_MATMUL_AT_QUADS]
    ldr r6, [r0, #NN_MATMUL_AT_COLUMNS]
    ldr r7, [r0, #NN_MATMUL_AT_MULTIPLIER]
    ldrd r8, r9, [r0, #NN_MATMUL_AT_CONSTANT] /* shift */
    add r10, r1, r5, lsl #4
    vmov s0, s1, r1, r10  /* rows, their end */
    vmov s2, s3, r7, r8
    vmov s4, s5, r9, r6
    mul r5, r5, r4
    add r5, r2, r5, lsl #4
    vmov s6, r5           /* end of the columns */
    mov r1, r2
.Lpair:
    vmov r0, r2, s0, s1
    movs r4, #0
    movs r5, #0
    movs r6, #0
    movs r7, #0
.Lquad:
    ldmia.w r0!, {r8-r11}
    ldrd r12, lr, [r1], #8
    smlad r4, r8, r12, r4
    smlad r5, r9, r12, r5
    smlad r6, r8, lr, r6
    smlad r7, r9, lr, r7
    ldrd r12, lr, [r1], #8
    smlad r4, r10, r12, r4
    smlad r5, r11, r12, r5
    smlad r6, r10, lr, r6
    smlad r7, r11, lr, r7
    cmp r0, r2
    bne .Lquad
    vmov r8, r9, s2, s3
    vmov r10, r11, s4, s5
    .irp n, 4, 5, 6, 7
    lsl r\n, r\n, #1
    add r12, r9, r\n, asr #31
    smmlar r\n, r\n, r8, r12
    asr r\n, r\n, r10
    ssat r\n, #8, r\n
    .endr
    bfi r4, r6, #8, #8
    bfi r5, r7, #8, #8
    strh r4, [r3]
    strh r5, [r3, r11]
    adds r3, r3, #2
    vmov r12, s6
    cmp r1, r12
    bne .Lpair
    pop {r4-r11, pc}
    .size nn_two_rows_s8, . - nn_two_rows_s8
