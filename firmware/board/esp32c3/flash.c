/* The ROM loads the image's RAM segments and starts them; nobody has mapped the flash. This sets
 * what the cache needs: how the flash is read, which page shows where, and that the window is on.
 * Everything here lies in RAM, the text of the failure included. */
#include "flash.h"
#include "common/fault.h"

#include <stdint.h>

#define REG(block, offset) ((block)[(offset) / 4u])

/* SPI0 belongs to the cache. Read command 03h, 24 address bits, one data line, no wait cycles:
 * every flash chip knows it, at the clock that the ROM has set. */
#define SPI_CTRL 0x08u
#define CTRL_FAST_MODES 0x01906000u /* QIO, DIO, QUAD, DUAL, FASTRD */
#define SPI_USER 0x18u
#define USER_DUMMY (1u << 29)
#define SPI_USER1 0x1Cu
#define USER1_ADDRESS_24 (23u << 26)
#define SPI_USER2 0x20u
#define USER2_READ ((7u << 28) | 0x03u)
#define SPI_CACHE_FCTRL 0x3Cu
#define FCTRL_REQUEST_BY_USER_COMMAND 0x5u
#define FCTRL_SEVERAL_LINES 0x1F8u

#define ICACHE_CTRL 0x00u
#define CTRL_ENABLE 1u
#define ICACHE_CTRL1 0x04u
#define CTRL1_BUSES_OFF 3u /* of instructions, of data */
#define ICACHE_SYNC_CTRL 0x28u
#define SYNC_INVALIDATE 1u
#define SYNC_DONE 2u
#define ICACHE_SYNC_ADDR 0x2Cu
#define ICACHE_SYNC_SIZE 0x30u

#define PAGES 64u /* of 64 KiB: the first 4 MiB of the flash */
#define PAGE_BYTES 0x10000u
#define SYNC_TRIES 10000u
#define MARK 0x464C5348u
#define UNREADABLE_STATUS 98u

/* Given by the linker script. */
extern volatile uint32_t reg_extmem[];
extern volatile uint32_t reg_flash_mmu[];
extern volatile uint32_t reg_spi0[];

extern const uint32_t board_flash_mark;
const uint32_t board_flash_mark = MARK; /* a constant, so it lies in the flash */

static void use_plain_reads(void)
{
    REG(reg_spi0, SPI_CTRL) &= ~CTRL_FAST_MODES;
    REG(reg_spi0, SPI_USER) &= ~USER_DUMMY;
    REG(reg_spi0, SPI_USER1) = USER1_ADDRESS_24;
    REG(reg_spi0, SPI_USER2) = USER2_READ;
    REG(reg_spi0, SPI_CACHE_FCTRL) =
        (REG(reg_spi0, SPI_CACHE_FCTRL) & ~FCTRL_SEVERAL_LINES) | FCTRL_REQUEST_BY_USER_COMMAND;
}

/* Bounded: where it never ends, the mark below tells. */
static void invalidate_cache(uint32_t address)
{
    REG(reg_extmem, ICACHE_SYNC_ADDR) = address;
    REG(reg_extmem, ICACHE_SYNC_SIZE) = PAGES * PAGE_BYTES;
    REG(reg_extmem, ICACHE_SYNC_CTRL) |= SYNC_INVALIDATE;
    for (uint32_t i = 0; i < SYNC_TRIES; i++) {
        if ((REG(reg_extmem, ICACHE_SYNC_CTRL) & SYNC_DONE) != 0) {
            return;
        }
    }
}

void board_flash_map(void)
{
    static char unreadable[] = "\r\nfault: the flash does not read as the image was written\r\n";
    const volatile uint32_t *mark = &board_flash_mark;

    REG(reg_extmem, ICACHE_CTRL) &= ~CTRL_ENABLE;
    use_plain_reads();
    for (uint32_t page = 0; page < PAGES; page++) {
        reg_flash_mmu[page] = page;
    }
    REG(reg_extmem, ICACHE_CTRL) |= CTRL_ENABLE;
    invalidate_cache((uint32_t)(uintptr_t)mark & ~(PAGES * PAGE_BYTES - 1u));
    REG(reg_extmem, ICACHE_CTRL1) &= ~CTRL1_BUSES_OFF;

    if (*mark != MARK) {
        board_fault_text(unreadable);
        board_fault_stop(UNREADABLE_STATUS);
    }
}
