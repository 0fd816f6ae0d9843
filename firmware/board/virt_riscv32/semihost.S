/* uint32_t semihost(uint32_t operation, const void *argument): RISC-V's semihosting is these three
 * instructions, none of them compressed, on one page. */

    .section .text.semihost, "ax"
    .option norelax
    .option norvc
    .balign 16
    .global semihost
    .type semihost, @function
semihost:
    slli zero, zero, 0x1f
    ebreak
    srai zero, zero, 7
    ret
    .size semihost, . - semihost
