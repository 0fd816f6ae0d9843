/* The ROM loads the image's RAM segments and starts them; nobody has mapped the flash. This sets
 * what the cache needs: how the flash is read, which page shows where, and that the window is on.
 * Everything here lies in RAM, the text of the failure included. */
#include "flash.h"
#include "common/fault.h"

#include <stdint.h>

#define REG(block, offset) ((block)[(offset) / 4u])

/* SPI0 belongs to the cache. Read command 03h, 24 address bits, one data line, no wait cycles:
 * every flash chip knows it, at the 20 MHz that the ROM sets from the 40 MHz crystal. */
#define SPI_CTRL 0x08u
#define CTRL_FAST_MODES 0x01906000u /* QIO, DIO, QUAD, DUAL, FASTRD */
#define SPI_USER 0x1Cu
#define USER_COMMAND_ADDRESS_MISO 0xD0000000u
#define USER_DUMMY_MOSI 0x28000000u
#define SPI_USER1 0x20u
#define USER1_ADDRESS_24 (23u << 26)
#define SPI_USER2 0x24u
#define USER2_READ ((7u << 28) | 0x03u)
#define SPI_CACHE_FCTRL 0x50u
#define FCTRL_REQUEST_BY_USER_COMMAND 0x5u

#define CACHE_CTRL 0x40u
#define CTRL_ENABLE (1u << 3)
#define CTRL_FLUSH (1u << 4)
#define CTRL_FLUSH_DONE (1u << 5)
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
    REG(reg_spi0, SPI_CTRL) &= ~CTRL_FAST_MODES;
    REG(reg_spi0, SPI_USER) =
        (REG(reg_spi0, SPI_USER) & ~USER_DUMMY_MOSI) | USER_COMMAND_ADDRESS_MISO;
    REG(reg_spi0, SPI_USER1) = USER1_ADDRESS_24;
    REG(reg_spi0, SPI_USER2) = USER2_READ;
    REG(reg_spi0, SPI_CACHE_FCTRL) |= FCTRL_REQUEST_BY_USER_COMMAND;
}

static void flush_cache(void)
{
    REG(reg_dport, CACHE_CTRL) &= ~CTRL_FLUSH;
    REG(reg_dport, CACHE_CTRL) |= CTRL_FLUSH;
    while ((REG(reg_dport, CACHE_CTRL) & CTRL_FLUSH_DONE) == 0) {
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
