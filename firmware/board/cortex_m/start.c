/* Reset and faults of every Cortex-M port. No interrupt is ever enabled. */
#include "common/fault.h"
#include "common/stack.h"

#include <stddef.h>
#include <string.h>

#define CPACR_FPU (15u << 20) /* full access to coprocessors 10 and 11 */
#define FAULT_STATUS 99u
#define FRAME_WORDS 8 /* r0-r3, r12, lr, pc, xpsr */
#define FRAME_LR 5
#define FRAME_PC 6

typedef struct {
    uint32_t cpuid;
    uint32_t icsr;
    uint32_t vtor;
    uint32_t others[7];
    uint32_t cfsr; /* 0x28 */
    uint32_t hfsr;
    uint32_t dfsr;
    uint32_t mmfar;
    uint32_t bfar; /* 0x38 */
    uint32_t identification[19];
    uint32_t cpacr; /* 0x88 */
} scb_t;
_Static_assert(offsetof(scb_t, cfsr) == 0x28 && offsetof(scb_t, cpacr) == 0x88, "SCB layout");

typedef union {
    uint32_t *stack;
    void (*handler)(void);
} vector_t;

/* Given by the linker script. */
extern volatile scb_t reg_scb;
extern uint32_t __stack_limit[];
extern uint32_t __stack_top[];
extern uint32_t __data_start[];
extern uint32_t __data_end[];
extern const uint32_t __data_load[];
extern uint32_t __bss_start[];
extern uint32_t __bss_end[];

int main(void);
void board_reset(void);
_Noreturn void board_start(void);
void board_fault(void);
_Noreturn void board_fault_report(const uint32_t *frame);

static const vector_t vectors[16] __attribute__((section(".vectors"), used)) = {
    {.stack = __stack_top},   {.handler = board_reset}, {.handler = board_fault},
    {.handler = board_fault}, {.handler = board_fault}, {.handler = board_fault},
    {.handler = board_fault}, {.handler = board_fault}, {.handler = board_fault},
    {.handler = board_fault}, {.handler = board_fault}, {.handler = board_fault},
    {.handler = board_fault}, {.handler = board_fault}, {.handler = board_fault},
    {.handler = board_fault},
};

/* A boot loader may jump here with its own stack and with interrupts enabled. */
__attribute__((naked)) void board_reset(void)
{
    __asm__ volatile("cpsid i\n"
                     "ldr r0, =__stack_top\n"
                     "mov sp, r0\n"
                     "b board_start\n");
}

_Noreturn void board_start(void)
{
    reg_scb.vtor = (uint32_t)(uintptr_t)vectors;
    reg_scb.cpacr |= CPACR_FPU;
    __asm__ volatile("dsb\nisb" ::: "memory");
    memcpy(__data_start, __data_load, (uintptr_t)__data_end - (uintptr_t)__data_start);
    memset(__bss_start, 0, (uintptr_t)__bss_end - (uintptr_t)__bss_start);
    board_stack_paint();
    (void)main(); /* does not return */
    board_fault_stop(FAULT_STATUS);
}

/* Faults. After an overflow the stack pointer is of no use, so the report runs on the top of the
 * stack then; the frame, lower down, stays intact. */
__attribute__((naked)) void board_fault(void)
{
    __asm__ volatile("mov r0, sp\n"
                     "ldr r1, =__stack_limit + 1024\n"
                     "cmp r0, r1\n"
                     "bhs 1f\n"
                     "ldr r1, =__stack_top\n"
                     "mov sp, r1\n"
                     "1: b board_fault_report\n");
}

_Noreturn void board_fault_report(const uint32_t *frame)
{
    const uint32_t values[] = {
        (uint32_t)(uintptr_t)frame, reg_scb.cfsr, reg_scb.hfsr, reg_scb.mmfar, reg_scb.bfar,
    };
    board_fault_text("\r\nfault:");
    if (frame >= __stack_limit && frame + FRAME_WORDS <= __stack_top) {
        const uint32_t places[] = {frame[FRAME_PC], frame[FRAME_LR]};
        board_fault_values(" pc=0x# lr=0x#", places);
    } else {
        board_fault_text(" stack overflow");
    }
    board_fault_values(" sp=0x# cfsr=0x# hfsr=0x# mmfar=0x# bfar=0x#\r\n", values);
    board_fault_stop(FAULT_STATUS);
}
