/* Reset and faults of every Cortex-M port. Interrupts are off until a port
 * enables one, such as the microphone's of the nRF52840. */
#include "common/fault.h"
#include "common/stack.h"
#include "link_protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define CPACR_FPU (15u << 20) /* full access to coprocessors 10 and 11 */
#define CCR_DIV_0_TRP (1u << 4)
#define FAULT_STATUS 99u
#define MACHINE_ARM 40u /* EM_ARM */
#define FRAME_WORDS 8u  /* r0-r3, r12, lr, pc, xpsr */
#define FRAME_R12 4
#define FRAME_LR 5
#define FRAME_PC 6
#define FRAME_XPSR 7
#define XPSR_ALIGNED (1u << 9)       /* one more word was left free for the alignment */
#define EXC_RETURN_BASIC (1u << 4)   /* without floating-point registers */
#define FLOAT_WORDS 18u              /* of those registers */
#define CFSR_NOT_STACKED 0x00001010u /* MSTKERR, STKERR */
#define REGISTERS 21                 /* pc, lr, sp, xpsr, cfsr, hfsr, mmfar, bfar, r0 to r12 */
#define REGISTER_SP 2
#define REGISTER_R0 8

typedef struct {
    uint32_t cpuid;
    uint32_t icsr;
    uint32_t vtor;
    uint32_t aircr;
    uint32_t scr;
    uint32_t ccr; /* 0x14 */
    uint32_t others[4];
    uint32_t cfsr; /* 0x28 */
    uint32_t hfsr;
    uint32_t dfsr;
    uint32_t mmfar;
    uint32_t bfar; /* 0x38 */
    uint32_t identification[19];
    uint32_t cpacr; /* 0x88 */
} scb_t;
_Static_assert(offsetof(scb_t, ccr) == 0x14 && offsetof(scb_t, cfsr) == 0x28 &&
                   offsetof(scb_t, cpacr) == 0x88,
               "SCB layout");

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
_Noreturn void board_fault_taken(const uint32_t *frame, uint32_t exc_return,
                                 const uint32_t *r4_to_r11);

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
    reg_scb.ccr |= CCR_DIV_0_TRP; /* a division by zero is a fault, as on Xtensa */
    __asm__ volatile("dsb\nisb" ::: "memory");
    memcpy(__data_start, __data_load, (uintptr_t)__data_end - (uintptr_t)__data_start);
    memset(__bss_start, 0, (uintptr_t)__bss_end - (uintptr_t)__bss_start);
    board_stack_paint();
    (void)main(); /* does not return */
    board_fault_stop(FAULT_STATUS);
}

/* Faults. When the stack pointer has left the stack, or has no room for the report, that runs on
 * the top of the stack; what is lower down stays intact. */
__attribute__((naked)) void board_fault(void)
{
    __asm__ volatile("mov r0, sp\n"
                     "mov r1, lr\n"
                     "ldr r2, =__stack_limit + 1024\n"
                     "cmp r0, r2\n"
                     "ldr r2, =__stack_top\n"
                     "blo 1f\n"
                     "cmp r0, r2\n"
                     "bls 2f\n"
                     "1: mov sp, r2\n"
                     "2: push {r4-r11}\n"
                     "mov r2, sp\n"
                     "b board_fault_taken\n");
}

/* Armv7-M Architecture Reference Manual (DDI 0403E), B1.5.6: what an exception leaves at `frame`.
 */
_Noreturn void board_fault_taken(const uint32_t *frame, uint32_t exc_return,
                                 const uint32_t *r4_to_r11)
{
    const uint32_t cfsr = reg_scb.cfsr;
    const bool stacked = frame >= __stack_limit && frame + FRAME_WORDS <= __stack_top &&
                         (cfsr & CFSR_NOT_STACKED) == 0;
    const uint32_t *sp = frame;
    uint32_t registers[REGISTERS] = {
        [4] = cfsr, [5] = reg_scb.hfsr, [6] = reg_scb.mmfar, [7] = reg_scb.bfar};
    memcpy(&registers[REGISTER_R0 + 4], r4_to_r11, 8u * sizeof(*registers));
    if (stacked) {
        registers[0] = frame[FRAME_PC];
        registers[1] = frame[FRAME_LR];
        registers[3] = frame[FRAME_XPSR];
        memcpy(&registers[REGISTER_R0], frame, 4u * sizeof(*registers));
        registers[REGISTER_R0 + 12] = frame[FRAME_R12];
        sp += FRAME_WORDS + ((exc_return & EXC_RETURN_BASIC) == 0 ? FLOAT_WORDS : 0u) +
              ((frame[FRAME_XPSR] & XPSR_ALIGNED) != 0 ? 1u : 0u);
    }
    registers[REGISTER_SP] = (uint32_t)(uintptr_t)sp;
    const board_fault_t fault = {
        .text = "\r\nfault: pc=0x# lr=0x# sp=0x# xpsr=0x# cfsr=0x# hfsr=0x# mmfar=0x# bfar=0x#",
        .registers = registers,
        .sp = stacked || frame >= __stack_limit ? sp : __stack_limit,
        .status = FAULT_STATUS,
        .machine = MACHINE_ARM,
        .count = REGISTERS,
        .flags = stacked ? 0 : LINK_FAULT_LOST,
    };
    board_fault_report(&fault);
}
