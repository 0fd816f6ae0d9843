/* The Arduino boot loader, which stays when GPREGRET holds its number: two taps of the reset button
 * without a hand. GPREGRET is a retained register, which a soft reset leaves alone (nRF52840
 * Product Specification v1.7, 5.3 POWER). */
#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "gpio.h"

#define POWER_GPREGRET 0x51Cu
#define STAY_IN_BOOT_LOADER 0xB0u
#define SCB_AIRCR 0x00Cu
#define VECTKEY_SYSRESETREQ 0x05FA0004u

/* Given by the linker script. */
extern volatile uint32_t reg_power[];
extern volatile uint32_t reg_scb[];

bool board_has_boot_loader(void)
{
    return true;
}

/* Nothing is left to send: board_write returns when the last byte has left the UART. */
void board_enter_boot_loader(void)
{
    REG(reg_power, POWER_GPREGRET) = STAY_IN_BOOT_LOADER;
    __asm__ volatile("dsb" ::: "memory");
    REG(reg_scb, SCB_AIRCR) = VECTKEY_SYSRESETREQ;
    __asm__ volatile("dsb" ::: "memory");
    for (;;) {
    }
}
