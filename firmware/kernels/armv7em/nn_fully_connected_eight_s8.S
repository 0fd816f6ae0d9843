/* void nn_fully_connected_eight_s8(const nn_dense_eight_t *p, const int8_t *input, int8_t *output)
 *
 * out[b,o] = clamp(zp + requant(bias[o] + sum over i of (in[b,i] - zp_in) * w[o,i]))
 *
 * One input vector times groups of eight output channels A to H, then the next one; nn_packed.h
 * describes the operands, twin/nn_fully_connected_eight_s8.c says the same in C. As in nn_dense_s8, a
 * halfword of the stream is 256 * a + b. Eight channels share each widened input, so none is kept in
 * scratch. Inputs are read eight at a time: of a single vector the last ones may have no weight. A
 * unit is eight inputs, 64 MACs:
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
 *   s16 multiplier, s17 constant, s19 output
 *   s18 shift in the lowest byte, which is what ASR takes, and above it the vectors that are left
 *   s20 end of the vector's inputs, s21 end of its outputs
 *   s22 its inputs, s23 where a group's units are entered
 *
 * MACs: batches*output_depth*input_depth.
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

    .section .text.nn_fully_connected_eight_s8, "ax", %progbits
    .balign 4
    .global nn_fully_connected_eight_s8
    .thumb_func
    .type nn_fully_connected_eight_s8, %function
nn_fully_connected_eight_s8:
    push {r0, r4-r11, lr}
    vpush {s16-s23}
    mov r3, r2
    ldr r4, [r0, #NN_EIGHT_AT_STREAM]
    ldr r2, [r4]
.Lvector:
    ldr r4, [r0, #NN_EIGHT_AT_STREAM]
    ldrh r7, [r0, #NN_EIGHT_AT_OUTPUT_DEPTH]
    ldrh r6, [r0, #NN_EIGHT_AT_STEPS]
    adds r7, r7, r3
    add r5, r1, r6, lsl #1
    vmov s20, s21, r5, r7
    ldr r5, [r4, #4]
    ldr r7, [r4, #8]
    adds r4, r4, #12
    vmov s16, s17, r5, r7
    vmov s18, s19, r2, r3
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
    vmov r1, s20          /* the next vector */
    ldr r0, [sp, #32]
    sub r2, r2, #1 << 8
    lsrs r4, r2, #8
    bne.w .Lvector

    vpop {s16-s23}
    add sp, sp, #4
    pop {r4-r11, pc}
    .size nn_fully_connected_eight_s8, . - nn_fully_connected_eight_s8
