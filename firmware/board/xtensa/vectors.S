/* Reset and exceptions of every Xtensa port, call0 ABI. No interrupt is ever enabled.
 * Vector offsets: the kernel, user and double exception of the cores that these ports run on. What
 * lies below the first, at VECBASE, is for windowed registers and interrupts: it stays empty and is
 * no part of the image. */

    .section .vectors, "ax"
    j exception /* VECBASE + 0x300: kernel exception (PS.UM = 0) */
    .org 0x40   /* VECBASE + 0x340: user exception */
    j exception
    .org 0xC0   /* VECBASE + 0x3C0: double exception */
    j exception

    .text
    .align 4
    .literal_position
    .global board_reset
    .type board_reset, @function
board_reset:
    movi a0, 15         /* INTLEVEL 15; no windowed registers, not inside an exception */
    wsr a0, ps
    rsync
    movi a0, 0
    wsr a0, intenable
    movi a2, __vectors
    wsr a2, vecbase
    isync
    movi a1, __stack_top
    movi a2, board_start
    callx0 a2           /* does not return */
    .size board_reset, . - board_reset

    .align 4
    .literal_position
    .type exception, @function
exception:              /* nothing is resumed: all is saved for the report only */
    wsr a0, excsave1
    movi a0, board_fault_saved + 28 /* its registers */
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    s32i a\n, a0, 12 + 4 * \n
    .endr
    rsr a2, excsave1
    s32i a2, a0, 12
    rsr a2, exccause
    s32i a2, a0, 0
    rsr a2, epc1
    s32i a2, a0, 4
    rsr a2, excvaddr
    s32i a2, a0, 8
    movi a2, 15
    wsr a2, ps
    rsync
    movi a2, __stack_limit + 1024
    movi a3, __stack_top
    bltu a1, a2, 1f     /* no stack pointer, or no room below it for the report */
    bgeu a3, a1, 2f
1:  mov a1, a3
2:  movi a2, -16
    and a1, a1, a2
    movi a2, board_fault_taken
    callx0 a2           /* does not return */
    .size exception, . - exception
