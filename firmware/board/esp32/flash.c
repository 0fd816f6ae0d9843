/* The ROM loads the image's RAM segments and starts them; nobody has mapped the flash. This sets
 * what the cache needs: how the flash is read, which page shows where, and that the window is on.
 * Everything here lies in RAM, the text of the failure included. */
#include "flash.h"
#include "common/fault.h"

#include <stdint.h>

#define REG(block, offset) ((block)[(offset) / 4u])

/* SPI0 belongs to the cache. Read command 03h, 24 address bits, one data line, no wait cycles:
 * every flash chip knows it, at 20 MHz (6.5 or 10 on the crystal). Clock, the time of CS before and
 * after, and dummy cycles as ESP-IDF sets them, not as the ROM may have left them:
 * components/bootloader_support/bootloader_flash/src/bootloader_flash_config_esp32.c
 * (bootloader_flash_cs_timing_config, _clock_config, _dummy_config: none at 20 MHz); the fields in
 * soc/spi_reg.h. */
#define SPI_CTRL 0x08u
#define CTRL_FAST_MODES 0x01906000u /* QIO, DIO, QUAD, DUAL, FASTRD */
#define SPI_CTRL2 0x14u
#define CTRL2_HOLD_SETUP_TIME 0xFFu
#define CTRL2_HOLD_1_SETUP_0 (1u << 4)
#define SPI_CLOCK 0x18u
#define CLOCK_APB_BY_4 ((3u << 12) | (1u << 6) | 3u) /* N, H, L; no pre-divider */
#define SPI_USER 0x1Cu
#define USER_CS_HOLD_SETUP 0x30u
#define USER_COMMAND_ADDRESS_MISO 0xD0000000u
#define USER_DUMMY_MOSI 0x28000000u
#define SPI_USER1 0x20u
#define USER1_ADDRESS_24_DUMMY_0 (23u << 26)
#define SPI_USER2 0x24u
#define USER2_READ ((7u << 28) | 0x03u)
#define SPI_CACHE_FCTRL 0x50u
#define FCTRL_REQUEST_BY_USER_COMMAND 0x5u

#define CACHE_CTRL 0x40u
#define CTRL_ENABLE (1u << 3)
#define CTRL_FLUSH (1u << 4)
#define CTRL_FLUSH_DONE (1u << 5)
#define FLUSH_POLLS 100000u /* some ms; a cache that is never done shows as unreadable flash */
#define CACHE_CTRL1 0x44u
#define CTRL1_DATA_WINDOW_OFF (1u << 4)

#define PAGES 64u /* of 64 KiB: the whole window, the first 4 MiB of the flash */
#define MARK 0x464C5348u
#define UNREADABLE_STATUS 98u

/* Given by the linker script. */
extern volatile uint32_t reg_dport[];
extern volatile uint32_t reg_flash_mmu[];
extern volatile uint32_t reg_spi0[];

extern const uint32_t board_flash_mark;
const uint32_t board_flash_mark = MARK; /* a constant, so it lies in the flash */

static void use_plain_reads(void)
{
    REG(reg_spi0, SPI_CLOCK) = CLOCK_APB_BY_4;
    REG(reg_spi0, SPI_CTRL) &= ~CTRL_FAST_MODES;
    REG(reg_spi0, SPI_CTRL2) =
        (REG(reg_spi0, SPI_CTRL2) & ~CTRL2_HOLD_SETUP_TIME) | CTRL2_HOLD_1_SETUP_0;
    REG(reg_spi0, SPI_USER) = (REG(reg_spi0, SPI_USER) & ~USER_DUMMY_MOSI) |
                              USER_COMMAND_ADDRESS_MISO | USER_CS_HOLD_SETUP;
    REG(reg_spi0, SPI_USER1) = USER1_ADDRESS_24_DUMMY_0;
    REG(reg_spi0, SPI_USER2) = USER2_READ;
    REG(reg_spi0, SPI_CACHE_FCTRL) |= FCTRL_REQUEST_BY_USER_COMMAND;
}

static void flush_cache(void)
{
    REG(reg_dport, CACHE_CTRL) &= ~CTRL_FLUSH;
    REG(reg_dport, CACHE_CTRL) |= CTRL_FLUSH;
    for (uint32_t i = 0; i < FLUSH_POLLS && (REG(reg_dport, CACHE_CTRL) & CTRL_FLUSH_DONE) == 0;
         i++) {
    }
    REG(reg_dport, CACHE_CTRL) &= ~CTRL_FLUSH;
}

void board_flash_map(void)
{
    static char unreadable[] = "\r\nfault: the flash does not read as the image was written\r\n";

    REG(reg_dport, CACHE_CTRL) &= ~CTRL_ENABLE;
    use_plain_reads();
    for (uint32_t page = 0; page < PAGES; page++) {
        reg_flash_mmu[page] = page;
    }
    flush_cache();
    REG(reg_dport, CACHE_CTRL1) &= ~CTRL1_DATA_WINDOW_OFF;
    REG(reg_dport, CACHE_CTRL) |= CTRL_ENABLE;

    if (*(const volatile uint32_t *)&board_flash_mark != MARK) {
        board_fault_text(unreadable);
        board_fault_stop(UNREADABLE_STATUS);
    }
}
