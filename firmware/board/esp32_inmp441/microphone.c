/* An INMP441 at an ESP32, on I2S0 as the receiving master, L/R at GND: 24 bits in the left of two
 * slots of 32. 160 MHz / (39 + 1/16) / 4 is the bit clock of 1.024 MHz, 64 bits of it a sample:
 * 16000 Hz exactly, as exact as the crystal. The DMA fills a ring without end and takes the mark of
 * each block that it has filled; this file polls the marks, so there is no interrupt. Unverified on
 * hardware. Facts: ESP-IDF (45a1873), soc/i2s_reg.h, hal/i2s_ll.h, soc/gpio_sig_map.h. */
#include "microphone/microphone.h"

#include "board.h"

#define REG(block, offset) ((block)[(offset) / 4u])

#define PERIP_CLK_EN 0xC0u /* DPort */
#define PERIP_RST_EN 0xC4u
#define I2S0_BIT (1u << 4)

#define RTC_CLK_CONF 0x70u
#define SOC_CLK_SEL (3u << 27)
#define SOC_CLK_PLL (1u << 27)

#define I2S_CONF 0x08u
#define RX_RESET (1u << 1)
#define RX_FIFO_RESET (1u << 3)
#define RX_START (1u << 5)
#define RX_MSB_SHIFT (1u << 11) /* data one bit after the edge of WS; master, WS low is left */
#define I2S_INT_ENA 0x14u
#define I2S_FIFO_CONF 0x20u
#define FIFO_32_SINGLE_DMA ((1u << 20) | (3u << 16) | (1u << 12) | 32u)
#define I2S_RXEOF_NUM 0x24u /* words */
#define I2S_CONF_CHAN 0x2Cu
#define RX_LEFT_ONLY (1u << 3) /* 1 is left, as RX_MSB_RIGHT is 0 */
#define I2S_IN_LINK 0x34u
#define LINK_ADDRESS 0xFFFFFu
#define LINK_STOP (1u << 28)
#define LINK_START (1u << 29)
#define I2S_LC_CONF 0x60u
#define LC_IN_RESET 1u
#define I2S_CONF1 0xA0u
#define PCM_BYPASS ((1u << 7) | (1u << 3)) /* receiver, transmitter */
#define I2S_CONF2 0xA8u
#define I2S_PDM_CONF 0xB4u
#define I2S_CLKM_CONF 0xACu
#define CLKM_39_AND_1_OF_16 ((1u << 20) | (16u << 14) | (1u << 8) | 39u) /* of PLL_D2 */
#define I2S_SAMPLE_RATE_CONF 0xB0u
#define RX_32_BITS_BCK_BY_4 ((32u << 18) | (32u << 12) | (4u << 6) | 4u)

#define GPIO_ENABLE_W1TC 0x28u
#define GPIO_ENABLE_W1TS 0x24u
#define GPIO_FUNC_IN_SEL 0x130u
#define GPIO_FUNC_OUT_SEL 0x530u
#define IN_BY_MATRIX 0x80u
#define I2S0I_BCK_OUT 27u
#define I2S0I_WS_OUT 28u
#define I2S0I_DATA_IN15 155u
#define PAD_OUTPUT 0x2800u         /* function 2 (GPIO), medium drive */
#define PAD_INPUT_PULLDOWN 0x2280u /* function 2, input on: the line floats in the right slot */

#define BLOCK 256u
#define BLOCKS 34u           /* one is being filled: 0.53 s wait at most */
#define SETTLING_BLOCKS 4u   /* 64 ms; the part is silent for 2^12 cycles of WS at power on only */
#define START_TICKS 9600000u /* 40 ms at 240 MHz for the first block, which takes 16 ms */
#define GAIN_SHIFT 13        /* 16 would be full scale; 2^3 = 18 dB: speech is 30 dB below 94 dB */

#define OWNER_DMA (1u << 31)
#define BLOCK_BYTES (4u * BLOCK)

typedef struct {
    volatile uint32_t mark; /* owner, end of frame, length << 12, size */
    uint32_t address;
    uint32_t next;
} descriptor_t;

/* Given by the linker script. */
extern volatile uint32_t reg_dport[];
extern volatile uint32_t reg_rtc_cntl[];
extern volatile uint32_t reg_gpio[];
extern volatile uint32_t reg_i2s0[];
extern volatile uint32_t reg_io_mux_i2s_bck;
extern volatile uint32_t reg_io_mux_i2s_ws;
extern volatile uint32_t reg_io_mux_i2s_sd;

static volatile int32_t blocks[BLOCKS][BLOCK]; /* the hardware writes here */
static descriptor_t ring[BLOCKS];
static uint32_t oldest;   /* block that is read next */
static uint32_t offset;   /* samples of it that are read */
static uint32_t settling; /* blocks that are still to be left out */

static void mark_empty(uint32_t block)
{
    ring[block].mark = OWNER_DMA | BLOCK_BYTES;
}

static bool is_full(uint32_t block)
{
    return (ring[block].mark & OWNER_DMA) == 0;
}

