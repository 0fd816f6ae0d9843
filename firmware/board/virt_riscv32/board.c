/* QEMU's riscv32 `virt` machine; the link runs over semihosting. With -icount shift=0 mcycle counts
 * one an instruction, the same in every run. A locked PMP entry below the stack makes an overflow
 * a fault. */
#include "board.h"
#include "semihosting/semihosting.h"

#define GUARD_BYTES 4096u /* NAPOT: a power of two, and the stack begins at a multiple of it */
#define PMP_LOCKED_NAPOT 0x98u

extern uint32_t __stack_limit[]; /* linker script */

const board_info_t board_info = {
    .counter_num = 1,
    .counter_den = 1,
    .receive_bytes = BOARD_PIPE_BYTES,
};

static void guard_stack(void)
{
    const uint32_t guard = (uint32_t)(uintptr_t)__stack_limit - GUARD_BYTES;
    const uint32_t address = (guard >> 2) | ((GUARD_BYTES >> 3) - 1u);
    __asm__ volatile("csrw pmpaddr0, %0\n"
                     "csrw pmpcfg0, %1\n" ::"r"(address),
                     "r"(PMP_LOCKED_NAPOT)
                     : "memory");
}

void board_init(void)
{
    guard_stack();
    semihost_link();
}

uint32_t board_counter(void)
{
    uint32_t value;
    __asm__ volatile("csrr %0, mcycle" : "=r"(value));
    return value;
}
