/* Instructions of the LX6 that the assembler does not know; for .S files. */

    .equ MID_BITS, 12 /* NN_MID_BITS */
    .equ LOW_BITS, 11 /* NN_LOW_BITS */

    .irp n, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .equ number_a\n, \n
    .endr

    /* RRR instructions are the bytes t:op0, r:s, op2:op1. */
    .macro sext20 to, from /* bits 20 to 0, signed */
    .byte 0xD0, (number_\to << 4) | number_\from, 0x23
    .endm
    .macro clamps7 to, from /* kept within -128 .. 127 */
    .byte 0x00, (number_\to << 4) | number_\from, 0x33
    .endm
    .macro smaller to, a, b
    .byte number_\b << 4, (number_\to << 4) | number_\a, 0x43
    .endm
    .macro larger to, a, b
    .byte number_\b << 4, (number_\to << 4) | number_\a, 0x53
    .endm

    /* Run from `first` to `end` a number of times; `first` is the next instruction. LOOP must stand
     * 1 or 2 bytes behind a multiple of 4 (tests/test_xtensa.py looks at labels that end in _loop),
     * so what precedes it has sizes that the assembler does not choose. */
    .macro loop count, first, end
    .byte 0x76, 0x80 | number_\count, \end - \first - 1
    .endm
