/* ESP32, first core, started by the ROM's boot loader in place of a second-stage one. The ROM
 * leaves the core and the APB bus on the crystal; clock.c raises them, and the baud rate follows.
 * The link is UART0 on its default pins; when a host has attached to the rings of
 * rtt.h, what is sent goes there, and both are read. The counter is the core's cycle counter. */
#include "board.h"
#include "clock.h"
#include "common/fault.h"
#include "flash.h"
#include "rtt.h"
#include "xtensa/xtensa.h"

#define REG(block, offset) ((block)[(offset) / 4u])

#define UART_FIFO 0x00u
#define UART_CLKDIV 0x14u
#define UART_STATUS 0x1Cu
#define UART_CONF0 0x20u
#define UART_MEM_RX_STATUS 0x60u
#define RTC_WDTCONFIG0 0x8Cu
#define RTC_WDTWPROTECT 0xA4u
#define TIMG_WDTCONFIG0 0x48u
#define TIMG_WDTWPROTECT 0x64u

#define WATCHDOG_KEY 0x50D83AA1u
#define BAUD 115200u
#define CONF0_8N1_APB 0x0800001Cu /* 8 data bits, 1 stop bit, clocked by the APB bus */
#define FIFO_LIMIT 126u           /* the FIFO holds 128 */
#define TX_COUNT(status) (((status) >> 16) & 0xFFu)
#define RX_COUNT(status) ((status)&0xFFu)
#define RX_READ_ADDRESS(status) (((status) >> 2) & 0x7FFu)
#define RX_WRITE_ADDRESS(status) (((status) >> 13) & 0x7FFu)
#define TX_BUSY(status) (((status) >> 24) & 0xFu)

/* Given by the linker script. */
extern volatile uint32_t reg_uart0[];
extern volatile uint32_t reg_uart0_fifo_write;
extern volatile uint32_t reg_rtc_cntl[];
extern volatile uint32_t reg_timg0[];
extern volatile uint32_t reg_timg1[];

const board_info_t board_info = {
    .counter_num = 1, .counter_den = 1, .receive_bytes = 128, /* the UART's FIFO */
};

static board_clock_t clock;

static void watchdogs_off(void)
{
    REG(reg_rtc_cntl, RTC_WDTWPROTECT) = WATCHDOG_KEY;
    REG(reg_rtc_cntl, RTC_WDTCONFIG0) = 0;
    REG(reg_rtc_cntl, RTC_WDTWPROTECT) = 0;
    REG(reg_timg0, TIMG_WDTWPROTECT) = WATCHDOG_KEY;
    REG(reg_timg0, TIMG_WDTCONFIG0) = 0;
    REG(reg_timg0, TIMG_WDTWPROTECT) = 0;
    REG(reg_timg1, TIMG_WDTWPROTECT) = WATCHDOG_KEY;
    REG(reg_timg1, TIMG_WDTCONFIG0) = 0;
    REG(reg_timg1, TIMG_WDTWPROTECT) = 0;
}

/* The ESP32's cores may take an illegal instruction out of their loop buffer: ESP-IDF's
 * components/xtensa, esp32/include/xtensa/config/core.h, "erratum 572", has it switched off before
 * the first LOOP, which only the fast kernels have here. MEMCTL is special register 97; the
 * assembler is for a core without it, hence the bytes of WSR.MEMCTL a2. */
static void loop_buffer_off(void)
{
    __asm__ volatile("movi a2, 0\n"
                     ".byte 0x20, 0x61, 0x13\n"
                     "isync" ::
                         : "a2", "memory");
}

static void uart_send(uint8_t byte)
{
    while (TX_COUNT(REG(reg_uart0, UART_STATUS)) >= FIFO_LIMIT) {
    }
    reg_uart0_fifo_write = byte;
}

static void uart_drain(void)
{
    while (TX_COUNT(REG(reg_uart0, UART_STATUS)) != 0 ||
           TX_BUSY(REG(reg_uart0, UART_STATUS)) != 0) {
    }
}

/* The byte count in STATUS is not reliable while the FIFO is read over this bus; its two addresses
 * are, and the count tells empty from full when they are equal. */
static bool uart_has_byte(void)
{
    const uint32_t addresses = REG(reg_uart0, UART_MEM_RX_STATUS);
    return RX_READ_ADDRESS(addresses) != RX_WRITE_ADDRESS(addresses) ||
           RX_COUNT(REG(reg_uart0, UART_STATUS)) != 0;
}

void board_init(void)
{
    loop_buffer_off();
    watchdogs_off();
    uart_drain(); /* the ROM's messages, before the clock and the baud rate change */
    board_clock_start(&clock);
    const uint32_t divider_16ths = (clock.apb_hz * 16u + BAUD / 2u) / BAUD;
    REG(reg_uart0, UART_CLKDIV) = (divider_16ths / 16u) | ((divider_16ths % 16u) << 20);
    REG(reg_uart0, UART_CONF0) = CONF0_8N1_APB;
    board_flash_map();
    board_rtt_init();
}

size_t board_read(uint8_t *data, size_t capacity)
{
    size_t count = board_rtt_read(data, capacity);
    while (count < capacity && uart_has_byte()) {
        data[count++] = (uint8_t)REG(reg_uart0, UART_FIFO);
    }
    return count;
}

void board_write(const uint8_t *data, size_t length)
{
    static bool on_uart = true;
    if (board_rtt_attached()) {
        if (on_uart) {
            uart_drain(); /* so that the host gets both in order */
            on_uart = false;
        }
        board_rtt_write(data, length);
        return;
    }
    for (size_t i = 0; i < length; i++) {
        uart_send(data[i]);
    }
}

uint32_t board_clock_hz(void)
{
    return clock.cpu_hz;
}

const char *board_note(void)
{
    const bool is_26 = clock.crystal_mhz == 26u;
    if (clock.pll) {
        return is_26 ? "clock     240 MHz, crystal 26 MHz\r\n"
                     : "clock     240 MHz, crystal 40 MHz\r\n";
    }
    if (clock.crystal_mhz == 0) {
        return "clock     crystal neither 26 nor 40 MHz, taken for 40; no PLL\r\n";
    }
    return is_26 ? "clock     crystal's 26 MHz; the PLL holds no settings\r\n"
                 : "clock     crystal's 40 MHz; the PLL holds no settings\r\n";
}

uint32_t board_counter(void)
{
    return board_ccount();
}

void board_fault_text(const char *text)
{
    while (*text != '\0') {
        uart_send((uint8_t)*text++);
    }
}

_Noreturn void board_fault_stop(uint32_t status)
{
    (void)status;
    for (;;) {
        board_fault_repeat();
    }
}
