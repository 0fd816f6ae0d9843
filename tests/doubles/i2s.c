/* The ESP32's I2S0 with an INMP441, for the port's own code on this computer. A program that is
 * linked below 4 GB, since registers and descriptors hold addresses of 32 bits.
 *
 * argv[1]: what there is to hear, int32 of 24 bits at 64 kHz, so that a wrong clock is heard;
 * argv[2]: what is wrong: "crystal", "dead" or nothing. Standard input and output as in pdm.c, but
 * that a pair with capacity 5000 starts the sensor anew. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"

#define REG(block, offset) ((block)[(offset) / 4u])
#define AIR_HZ 64000u
#define MOST 4096u
#define RESTART 5000u

volatile uint32_t reg_dport[0x100 / 4];
volatile uint32_t reg_rtc_cntl[0x100 / 4];
volatile uint32_t reg_gpio[0x600 / 4];
volatile uint32_t reg_i2s0[0x100 / 4];
volatile uint32_t reg_io_mux_i2s_bck, reg_io_mux_i2s_ws, reg_io_mux_i2s_sd;

static int32_t *air;
static size_t air_count;
static uint64_t now_us, heard;
static uint32_t *descriptor, filled;
static bool running, dead;

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "I2S double: %s\n", what);
        exit(3);
    }
}

static uint32_t *at(uint32_t address)
{
    return (uint32_t *)(uintptr_t)address;
}

/* Bits 8 to 13 are b, 14 to 19 a: 160 MHz / (n + b / a) / bck / 64. */
static uint64_t rate_millihertz(void)
{
    const uint32_t clkm = REG(reg_i2s0, 0xAC), rate = REG(reg_i2s0, 0xB0);
    const uint64_t n = clkm & 0xFFu, b = clkm >> 8 & 63u, a = clkm >> 14 & 63u;
    const uint64_t bck = rate >> 6 & 63u;
    check((clkm >> 20 & 3u) == 1, "I2S's clock is on, from the PLL");
    check(a > b && n >= 2 && bck >= 2 && (rate >> 18 & 63u) == 32, "dividers, 32 bits a slot");
    return 160000000000u * a / ((n * a + b) * bck * 64u);
}

static void begin(void)
{
    const uint32_t link = REG(reg_i2s0, 0x34);
    const uint32_t conf = REG(reg_i2s0, 0x08);
    check((REG(reg_dport, 0xC0) >> 4 & 1u) == 1 && (REG(reg_dport, 0xC4) >> 4 & 1u) == 0,
          "I2S0 has no clock or is in reset");
    check((conf & ~0x20u) == 0x800u, "master, Philips, nothing in reset");
    check(REG(reg_i2s0, 0x20) == 0x131020u, "FIFO: 32 bits, one channel, DMA");
    check((REG(reg_i2s0, 0x2C) >> 3 & 3u) == 1, "left");
    check(REG(reg_i2s0, 0xA8) == 0 && REG(reg_i2s0, 0xB4) == 0, "no LCD, no PDM");
    check((REG(reg_i2s0, 0xA0) >> 7 & 1u) == 1, "the receiver's PCM is bypassed");
    check(REG(reg_i2s0, 0x14) == 0 && REG(reg_i2s0, 0x60) == 0, "no interrupt, DMA not in reset");
    check((link >> 29 & 1u) == 1, "the link is not started");
    check(REG(reg_gpio, 0x530 + 4 * 18) == 27 && REG(reg_gpio, 0x530 + 4 * 19) == 28, "BCK, WS");
    check(REG(reg_gpio, 0x24) == (1u << 18 | 1u << 19), "BCK and WS are driven");
    check(REG(reg_gpio, 0x130 + 4 * 155) == (0x80u | 23u), "SD is GPIO23");
    check(reg_io_mux_i2s_bck >> 12 == 2 && reg_io_mux_i2s_ws >> 12 == 2, "pads of BCK and WS");
    check((reg_io_mux_i2s_sd & 0x7200u) == 0x2200u, "the pad of SD is an input");
    const uint32_t base = (uint32_t)(uintptr_t)reg_i2s0 & 0xFFF00000u;
    descriptor = at(base | (link & 0xFFFFFu));
    REG(reg_i2s0, 0x34) = link & ~(1u << 29);
    filled = 0;
    if (!running) {
        now_us = heard = 0;
    }
    running = true;
}

static void sample(void)
{
    const uint64_t index = heard * AIR_HZ * 1000u / rate_millihertz();
    const uint32_t size = descriptor[0] & 0xFFFu;
    check(size > 0 && size % 4u == 0, "a descriptor's size");
    at(descriptor[1])[filled / 4u] = index < air_count ? (uint32_t)air[index] << 8 : 0;
    filled += 4u;
    heard++;
    if (filled == size) { /* owner: the CPU; end of frame; length */
        descriptor[0] = 1u << 30 | size << 12 | size;
        descriptor = at(descriptor[2]);
        filled = 0;
    }
}

static void pass(uint64_t us)
{
    const bool on = (REG(reg_i2s0, 0x08) & 0x20u) != 0 && !dead;
    if (on && (REG(reg_i2s0, 0x34) >> 29 & 1u) == 1) {
        begin();
    }
    now_us += us;
    while (on && heard * 1000000000u / rate_millihertz() < now_us) {
        sample();
    }
}

uint32_t board_counter(void)
{
    pass(1);
    return (uint32_t)(240u * now_us);
}

int main(int argc, char **argv)
{
    static int16_t samples[MOST];
    FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
    check(file != NULL, "names no file to hear");
    air = malloc(1u << 22);
    check(air != NULL, "memory");
    air_count = fread(air, sizeof(air[0]), 1u << 20, file);
    (void)fclose(file);
    REG(reg_rtc_cntl, 0x70) = strcmp(argv[2], "crystal") == 0 ? 0u : 1u << 27;
    dead = strcmp(argv[2], "dead") == 0;
    const board_sensor_t *sensor = board_sensor_start();
    if (sensor == NULL) {
        return 4;
    }
    fwrite(&sensor->rate_millihertz, 4, 1, stdout);
    unsigned us = 0, capacity = 0;
    while (scanf("%u %u", &us, &capacity) == 2 && (capacity <= MOST || capacity == RESTART)) {
        uint32_t head[2] = {0, 0};
        pass(us);
        if (capacity == RESTART) {
            check(board_sensor_start() != NULL, "does not start anew");
        } else {
            head[0] = (uint32_t)board_sensor_read(samples, capacity, &head[1]);
        }
        fwrite(head, sizeof(head), 1, stdout);
        fwrite(samples, sizeof(samples[0]), head[0], stdout);
    }
    return 0;
}
