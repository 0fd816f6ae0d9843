/* nRF52840, without SoftDevice; the only interrupt is the microphone's, see interrupt.h. The link
 * is the UART on the pins that the board's JSON file names, polled: its receiver holds 6 bytes, so
 * the main loop has 0.5 ms between two polls while the host sends, and the host must not send while
 * an inference runs. The counter is the core's own cycle counter. */
#include "board.h"
#include "common/fault.h"
#include "gpio.h"

#define CLOCK_HFCLKSTART 0x000u
#define CLOCK_HFCLKSTARTED 0x100u
#define NVMC_ICACHECNF 0x540u
#define UART_STARTRX 0x000u
#define UART_STOPRX 0x004u
#define UART_STARTTX 0x008u
#define UART_STOPTX 0x00Cu
#define UART_RXDRDY 0x108u
#define UART_TXDRDY 0x11Cu
#define UART_RXTO 0x144u
#define UART_ENABLE 0x500u
#define UART_PSELTXD 0x50Cu
#define UART_PSELRXD 0x514u
#define UART_RXD 0x518u
#define UART_TXD 0x51Cu
#define UART_BAUDRATE 0x524u
#define UART_CONFIG 0x56Cu
#define WDT_RUNSTATUS 0x400u
#define WDT_RR 0x600u /* eight of them */
#define DWT_CTRL 0x000u
#define DWT_CYCCNT 0x004u

#define ENABLE_LEGACY_UART 4u
#define ENABLE_UARTE 8u
#define RXTO_POLLS 100000u /* about 10 ms; a receiver stops after five bytes' time, 0.5 ms */
#define BAUD_115200 0x01D7E000u
#define CONFIG_8N1 0u
#define ICACHE_ON 1u
#define WDT_RELOAD 0x6E524635u
#define DEMCR_TRCENA (1u << 24)
#define CYCCNT_ON 1u
#define CRYSTAL_POLLS 100000u /* about 10 ms; the crystal takes 0.4 ms */

/* Given by the linker script. */
extern volatile uint32_t reg_clock[];
extern volatile uint32_t reg_uart0[];
extern volatile uint32_t reg_nvmc[];
extern volatile uint32_t reg_wdt[];
extern volatile uint32_t reg_dwt[];
extern volatile uint32_t reg_demcr;

const board_info_t board_info = {
    .counter_num = 1, .counter_den = 1, .receive_bytes = 6, /* the UART's FIFO */
};

/* The boot loader leaves the block on as UARTE0, receiving by DMA. nRF52840 Product Specification
 * v1.7, 6.34.4 Reception: it has stopped when RXTO is there; before that it must not be disabled
 * (6.34.8 Low power). */
static void uarte_stop(void)
{
    if (REG(reg_uart0, UART_ENABLE) != ENABLE_UARTE) {
        return;
    }
    REG(reg_uart0, UART_RXTO) = 0;
    REG(reg_uart0, UART_STOPRX) = 1;
    REG(reg_uart0, UART_STOPTX) = 1;
    for (uint32_t polls = 0; REG(reg_uart0, UART_RXTO) == 0 && polls < RXTO_POLLS; polls++) {
    }
    REG(reg_uart0, UART_ENABLE) = 0;
}

static void uart_init(void)
{
    uarte_stop();
    gpio_drive_high(BOARD_PIN_UART_TX); /* idle level */
    gpio_configure(BOARD_PIN_UART_RX, GPIO_INPUT_PULLUP);
    REG(reg_uart0, UART_PSELTXD) = BOARD_PIN_UART_TX;
    REG(reg_uart0, UART_PSELRXD) = BOARD_PIN_UART_RX;
    REG(reg_uart0, UART_BAUDRATE) = BAUD_115200;
    REG(reg_uart0, UART_CONFIG) = CONFIG_8N1;
    REG(reg_uart0, UART_ENABLE) = ENABLE_LEGACY_UART;
    REG(reg_uart0, UART_TXDRDY) = 0;
    REG(reg_uart0, UART_RXDRDY) = 0;
    REG(reg_uart0, UART_STARTTX) = 1;
    REG(reg_uart0, UART_STARTRX) = 1;
}

static void uart_send(uint8_t byte)
{
    REG(reg_uart0, UART_TXD) = byte;
    while (REG(reg_uart0, UART_TXDRDY) == 0) {
    }
    REG(reg_uart0, UART_TXDRDY) = 0;
}

void board_init(void)
{
    REG(reg_nvmc, NVMC_ICACHECNF) = ICACHE_ON;
    REG(reg_clock, CLOCK_HFCLKSTARTED) = 0; /* the crystal: the RC oscillator is too far off */
    REG(reg_clock, CLOCK_HFCLKSTART) = 1;
    for (uint32_t i = 0; i < CRYSTAL_POLLS && REG(reg_clock, CLOCK_HFCLKSTARTED) == 0; i++) {
    }
    reg_demcr |= DEMCR_TRCENA;
    REG(reg_dwt, DWT_CYCCNT) = 0;
    REG(reg_dwt, DWT_CTRL) |= CYCCNT_ON;
    uart_init();
}

/* Nothing here starts the watchdog. One that an earlier program has started lives on through a soft
 * reset and cannot be stopped (nRF52840 Product Specification v1.7, 6.36 WDT), so it is fed. */
static void watchdog_feed(void)
{
    if (REG(reg_wdt, WDT_RUNSTATUS) == 0) {
        return;
    }
    for (uint32_t channel = 0; channel < 8; channel++) {
        REG(reg_wdt, WDT_RR + 4u * channel) = WDT_RELOAD;
    }
}

size_t board_read(uint8_t *data, size_t capacity)
{
    size_t count = 0;
    watchdog_feed();
    while (count < capacity && REG(reg_uart0, UART_RXDRDY) != 0) {
        REG(reg_uart0, UART_RXDRDY) = 0; /* before the read: RXD refills at once */
        data[count++] = (uint8_t)REG(reg_uart0, UART_RXD);
    }
    return count;
}

void board_write(const uint8_t *data, size_t length)
{
    watchdog_feed();
    for (size_t i = 0; i < length; i++) {
        uart_send(data[i]);
    }
}

uint32_t board_counter(void)
{
    return REG(reg_dwt, DWT_CYCCNT);
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
