/* Reset and exceptions of every RISC-V port, machine mode. No interrupt is ever enabled. */

    .section .vectors, "ax"
    .global board_reset
    .type board_reset, @function
board_reset:            /* QEMU starts at the first byte of CODE, others at the ELF file's entry */
    csrci mstatus, 8    /* MIE */
    la t0, exception
    csrw mtvec, t0
    la sp, __stack_top
    j board_start       /* does not return */
    .size board_reset, . - board_reset

    .balign 256         /* cores with vectored interrupts only take no address between */
    .type exception, @function
exception:              /* nothing is resumed: what is saved is for the report only */
    csrw mscratch, t0
    la t0, board_fault_saved + 28 /* its registers */
    sw ra, 12(t0)
    sw sp, 16(t0)
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    sw s\n, 20 + 4 * \n(t0)
    .endr
    .irp n, 0, 1, 2, 3, 4, 5
    sw a\n, 68 + 4 * \n(t0)
    .endr
    csrr a0, mcause
    sw a0, 0(t0)
    csrr a0, mepc
    sw a0, 4(t0)
    csrr a0, mtval
    sw a0, 8(t0)
    la a0, __stack_limit + 1024
    la a1, __stack_top
    bltu sp, a0, 1f     /* no stack pointer, or no room below it for the report */
    bgeu a1, sp, 2f
1:  mv sp, a1
2:  andi sp, sp, -16
    j board_fault_taken /* does not return */
    .size exception, . - exception
