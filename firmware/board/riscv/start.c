/* The C half of reset.S. */
#include "common/fault.h"
#include "common/stack.h"

#include <string.h>

#define FAULT_STATUS 64u   /* plus mcause */
#define MACHINE_RISCV 243u /* EM_RISCV */
#define REGISTERS 23       /* mcause, mepc, mtval, ra, sp, s0 to s11, a0 to a5 */
#define REGISTER_SP 4
#define RETURNED_STATUS 99u

/* Given by the linker script. */
extern uint32_t __bss_start[];
extern uint32_t __bss_end[];

int main(void);
_Noreturn void board_start(void);
_Noreturn void board_fault_taken(void);

/* What reset.S saves. */
extern uint32_t board_fault_registers[REGISTERS];
uint32_t board_fault_registers[REGISTERS];

_Noreturn void board_start(void)
{
    memset(__bss_start, 0, (uintptr_t)__bss_end - (uintptr_t)__bss_start);
    board_stack_paint();
    (void)main(); /* does not return */
    board_fault_stop(RETURNED_STATUS);
}

_Noreturn void board_fault_taken(void)
{
    const board_fault_t fault = {
        .text = "\r\nfault: mcause=0x# pc=0x# mtval=0x# ra=0x# sp=0x#",
        .registers = board_fault_registers,
        .sp = (const uint32_t *)(uintptr_t)board_fault_registers[REGISTER_SP],
        .status = FAULT_STATUS + (board_fault_registers[0] & 31u),
        .machine = MACHINE_RISCV,
        .count = REGISTERS,
    };
    board_fault_report(&fault);
}
