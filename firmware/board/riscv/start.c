/* The C half of reset.S. */
#include "common/fault.h"
#include "common/stack.h"

#include <string.h>

#define FAULT_STATUS 64u /* plus mcause */
#define RETURNED_STATUS 99u

/* Given by the linker script. */
extern uint32_t __bss_start[];
extern uint32_t __bss_end[];

int main(void);
_Noreturn void board_start(void);
_Noreturn void board_fault_report(uint32_t cause, uint32_t pc, uint32_t value, uint32_t sp,
                                  uint32_t ra);

_Noreturn void board_start(void)
{
    memset(__bss_start, 0, (uintptr_t)__bss_end - (uintptr_t)__bss_start);
    board_stack_paint();
    (void)main(); /* does not return */
    board_fault_stop(RETURNED_STATUS);
}

_Noreturn void board_fault_report(uint32_t cause, uint32_t pc, uint32_t value, uint32_t sp,
                                  uint32_t ra)
{
    const uint32_t values[] = {cause, pc, value, sp, ra};
    board_fault_values("\r\nfault: mcause=0x# mepc=0x# mtval=0x# sp=0x# ra=0x#\r\n", values);
    board_fault_stop(FAULT_STATUS + (cause & 31u));
}
