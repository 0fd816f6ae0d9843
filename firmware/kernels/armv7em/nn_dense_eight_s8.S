/* void nn_dense_eight_s8(const nn_dense_t *p, const int8_t *x, int8_t *output, int32_t groups)
 *
 * One input vector times groups of eight output channels A to H; nn_packed.h describes the operands,
 * twin/nn_dense_eight_s8.c says the same in C. As in nn_dense_s8, a halfword of the stream is
 * 256 * a + b. Eight channels share each widened input, so none is kept in scratch. A unit is eight
 * inputs, 64 MACs:
 *
 *   18 LDR, 4 SXTB16 of inputs, 16 of weights, 32 SMLAD = 70 instructions, 1.09 a MAC. A load directly
 *   behind another one takes a cycle: with 7 runs of them, and two waits for each word of weights
 *   from flash, 109 cycles of an nRF52840, 1.70 a MAC (nn_dense_s8: 1.72 wide, 2.09 else). Each three
 *   units 3 instructions more, a group 62.
 *
 * Addresses of loads come from no result of the one before: the last word of a unit and its second
 * four inputs lie first, and move the pointers on.
 *
 * r6-r9 gather 256 * A + B, 256 * C + D, ..., r10-r12 and lr B, D, F, H. r4 points to the stream, r5 to
 * the inputs: loads by low registers take half the code. What is left lives in s16-s23:
 *
 *   s16 multiplier, s17 constant, s18 shift of all channels, s19 output
 *   s20 end of the inputs, s21 end of the outputs
 *   s22 inputs, s23 where a group's units are entered
 *
 * Stack: 72 bytes. Rounding: double, in the short form NN_SIGN.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define UNITS 3
#define UNIT_BYTES 248

    .macro load word, to
    ldr.n \to, [r4, #4 + 4 * \word]
    .endm

    .macro two_channels both, second, word, x
    smlad \both, \word, \x, \both
    sxtb16 \word, \word
    smlad \second, \word, \x, \second
    .endm

    .macro unit
    ldr.n r0, [r5, #4]
    load 0, r2
    load 1, r3
    sxtb16 r1, r0, ror #8
    sxtb16 r0, r0
    two_channels r6, r10, r2, r0
    two_channels r7, r11, r3, r0
    load 2, r2
    load 3, r3
    two_channels r8, r12, r2, r0
    two_channels r9, lr, r3, r0
    load 4, r2
    load 5, r3
    load 6, r0
    two_channels r6, r10, r2, r1
    two_channels r7, r11, r3, r1
    two_channels r8, r12, r0, r1
    load 7, r2
    load 8, r3
    ldr r0, [r5], #8
    two_channels r9, lr, r2, r1
    sxtb16 r1, r0, ror #8
    sxtb16 r0, r0
    two_channels r6, r10, r3, r0
    load 9, r2
    load 10, r3
    two_channels r7, r11, r2, r0
    two_channels r8, r12, r3, r0
    load 11, r2
    load 12, r3
    two_channels r9, lr, r2, r0
    two_channels r6, r10, r3, r1
    load 13, r2
    load 14, r3
    ldr r0, [r4], #64
    two_channels r7, r11, r2, r1
    two_channels r8, r12, r3, r1
    two_channels r9, lr, r0, r1
    .endm

    .macro output sum, to
    add r5, r1, \sum, asr #31
    smmlar \sum, \sum, r0, r5
    asr.w \sum, \sum, r2
    ssat \sum, #8, \sum
    strb.w \sum, [r3, #\to]
    .endm

    .macro two_outputs both, second, to
    subs \both, \both, \second
    asrs \both, \both, #7 /* 2 * A */
    lsl.w \second, \second, #1
    output \both, \to
    output \second, \to + 1
    .endm

    .section .text.nn_dense_eight_s8, "ax", %progbits
    .balign 4
    .global nn_dense_eight_s8
    .thumb_func
    .type nn_dense_eight_s8, %function
nn_dense_eight_s8:
    push {r4-r11, lr}
    sub sp, sp, #4
    vpush {s16-s23}
    ldr r4, [r0, #NN_DENSE_AT_STREAM]
    ldr r5, [r0, #NN_DENSE_AT_REQUANT]
    ldr r6, [r0, #NN_DENSE_AT_STEPS]
    ldm r5, {r7-r9}       /* shifts, multiplier, constant */
    vmov s16, s17, r8, r9
    uxtb r7, r7
    vmov s18, s19, r7, r2
    add r7, r1, r6, lsl #1
    add r8, r2, r3, lsl #3
    vmov s20, s21, r7, r8
    lsrs r6, r6, #2       /* units, of which the first pass takes what others leave */
    movs r7, #UNITS
    adds r5, r6, #UNITS - 1
    udiv r5, r5, r7
    mls r6, r5, r7, r6    /* less than 0 by the units to skip */
    rsbs r6, r6, #0
    mov r7, #UNIT_BYTES
    adr r5, .Lunits
    mla r6, r6, r7, r5
    orr r6, r6, #1
    vmov s22, s23, r1, r6

.Lgroup:
    vmov r5, r0, s22, s23
    ldmia.w r4!, {r6-r12, lr} /* first values */
    bx r0

    .balign 4
.Lunits:
    .rept UNITS
    unit
    .endr
    .if (. - .Lunits) - UNITS * UNIT_BYTES
    .error "a unit has another size"
    .endif
    vmov r0, s20
    cmp r5, r0
    bne.w .Lunits

    vmov r0, r1, s16, s17
    vmov r2, r3, s18, s19
    two_outputs r6, r10, 0
    two_outputs r7, r11, 2
    two_outputs r8, r12, 4
    two_outputs r9, lr, 6
    adds r3, r3, #8
    vmov s19, r3
    vmov r0, s21
    cmp r3, r0
    bne.w .Lgroup

    vpop {s16-s23}
    add sp, sp, #4
    pop {r4-r11, pc}
    .size nn_dense_eight_s8, . - nn_dense_eight_s8
