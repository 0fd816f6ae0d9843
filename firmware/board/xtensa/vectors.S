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
exception:              /* nothing is resumed, so nothing is saved */
    rsr a2, exccause
    rsr a3, epc1
    rsr a4, excvaddr
    mov a5, a1
    movi a6, 15
    wsr a6, ps
    rsync
    movi a1, __stack_top
    movi a6, board_fault_report
    callx0 a6           /* does not return */
    .size exception, . - exception
