/* The nRF52840's PDM block with a microphone, for the port's own code on this computer. A program
 * that is linked below 4 GB, since registers hold addresses of 32 bits.
 *
 * argv[1]: what there is to hear, int16 at 64 kHz, so that a wrong clock is heard. Standard input:
 * pairs of numbers, the microseconds that pass and the capacity of the read that follows.
 * Standard output, for each read: count, state, the samples. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "nrf52840/interrupt.h"

#define REG(block, offset) ((block)[(offset) / 4u])
#define AIR_HZ 64000u
#define MOST 4096u

volatile uint32_t reg_pdm[0x600 / 4];
volatile uint32_t reg_gpio_p0[0x800 / 4];
volatile uint32_t reg_gpio_p1[0x800 / 4];

static int16_t air[1u << 20];
static size_t air_count;
static uint64_t now_us, heard; /* `heard` counts the block's samples */
static void (*handler)(void);
static int16_t *buffer; /* latched */
static uint32_t room, filled;
static bool running;

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "PDM double: %s\n", what);
        exit(3);
    }
}

void interrupt_take(uint32_t number, void (*taken)(void))
{
    check(number == 29, "the interrupt is 29");
    handler = taken;
}

static void latch(void)
{
    buffer = (int16_t *)(uintptr_t)REG(reg_pdm, 0x560);
    room = REG(reg_pdm, 0x564);
    filled = 0;
    check(REG(reg_pdm, 0x100) == 0, "STARTED was not cleared");
    REG(reg_pdm, 0x100) = 1;
    if (handler != NULL && (REG(reg_pdm, 0x304) & 1u) != 0) {
        handler();
    }
}

static uint32_t rate(void)
{
    const uint32_t clock = REG(reg_pdm, 0x504) == 0x0A000000u   ? 1280000u
                           : REG(reg_pdm, 0x504) == 0x08400000u ? 1032258u
                                                                : 0;
    check(clock >= 1200000u, "the microphone's clock is below its 1.2 MHz");
    return clock / (REG(reg_pdm, 0x520) == 1u ? 80u : 64u);
}

static void begin(void)
{
    check(REG(reg_pdm, 0x500) == 1, "START needs ENABLE");
    check(!running, "START without a STOP that has ended");
    check((REG(reg_pdm, 0x508) & 1u) == 1, "mono");
    check(REG(reg_pdm, 0x540) == 26 && REG(reg_pdm, 0x544) == 25, "CLK is P0.26, DIN P0.25");
    check(REG(reg_gpio_p0, 0x508) == 1u << 17, "the microphone's supply, P0.17, is off");
    check(REG(reg_pdm, 0x518) <= 0x50, "gain");
    REG(reg_pdm, 0x000) = 0;
    running = true;
    heard = 0;
    latch();
}

/* One sample at half the way to full scale is heard so at a gain of 0 dB. */
static void sample(void)
{
    static const double half_db = 1.0592537251772889;
    double gain = 1.0;
    for (uint32_t step = 0x28; step < REG(reg_pdm, 0x518); step++) {
        gain *= half_db;
    }
    const uint64_t at = heard * AIR_HZ / rate();
    const double value = at < air_count ? gain * air[at] : 0.0;
    buffer[filled++] = (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
    heard++;
    if (filled == room) {
        REG(reg_pdm, 0x108) = 1;
        latch();
    }
}

static void pass(uint64_t us)
{
    if (REG(reg_pdm, 0x004) == 1) {
        REG(reg_pdm, 0x004) = 0;
        REG(reg_pdm, 0x104) = 1;
        running = false;
    }
    if (REG(reg_pdm, 0x000) == 1) {
        begin();
        now_us = 0;
    }
    now_us += us;
    while (running && heard * 1000000u / rate() < now_us) {
        sample();
    }
}

uint32_t board_counter(void)
{
    pass(1);
    return (uint32_t)(64u * now_us);
}

int main(int argc, char **argv)
{
    static int16_t samples[MOST];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    check(file != NULL, "names no file to hear");
    air_count = fread(air, sizeof(air[0]), sizeof(air) / sizeof(air[0]), file);
    (void)fclose(file);
    const board_sensor_t *sensor = board_sensor_start();
    check(sensor != NULL, "does not start");
    check(board_sensor_start() == sensor, "does not start again");
    fwrite(&sensor->rate_millihertz, 4, 1, stdout);
    unsigned us = 0, capacity = 0;
    while (scanf("%u %u", &us, &capacity) == 2 && capacity <= MOST) {
        uint32_t head[2] = {0, 0};
        pass(us);
        head[0] = (uint32_t)board_sensor_read(samples, capacity, &head[1]);
        fwrite(head, sizeof(head), 1, stdout);
        fwrite(samples, sizeof(samples[0]), head[0], stdout);
    }
    return 0;
}
