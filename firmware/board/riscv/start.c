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

/* reset.S saves the registers. */
extern board_fault_t board_fault_saved;
board_fault_t board_fault_saved;

const char board_fault_words[] = "\r\nfault: mcause=0x# pc=0x# mtval=0x# ra=0x# sp=0x#";

_Noreturn void board_start(void)
{
    memset(__bss_start, 0, (uintptr_t)__bss_end - (uintptr_t)__bss_start);
    board_stack_paint();
    (void)main(); /* does not return */
    board_fault_stop(RETURNED_STATUS);
}

_Noreturn void board_fault_taken(void)
{
    const uint32_t *registers = board_fault_saved.registers;
    board_fault_saved.head = (link_fault_t){
        .machine = MACHINE_RISCV,
        .registers = REGISTERS,
        .stack = registers[REGISTER_SP],
    };
    board_fault_report(&board_fault_saved, FAULT_STATUS + (registers[0] & 31u));
}
