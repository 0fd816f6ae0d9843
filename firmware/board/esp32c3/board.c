/* ESP32-C3, started by the ROM's boot loader in place of a second-stage one. The port runs core and
 * serial line from the 40 MHz crystal. The link is UART0 on its default pins and the chip's own USB
 * serial port: both are read, and what is sent goes where the host has spoken last, at first to the
 * UART. The counter is the core's own cycle counter. */
#include "board.h"
#include "common/fault.h"
#include "flash.h"

#include <stdbool.h>

#define REG(block, offset) ((block)[(offset) / 4u])

#define UART_FIFO 0x00u
#define UART_CLKDIV 0x14u
#define UART_STATUS 0x1Cu
#define UART_CONF0 0x20u
#define UART_FSM_STATUS 0x6Cu
#define UART_CLK_CONF 0x78u
#define UART_ID 0x80u
#define USB_EP1 0x00u
#define USB_EP1_CONF 0x04u
#define SYSTEM_SYSCLK_CONF 0x58u
#define RTC_WDTCONFIG0 0x90u
#define RTC_WDTWPROTECT 0xA8u
#define RTC_SWD_CONF 0xACu
#define RTC_SWD_WPROTECT 0xB0u
#define TIMG_WDTCONFIG0 0x48u
#define TIMG_WDTWPROTECT 0x64u

#define WATCHDOG_KEY 0x50D83AA1u
#define SUPER_WATCHDOG_KEY 0x8F1D312Au
#define SWD_DISABLE (1u << 30)
#define TIMG_UPDATE (1u << 22)
#define SYSCLK_SOURCE_AND_DIVIDER 0xFFFu /* all zero: the crystal, undivided */
#define CRYSTAL_HZ 40000000u
#define BAUD 115200u
#define CLKDIV_16THS ((CRYSTAL_HZ * 16u + BAUD / 2u) / BAUD)
#define CONF0_8N1 0x1000001Cu        /* memory clock, 8 data bits, 1 stop bit */
#define CLK_CONF_CRYSTAL 0x03700000u /* undivided, for sender and receiver */
#define ID_UPDATE (1u << 31)         /* take CLKDIV and CONF0 over into the UART's own clock */
#define UPDATE_TRIES 1000u
#define UART_TRIES 1000000u /* a byte takes 3500 cycles, the ROM's whole FIFO 128 of them */
#define FIFO_LIMIT 126u     /* the FIFO holds 128 */
#define TX_COUNT(status) (((status) >> 16) & 0x3FFu)
#define RX_COUNT(status) ((status)&0x3FFu)
#define TX_STATE(status) (((status) >> 4) & 0xFu)
#define EP1_FLUSH 1u
#define EP1_ROOM 2u
#define EP1_DATA 4u
#define USB_TRIES 1000000u /* of a host that has left its port */

#define PCER_CYCLES 1u
#define PCMR_ENABLE 1u

/* Given by the linker script. */
extern volatile uint32_t reg_uart0[];
extern volatile uint32_t reg_usb_serial_jtag[];
extern volatile uint32_t reg_system[];
extern volatile uint32_t reg_rtc_cntl[];
extern volatile uint32_t reg_timg0[];
extern volatile uint32_t reg_timg1[];

const board_info_t board_info = {
    .counter_num = 1, .counter_den = 1, .receive_bytes = 128, /* the UART's FIFO; USB waits */
};

static bool on_usb;
static bool is_counting; /* the chip's counter; else mcycle, which labwired has and the chip not */

static void watchdogs_off(void)
{
    REG(reg_rtc_cntl, RTC_WDTWPROTECT) = WATCHDOG_KEY;
    REG(reg_rtc_cntl, RTC_WDTCONFIG0) = 0;
    REG(reg_rtc_cntl, RTC_WDTWPROTECT) = 0;
    REG(reg_rtc_cntl, RTC_SWD_WPROTECT) = SUPER_WATCHDOG_KEY;
    REG(reg_rtc_cntl, RTC_SWD_CONF) |= SWD_DISABLE;
    REG(reg_rtc_cntl, RTC_SWD_WPROTECT) = 0;
    REG(reg_timg0, TIMG_WDTWPROTECT) = WATCHDOG_KEY;
    REG(reg_timg0, TIMG_WDTCONFIG0) = TIMG_UPDATE;
    REG(reg_timg0, TIMG_WDTWPROTECT) = 0;
    REG(reg_timg1, TIMG_WDTWPROTECT) = WATCHDOG_KEY;
    REG(reg_timg1, TIMG_WDTCONFIG0) = TIMG_UPDATE;
    REG(reg_timg1, TIMG_WDTWPROTECT) = 0;
}