static void next_block(void)
{
    mark_empty(oldest);
    oldest = (oldest + 1u) % BLOCKS;
    offset = 0;
}

static void connect_pins(void)
{
    REG(reg_gpio, GPIO_FUNC_OUT_SEL + 4u * BOARD_PIN_MICROPHONE_BCK) = I2S0I_BCK_OUT;
    REG(reg_gpio, GPIO_FUNC_OUT_SEL + 4u * BOARD_PIN_MICROPHONE_WS) = I2S0I_WS_OUT;
    REG(reg_gpio, GPIO_ENABLE_W1TS) =
        (1u << BOARD_PIN_MICROPHONE_BCK) | (1u << BOARD_PIN_MICROPHONE_WS);
    REG(reg_gpio, GPIO_ENABLE_W1TC) = 1u << BOARD_PIN_MICROPHONE_SD;
    REG(reg_gpio, GPIO_FUNC_IN_SEL + 4u * I2S0I_DATA_IN15) = IN_BY_MATRIX | BOARD_PIN_MICROPHONE_SD;
    reg_io_mux_i2s_bck = PAD_OUTPUT;
    reg_io_mux_i2s_ws = PAD_OUTPUT;
    reg_io_mux_i2s_sd = PAD_INPUT_PULLDOWN;
}

static void configure(void)
{
    REG(reg_dport, PERIP_CLK_EN) |= I2S0_BIT;
    REG(reg_dport, PERIP_RST_EN) |= I2S0_BIT;
    REG(reg_dport, PERIP_RST_EN) &= ~I2S0_BIT;
    REG(reg_i2s0, I2S_CLKM_CONF) = CLKM_39_AND_1_OF_16;
    REG(reg_i2s0, I2S_SAMPLE_RATE_CONF) = RX_32_BITS_BCK_BY_4;
    REG(reg_i2s0, I2S_CONF2) = 0;
    REG(reg_i2s0, I2S_PDM_CONF) = 0;
    REG(reg_i2s0, I2S_CONF1) = PCM_BYPASS;
    REG(reg_i2s0, I2S_CONF_CHAN) = RX_LEFT_ONLY;
    REG(reg_i2s0, I2S_FIFO_CONF) = FIFO_32_SINGLE_DMA;
    REG(reg_i2s0, I2S_INT_ENA) = 0;
    REG(reg_i2s0, I2S_CONF) = RX_MSB_SHIFT;
}

/* From the first block on, with nothing waiting. */
static void receive(void)
{
    REG(reg_i2s0, I2S_CONF) = RX_MSB_SHIFT;
    REG(reg_i2s0, I2S_IN_LINK) = LINK_STOP;
    REG(reg_i2s0, I2S_CONF) = RX_MSB_SHIFT | RX_RESET | RX_FIFO_RESET;
    REG(reg_i2s0, I2S_CONF) = RX_MSB_SHIFT;
    REG(reg_i2s0, I2S_LC_CONF) = LC_IN_RESET;
    REG(reg_i2s0, I2S_LC_CONF) = 0;
    for (uint32_t block = 0; block < BLOCKS; block++) {
        ring[block].address = (uint32_t)(uintptr_t)blocks[block];
        ring[block].next = (uint32_t)(uintptr_t)&ring[(block + 1u) % BLOCKS];
        mark_empty(block);
    }
    oldest = 0;
    offset = 0;
    settling = SETTLING_BLOCKS;
    REG(reg_i2s0, I2S_RXEOF_NUM) = BLOCK;
    REG(reg_i2s0, I2S_IN_LINK) = ((uint32_t)(uintptr_t)ring & LINK_ADDRESS) | LINK_START;
    REG(reg_i2s0, I2S_CONF) = RX_MSB_SHIFT | RX_START;
}

/* Without the PLL the divider would make another rate. */
bool microphone_start(void)
{
    if ((REG(reg_rtc_cntl, RTC_CLK_CONF) & SOC_CLK_SEL) != SOC_CLK_PLL) {
        return false;
    }
    configure();
    connect_pins();
    receive();
    const uint32_t start = board_counter();
    while (!is_full(0) && board_counter() - start < START_TICKS) {
    }
    return is_full(0);
}

/* Once the block before the oldest is full, the hardware is in the oldest again or has been, and
 * all marks stay taken however long the pause: reception begins anew. */
static bool is_waiting(uint32_t *state)
{
    if (is_full((oldest + BLOCKS - 1u) % BLOCKS)) {
        *state |= BOARD_SENSOR_OVERRUN;
        receive();
    }
    while (settling > 0 && is_full(oldest)) {
        next_block();
        settling--;
    }
    return is_full(oldest);
}

static int16_t reduced(int32_t slot)
{
    const int32_t value = slot >> GAIN_SHIFT;
    return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

size_t microphone_read(int16_t *samples, size_t capacity, uint32_t *state)
{
    size_t count = 0;
    while (count < capacity && is_waiting(state)) {
        samples[count++] = reduced(blocks[oldest][offset++]);
        if (offset == BLOCK) {
            next_block();
        }
    }
    return count;
}
