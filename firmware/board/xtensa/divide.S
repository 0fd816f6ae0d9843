/* 32-bit division for cores with the divide option, which the compiler does not know about.
 * The assembler does not either: an RRR instruction is the bytes t:0, r:s, op2:op1 with op1 = 2
 * and op2 = 12 (QUOU), 13 (QUOS), 14 (REMU); each here reads a2 (s) and a3 (t) and writes a2 (r).
 * Division by zero raises exception cause 6. */

    .macro divide name, opcode
    .section .text.\name, "ax"
    .align 4
    .global \name
    .type \name, @function
\name:
    .byte 0x30, 0x22, \opcode
    ret
    .size \name, . - \name
    .endm

    divide __udivsi3, 0xC2
    divide __divsi3, 0xD2
    divide __umodsi3, 0xE2
