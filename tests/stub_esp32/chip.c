/* The registers behind firmware/board/esp32/clock.c, as memory that a model looks at whenever a
 * function of clock.c begins or ends (-finstrument-functions) and whenever it reads the counter. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "common/fault.h"
#include "flash.h"
#include "xtensa/xtensa.h"

#define NO_HOOK __attribute__((no_instrument_function))
#define CALL_NS 250u
#define BUS_NS 3000u
#define HOST (reg_analog[4])
#define CALI (reg_timg0[0x68 / 4])
#define CLK_CONF (reg_rtc_cntl[0x70 / 4])

volatile uint32_t reg_dport[64];
volatile uint32_t reg_syscon[64];
volatile uint32_t reg_rtc_cntl[64];
volatile uint32_t reg_timg0[64];
volatile uint32_t reg_analog[64];
volatile uint32_t reg_flash_mmu[64];
volatile uint32_t reg_spi0[64];

typedef struct {
    uint32_t crystal_mhz;
    uint32_t oscillator_khz; /* the inner one: it is not exact */
    uint32_t has_bus;        /* 0: the word is memory only, as in emulators; 2: it stays busy */
    uint32_t has_counter;    /* 0: the calibration never ends */
} chip_t;

typedef struct {
    uint8_t pll[16]; /* registers of the PLL's block */
    uint32_t at_switch_regulator;
    uint32_t at_switch_divider;
    uint32_t at_switch_options;
    uint32_t at_switch_lock_ns;
    uint32_t cpu_mhz;
    uint32_t elapsed_us;
} seen_t;

void chip_run(const chip_t *given, uint32_t clk_conf, board_clock_t *clock, seen_t *result);
void flash_run(uint32_t left, uint32_t *result);
void __cyg_profile_func_enter(void *function, void *caller) NO_HOOK;
void __cyg_profile_func_exit(void *function, void *caller) NO_HOOK;

static chip_t chip;
static seen_t seen;
static uint64_t now_ns, ticks, bus_ends_ns, counted_ns, written_ns;
static bool counting;

static uint32_t NO_HOOK selected(void)
{
    return (CLK_CONF >> 27) & 3u;
}

static void NO_HOOK bus(void)
{
    const uint32_t word = HOST;
    if (chip.has_bus == 2u) {
        HOST |= 1u << 25;
    } else if (chip.has_bus == 1u && bus_ends_ns == 0 && (word & 0xFFu) == 0x66u) {
        const uint32_t number = (word >> 8) & 15u;
        const bool on = (reg_analog[0x44 / 4] & (1u << 17)) == 0 &&
                        (reg_rtc_cntl[0] & ((1u << 18) | (1u << 8) | (1u << 6))) == 0;
        if (on && (word & (1u << 24)) != 0) {
            seen.pll[number] = (uint8_t)(word >> 16);
            written_ns = now_ns;
        }
        HOST = (1u << 25) | ((uint32_t)(on ? seen.pll[number] : 0) << 16);
        bus_ends_ns = now_ns + BUS_NS;
    } else if (bus_ends_ns != 0 && now_ns >= bus_ends_ns) {
        HOST &= 0x00FF0000u;
        bus_ends_ns = 0;
    }
}

static void NO_HOOK counter(void)
{
    const bool fast_on = (CLK_CONF & 0xC0u) == 0 && (CLK_CONF & (1u << 9)) != 0;
    const uint32_t cycles = (CALI >> 16) & 0x7FFFu;
    const uint64_t period_ns = 256u * 1000000u / chip.oscillator_khz;
    if ((CALI & (1u << 31)) == 0) {
        counting = false;
        CALI &= ~(1u << 15);
    } else if (!counting) {
        counting = true;
        counted_ns = now_ns + cycles * period_ns;
    } else if (chip.has_counter != 0 && fast_on && now_ns >= counted_ns) {
        reg_timg0[0x6C / 4] = (uint32_t)(cycles * period_ns * chip.crystal_mhz / 1000u) << 7;
        CALI |= 1u << 15;
    }
}

static void NO_HOOK look(void)
{
    bus();
    counter();
    const uint32_t mhz = selected() == 1u ? 240u : chip.crystal_mhz;
    if (mhz != seen.cpu_mhz && selected() == 1u) {
        seen.at_switch_regulator = (reg_rtc_cntl[0x7C / 4] >> 11) & 7u;
        seen.at_switch_divider = reg_dport[0x3C / 4];
        seen.at_switch_options = reg_rtc_cntl[0];
        seen.at_switch_lock_ns = (uint32_t)(now_ns - written_ns);
    }
    seen.cpu_mhz = mhz;
}

void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)function;
    (void)caller;
    look();
}

void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)function;
    (void)caller;
    look();
}

uint32_t NO_HOOK board_ccount(void)
{
    now_ns += CALL_NS;
    look();
    ticks += CALL_NS * seen.cpu_mhz;
    return (uint32_t)(ticks / 1000u);
}

void NO_HOOK chip_run(const chip_t *given, uint32_t clk_conf, board_clock_t *clock, seen_t *result)
{
    memset(&seen, 0, sizeof(seen));
    memset((void *)(uintptr_t)reg_analog, 0, sizeof(reg_analog));
    memset((void *)(uintptr_t)reg_dport, 0, sizeof(reg_dport));
    memset((void *)(uintptr_t)reg_timg0, 0, sizeof(reg_timg0));
    chip = *given;
    now_ns = bus_ends_ns = counted_ns = written_ns = 0;
    ticks = (uint64_t)0xFFFFFF00u * 1000u; /* so that the counter wraps meanwhile */
    counting = false;
    reg_rtc_cntl[0] = 1u << 18;
    CLK_CONF = clk_conf;
    reg_rtc_cntl[0x7C / 4] = 4u << 11;
    reg_syscon[0] = 1u;
    seen.cpu_mhz = selected() == 1u ? 240u : chip.crystal_mhz;
    board_clock_start(clock);
    look();
    seen.elapsed_us = (uint32_t)(now_ns / 1000u);
    *result = seen;
}

void board_fault_text(const char *text)
{
    (void)text;
    abort();
}

_Noreturn void board_fault_stop(uint32_t status)
{
    (void)status;
    abort();
}

/* SPI0 after the map, when the ROM has left `left` in each of its registers. */
void NO_HOOK flash_run(uint32_t left, uint32_t *result)
{
    for (uint32_t i = 0; i < 64; i++) {
        reg_spi0[i] = left;
    }
    reg_dport[0x40 / 4] = 1u << 5; /* a flush is done at once */
    board_flash_map();
    memcpy(result, (const void *)(uintptr_t)reg_spi0, sizeof(reg_spi0));
}
