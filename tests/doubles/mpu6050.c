/* An MPU-6050 on two lines of an ESP32's GPIO registers, bit by bit: it looks at the lines whenever
 * the port asks for the time. Standard input: pairs of numbers, the milliseconds that pass and the
 * capacity of the read that follows; argv: absent (nobody answers) or stuck (the last answer goes
 * on). Standard output, for each read: count, state, the samples. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"

#define REG(block, offset) ((block)[(offset) / 4u])
#define SDA (1u << 21)
#define SCL (1u << 22)
#define FIFO_BYTES 1024u

volatile uint32_t reg_gpio[0x800 / 4];
volatile uint32_t reg_io_mux_sda, reg_io_mux_scl;

static uint8_t registers[128];
static uint8_t fifo[FIFO_BYTES];
static uint32_t fifo_count;
static uint64_t ticks, due; /* 240 MHz */
static int16_t number;      /* of the next sample */
static bool absent;

static uint32_t driven; /* lines that the port drives low */
static bool own_low;    /* SDA held by this chip */
static uint32_t before = SDA | SCL;
static uint32_t bits, byte, count_of_bytes, place;
static bool active, reading, answered;

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "MPU-6050 double: %s\n", what);
        exit(3);
    }
}

static void measure(void)
{
    const int16_t values[6] = {number, (int16_t)-number, 2048, 1640, -1640, (int16_t)(-number * 2)};
    number++;
    if (fifo_count + 12u > FIFO_BYTES) {
        registers[0x3A] |= 0x10;
        return;
    }
    for (uint32_t i = 0; i < 6; i++) {
        fifo[fifo_count++] = (uint8_t)((uint16_t)values[i] >> 8);
        fifo[fifo_count++] = (uint8_t)values[i];
    }
}

static void write_register(uint32_t value)
{
    registers[place] = (uint8_t)value;
    if (place == 0x6B && (value & 0x80) != 0) {
        memset(registers, 0, sizeof(registers));
        registers[0x6B] = 0x40; /* asleep */
        registers[0x75] = 0x68;
    } else if (place == 0x6A && (value & 0x04) != 0) {
        fifo_count = 0;
        due = ticks + 4800000u;
    }
    place++;
}

static uint32_t read_register(void)
{
    uint32_t value = registers[place];
    if (place == 0x74) {
        value = fifo_count > 0 ? fifo[0] : 0xFF;
        fifo_count -= fifo_count > 0 ? 1u : 0u;
        memmove(fifo, fifo + 1, fifo_count);
        return value; /* the address stays */
    }
    value = place == 0x72 ? fifo_count >> 8 : place == 0x73 ? fifo_count & 0xFFu : value;
    registers[0x3A] = place == 0x3A ? 0 : registers[0x3A];
    place++;
    return value;
}

/* A byte of the port's is complete: whether this chip acknowledges. */
static bool take_byte(void)
{
    count_of_bytes++;
    if (count_of_bytes == 1) {
        answered = !absent && byte >> 1 == 0x68;
        reading = (byte & 1u) != 0;
        return answered;
    }
    if (answered && !reading && count_of_bytes == 2) {
        place = byte & 127u;
    } else if (answered && !reading) {
        write_register(byte);
    }
    return answered;
}

static void clock_fell(void)
{
    own_low = false;
    if (bits == 8 && (!reading || count_of_bytes == 0)) {
        own_low = take_byte();
    } else if (bits == 9) {
        bits = 0;
        byte = reading && answered ? read_register() : 0;
    }
    if (reading && answered && count_of_bytes > 0 && bits < 8) {
        own_low = (byte << bits & 0x80u) == 0;
    }
}

static void clock_rose(bool high)
{
    if (bits < 8 && (!reading || count_of_bytes == 0)) {
        byte = byte << 1 | (high ? 1u : 0u);
    } else if (bits == 8 && reading && count_of_bytes > 0 && high && !own_low) {
        answered = false; /* the port wants no more */
    }
    bits++;
}

static void look(void)
{
    driven |= REG(reg_gpio, 0x24);
    driven &= ~REG(reg_gpio, 0x28);
    REG(reg_gpio, 0x24) = REG(reg_gpio, 0x28) = 0;
    uint32_t lines = (SDA | SCL) & ~driven & ~(own_low ? SDA : 0);
    const uint32_t changed = lines ^ before;
    if ((changed & SDA) != 0 && (lines & before & SCL) != 0) {
        active = (lines & SDA) == 0; /* a start, or a stop */
        bits = byte = count_of_bytes = 0;
        reading = answered = own_low = false;
    } else if (active && (changed & SCL) != 0) {
        if ((lines & SCL) != 0) {
            clock_rose((lines & SDA) != 0);
        } else if (bits > 0) {
            clock_fell();
        }
        lines = (SDA | SCL) & ~driven & ~(own_low ? SDA : 0);
    }
    before = lines;
    REG(reg_gpio, 0x3C) = lines;
}

static void pass(uint64_t more)
{
    ticks += more;
    const bool on = registers[0x6B] == 1 && registers[0x6A] == 0x44 && registers[0x23] == 0x78;
    while (on && ticks >= due) {
        check(registers[0x19] == 19 && (registers[0x1A] & 7) != 0, "50 Hz");
        check(registers[0x1B] == 0x18 && registers[0x1C] == 0x18, "the largest ranges");
        measure();
        due += 4800000u;
    }
}

uint32_t board_counter(void)
{
    pass(240);
    look();
    return (uint32_t)ticks;
}

int main(int argc, char **argv)
{
    static int16_t samples[6 * 128];
    absent = argc == 2 && strcmp(argv[1], "absent") == 0;
    registers[0x75] = 0x68;
    if (argc == 2 && strcmp(argv[1], "stuck") == 0) { /* in the midst of sending 00 */
        active = reading = answered = own_low = true;
        bits = count_of_bytes = 1;
    }
    const board_sensor_t *sensor = board_sensor_start();
    if (sensor == NULL) {
        return 4;
    }
    check(REG(reg_gpio, 0x0C) == (SDA | SCL), "lines go low when they are driven");
    fwrite(&sensor->rate_millihertz, 4, 1, stdout);
    unsigned ms = 0, capacity = 0;
    while (scanf("%u %u", &ms, &capacity) == 2 && capacity <= 128) {
        uint32_t head[2] = {0, 0};
        pass(240000ull * ms);
        absent = absent || ms == 9999;
        head[0] = (uint32_t)board_sensor_read(samples, capacity, &head[1]);
        fwrite(head, sizeof(head), 1, stdout);
        fwrite(samples, 2 * 6, head[0], stdout);
    }
    return 0;
}
