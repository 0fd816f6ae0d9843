/* The microphone of the Nano 33 BLE Sense (MP34DT05 or MP34DT06J) on the PDM block, mono. The block
 * fills a ring of buffers by itself; with each one that it begins, an interrupt names the next, so
 * that inferences of up to half a second lose nothing. 1.280 MHz with ratio 80, as Arduino's PDM
 * library has it: that is 16000 Hz exactly, where 1.032 MHz with ratio 64 would be 16129 Hz and
 * below the 1.2 MHz that the microphone needs. Unverified on hardware. */
#include "microphone/microphone.h"

#include "board.h"
#include "nrf52840/gpio.h"
#include "nrf52840/interrupt.h"

#define PDM_START 0x000u
#define PDM_STOP 0x004u
#define PDM_STARTED 0x100u
#define PDM_STOPPED 0x104u
#define PDM_INTENSET 0x304u
#define PDM_INTENCLR 0x308u
#define PDM_ENABLE 0x500u
#define PDM_PDMCLKCTRL 0x504u
#define PDM_MODE 0x508u
#define PDM_GAINL 0x518u
#define PDM_GAINR 0x51Cu
#define PDM_RATIO 0x520u
#define PDM_PSEL_CLK 0x540u
#define PDM_PSEL_DIN 0x544u
#define PDM_SAMPLE_PTR 0x560u
#define PDM_SAMPLE_MAXCNT 0x564u

#define PDM_INTERRUPT 29u
#define INT_STARTED 1u
#define CLOCK_1280K 0x0A000000u
#define RATIO_80 1u
#define MONO_LEFT 1u        /* left samples, taken at the falling edge */
#define GAIN_20_DB 0x50u    /* the largest: speech is 30 dB below the microphone's 94 dB */
#define START_TICKS 1280000 /* 20 ms at 64 MHz for the first buffer, which takes 16 ms to fill */

#define BLOCK 256
#define BLOCKS 32         /* a power of two: 0.5 s */
#define SETTLING_BLOCKS 4 /* 64 ms from power on: the microphone wakes, filters settle */

/* Given by the linker script. */
extern volatile uint32_t reg_pdm[];

static int16_t blocks[BLOCKS][BLOCK]; /* the hardware writes here */
static volatile uint32_t begun;       /* blocks since the start; the last one is being filled */
static uint32_t taken;                /* blocks that are read or lost */
static uint32_t offset;               /* samples of block `taken` that are read */

static void next_block(void)
{
    REG(reg_pdm, PDM_SAMPLE_PTR) = (uint32_t)(uintptr_t)blocks[(begun + 1u) % BLOCKS];
    begun++;
    REG(reg_pdm, PDM_STARTED) = 0;
    (void)REG(reg_pdm, PDM_STARTED); /* the write has arrived before the interrupt ends */
}

/* The DMA writes until STOPPED, so it is waited for, with an end. */
static void stop(void)
{
    REG(reg_pdm, PDM_INTENCLR) = INT_STARTED;
    if (REG(reg_pdm, PDM_ENABLE) != 0) {
        REG(reg_pdm, PDM_STOPPED) = 0;
        REG(reg_pdm, PDM_STOP) = 1;
        const uint32_t start = board_counter();
        while (REG(reg_pdm, PDM_STOPPED) == 0 && board_counter() - start < START_TICKS) {
        }
        REG(reg_pdm, PDM_ENABLE) = 0;
    }
}

bool microphone_start(void)
{
    stop();
    begun = 0;
    taken = SETTLING_BLOCKS;
    offset = 0;
    gpio_drive_high(BOARD_PIN_MICROPHONE_POWER);
    gpio_drive_low(BOARD_PIN_MICROPHONE_CLOCK);
    gpio_configure(BOARD_PIN_MICROPHONE_DATA, GPIO_INPUT);
    REG(reg_pdm, PDM_PSEL_CLK) = BOARD_PIN_MICROPHONE_CLOCK;
    REG(reg_pdm, PDM_PSEL_DIN) = BOARD_PIN_MICROPHONE_DATA;
    REG(reg_pdm, PDM_PDMCLKCTRL) = CLOCK_1280K;
    REG(reg_pdm, PDM_RATIO) = RATIO_80;
    REG(reg_pdm, PDM_MODE) = MONO_LEFT;
    REG(reg_pdm, PDM_GAINL) = GAIN_20_DB;
    REG(reg_pdm, PDM_GAINR) = GAIN_20_DB;
    REG(reg_pdm, PDM_SAMPLE_PTR) = (uint32_t)(uintptr_t)blocks[0];
    REG(reg_pdm, PDM_SAMPLE_MAXCNT) = BLOCK;
    REG(reg_pdm, PDM_STARTED) = 0;
    REG(reg_pdm, PDM_ENABLE) = 1;
    interrupt_take(PDM_INTERRUPT, next_block);
    REG(reg_pdm, PDM_INTENSET) = INT_STARTED;
    REG(reg_pdm, PDM_START) = 1;
    const uint32_t start = board_counter();
    while (begun == 0 && board_counter() - start < START_TICKS) {
    }
    return begun != 0;
}

/* Full blocks that wait. When the hardware is about to go over the oldest one, all are given up:
 * the block that is left between is the 16 ms in which a caller may copy. */
static uint32_t waiting(uint32_t *state)
{
    const int32_t full = (int32_t)(begun - 1u - taken);
    if (full < BLOCKS - 1) {
        return full < 0 ? 0 : (uint32_t)full;
    }
    *state |= BOARD_SENSOR_OVERRUN;
    taken += (uint32_t)full;
    offset = 0;
    return 0;
}

size_t microphone_read(int16_t *samples, size_t capacity, uint32_t *state)
{
    size_t count = 0;
    while (count < capacity && waiting(state) > 0) {
        samples[count++] = blocks[taken % BLOCKS][offset++];
        if (offset == BLOCK) {
            offset = 0;
            taken++;
        }
    }
    return count;
}