static void uart_send(uint8_t byte)
{
    for (uint32_t i = 0; i < UART_TRIES && TX_COUNT(REG(reg_uart0, UART_STATUS)) >= FIFO_LIMIT;
         i++) {
    }
    REG(reg_uart0, UART_FIFO) = byte;
}

static void uart_start(void)
{
    for (uint32_t i = 0; i < UART_TRIES && (TX_COUNT(REG(reg_uart0, UART_STATUS)) != 0 ||
                                            TX_STATE(REG(reg_uart0, UART_FSM_STATUS)) != 0);
         i++) {
        /* the ROM's messages, before the baud rate is set */
    }
    REG(reg_uart0, UART_CLK_CONF) = CLK_CONF_CRYSTAL;
    REG(reg_uart0, UART_CLKDIV) = (CLKDIV_16THS / 16u) | ((CLKDIV_16THS % 16u) << 20);
    REG(reg_uart0, UART_CONF0) = CONF0_8N1;
    REG(reg_uart0, UART_ID) |= ID_UPDATE;
    for (uint32_t i = 0; i < UPDATE_TRIES && (REG(reg_uart0, UART_ID) & ID_UPDATE) != 0; i++) {
    }
}

/* The endpoint's buffer goes to the host when it is full; EP1_FLUSH sends the rest. */
static void usb_write(const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        uint32_t tries = 0;
        while ((REG(reg_usb_serial_jtag, USB_EP1_CONF) & EP1_ROOM) == 0) {
            if (++tries == USB_TRIES) {
                return; /* nobody reads: what is sent is lost, as on a wire */
            }
        }
        REG(reg_usb_serial_jtag, USB_EP1) = data[i];
    }
    REG(reg_usb_serial_jtag, USB_EP1_CONF) = EP1_FLUSH;
}

/* ESP32-C3 Technical Reference Manual, ESP-RISC-V CPU, Performance Counter: mpcer (0x7E0), mpcmr
 * (0x7E1), mpccr (0x7E2). */
static uint32_t chip_counter(void)
{
    uint32_t value;
    __asm__ volatile("csrr %0, 0x7E2" : "=r"(value));
    return value;
}

static void start_counter(void)
{
    __asm__ volatile("csrw 0x7E0, %0\n"
                     "csrw 0x7E1, %1" ::"r"(PCER_CYCLES),
                     "r"(PCMR_ENABLE));
    const uint32_t first = chip_counter();
    is_counting = chip_counter() != first;
}

void board_init(void)
{
    watchdogs_off();
    REG(reg_system, SYSTEM_SYSCLK_CONF) &= ~SYSCLK_SOURCE_AND_DIVIDER;
    uart_start();
    start_counter();
    board_flash_map();
}

size_t board_read(uint8_t *data, size_t capacity)
{
    size_t count = 0;
    while (count < capacity && RX_COUNT(REG(reg_uart0, UART_STATUS)) != 0) {
        data[count++] = (uint8_t)REG(reg_uart0, UART_FIFO);
        on_usb = false;
    }
    while (count < capacity && (REG(reg_usb_serial_jtag, USB_EP1_CONF) & EP1_DATA) != 0) {
        data[count++] = (uint8_t)REG(reg_usb_serial_jtag, USB_EP1);
        on_usb = true;
    }
    return count;
}

void board_write(const uint8_t *data, size_t length)
{
    if (on_usb) {
        usb_write(data, length);
        return;
    }
    for (size_t i = 0; i < length; i++) {
        uart_send(data[i]);
    }
}

uint32_t board_counter(void)
{
    uint32_t value;
    if (is_counting) {
        return chip_counter();
    }
    __asm__ volatile("csrr %0, mcycle" : "=r"(value));
    return value;
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
