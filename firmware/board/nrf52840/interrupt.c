/* Vectors in RAM: the start's own, which has none for interrupts, and the one that is taken. An
 * image without interrupts pays nothing for it. */
#include "interrupt.h"

#include "gpio.h"

#define NVIC_ISER0 0x000u
#define NVIC_ICPR0 0x180u
#define SCB_VTOR 0x008u
#define EXCEPTIONS 16u
#define HARD_FAULT 3u /* the start's last vector */
#define INTERRUPTS 32u

/* Given by the linker script. */
extern volatile uint32_t reg_nvic[];
extern volatile uint32_t reg_scb[];

void interrupt_take(uint32_t number, void (*handler)(void))
{
    /* Aligned to the next power of two of its size: Armv7-M ARM, B3.2.5 VTOR. */
    static _Alignas(256) uint32_t vectors[EXCEPTIONS + INTERRUPTS];
    const uint32_t *own = (const uint32_t *)(uintptr_t)REG(reg_scb, SCB_VTOR);
    for (uint32_t i = 0; i < EXCEPTIONS; i++) {
        vectors[i] = own[i < HARD_FAULT ? i : HARD_FAULT];
    }
    vectors[EXCEPTIONS + number] = (uint32_t)(uintptr_t)handler;
    __asm__ volatile("dsb" ::: "memory");
    REG(reg_scb, SCB_VTOR) = (uint32_t)(uintptr_t)vectors;
    REG(reg_nvic, NVIC_ICPR0) = 1u << number;
    REG(reg_nvic, NVIC_ISER0) = 1u << number;
    __asm__ volatile("dsb\nisb\ncpsie i" ::: "memory");
}
