/* const int32_t *nn_dense_sums_s8(const int32_t *stream, const int8_t *x, int32_t steps,
 *                                 int32_t *sums)
 *
 * Add the products of 2 * steps inputs to the sums of four channels; returns where the stream goes
 * on. twin/nn_dense_sums_s8.c says the same in C.
 *
 * The trick is that of nn_dense_s8, a halfword is 256 * a + b; here only this chunk's sums have to
 * fit 24 bits, so a layer may have any number of inputs. Eight of them are widened on the way:
 * 2 LDR, 4 SXTB16, then 4 LDM, 8 SXTB16 and 16 SMLAD, 3 for the loop; 1.16 per MAC.
 *
 * Stack: 44 bytes. Rounding: none.
 */
    .syntax unified
    .cpu cortex-m4
    .thumb

    .macro two_steps x0, x1
    ldmia.w r12!, {r8-r11}
    smlad r4, r8, \x0, r4
    smlad r5, r9, \x0, r5
    smlad r4, r10, \x1, r4
    smlad r5, r11, \x1, r5
    sxtb16 r8, r8
    sxtb16 r9, r9
    sxtb16 r10, r10
    sxtb16 r11, r11
    smlad r6, r8, \x0, r6
    smlad r7, r9, \x0, r7
    smlad r6, r10, \x1, r6
    smlad r7, r11, \x1, r7
    .endm

    .section .text.nn_dense_sums_s8, "ax", %progbits
    .balign 4
    .global nn_dense_sums_s8
    .thumb_func
    .type nn_dense_sums_s8, %function
nn_dense_sums_s8:
    add r2, r1, r2, lsl #1
    push {r2-r11, lr}     /* the end of the inputs, the sums */
    mov r12, r0
    mov lr, r1
    movs r4, #0           /* 256 * A + B, 256 * C + D, B, D */
    movs r5, #0
    movs r6, #0
    movs r7, #0
.Leight:
    ldr r0, [lr], #4
    ldr r2, [lr], #4
    sxtb16 r1, r0, ror #8
    sxtb16 r0, r0
    sxtb16 r3, r2, ror #8
    sxtb16 r2, r2
    two_steps r0, r1
    two_steps r2, r3
    ldr r8, [sp]
    cmp lr, r8
    bne .Leight

    ldr lr, [sp, #4]
    ldm lr, {r0-r3}
    subs r4, r4, r6
    subs r5, r5, r7
    add r0, r0, r4, asr #8
    add r1, r1, r6
    add r2, r2, r5, asr #8
    add r3, r3, r7
    stm lr, {r0-r3}
    mov r0, r12
    pop {r2-r11, pc}
    .size nn_dense_sums_s8, . - nn_dense_sums_s8
