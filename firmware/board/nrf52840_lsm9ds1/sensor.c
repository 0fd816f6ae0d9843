/* The LSM9DS1 of the Arduino Nano 33 BLE (not Rev2): accelerometer and gyroscope at 59.5 Hz, on
 * the board's inner I2C bus. The chip keeps 32 samples, 0.54 s, so nothing is lost while the host
 * asks more often than that. Unverified on hardware. */
#include <stdbool.h>

#include "board.h"
#include "nrf52840/gpio.h"

#define CLOCK_TRACECONFIG 0x55Cu
#define TWIM_STARTTX 0x008u
#define TWIM_STOP 0x014u
#define TWIM_STOPPED 0x104u
#define TWIM_ERROR 0x124u
#define TWIM_SHORTS 0x200u
#define TWIM_ENABLE 0x500u
#define TWIM_PSEL_SCL 0x508u
#define TWIM_PSEL_SDA 0x50Cu
#define TWIM_FREQUENCY 0x524u
#define TWIM_RXD_PTR 0x534u
#define TWIM_RXD_MAXCNT 0x538u
#define TWIM_TXD_PTR 0x544u
#define TWIM_TXD_MAXCNT 0x548u
#define TWIM_ADDRESS 0x588u

#define LASTTX_STARTRX (1u << 7)
#define LASTTX_STOP (1u << 9)
#define LASTRX_STOP (1u << 12)
#define ENABLE_TWIM 6u
#define HZ_250K 0x04000000u /* 400 kHz breaks I2C's timing: anomaly 219, see nano33.json */
#define POWER_TICKS 640000  /* 10 ms at 64 MHz */
#define ANSWER_TICKS 640000 /* 10 ms; the longest transfer takes 0.4 ms */
#define START_TICKS 2560000 /* 40 ms: supply and reset */

#define IMU_ADDRESS 0x6Bu
#define IMU_IS_LSM9DS1 0x68u
#define WHO_AM_I 0x0Fu
#define CTRL_REG1_G 0x10u
#define OUT_X_G 0x18u
#define CTRL_REG6_XL 0x20u
#define CTRL_REG8 0x22u
#define CTRL_REG9 0x23u
#define OUT_X_XL 0x28u
#define FIFO_CTRL 0x2Eu
#define FIFO_SRC 0x2Fu
#define SOFT_RESET 0x05u    /* and increment of addresses */
#define WHOLE_SAMPLES 0x44u /* no half-updated sample, increment of addresses */
#define RATE_59_2000 0x58u  /* 59.5 Hz, 2000 degrees a second */
#define RATE_59_16G 0x48u   /* 59.5 Hz, 16 g */
#define FIFO_ON 0x02u       /* in CTRL_REG9 */
#define FIFO_BYPASS 0x00u   /* empties it */
#define FIFO_CONTINUOUS 0xC0u
#define FIFO_OVERRUN 0x40u
#define FIFO_COUNT 0x3Fu

#define AXES 3
#define CHANNELS (2 * AXES)

/* Given by the linker script. */
extern volatile uint32_t reg_clock[];
extern volatile uint32_t reg_twim0[];

/* 0.732 mg and 70 mdps a step */
static const board_sensor_channel_t channels[CHANNELS] = {
    {"ax", "g", 732000},      {"ay", "g", 732000},      {"az", "g", 732000},
    {"wx", "rad/s", 1221730}, {"wy", "rad/s", 1221730}, {"wz", "rad/s", 1221730},
};
static const board_sensor_t sensor = {
    .rate_millihertz = 59500,
    .channels = CHANNELS,
    .channel = channels,
};

static void wait(uint32_t ticks)
{
    const uint32_t start = board_counter();
    while (board_counter() - start < ticks) {
    }
}

static void bus_init(void)
{
    /* in the order of the Arduino core's initVariant, see nano33.json, "sensor power" */
    REG(reg_clock, CLOCK_TRACECONFIG) = 0; /* P1.00 is the trace output too */
    gpio_drive_high(BOARD_PIN_SENSOR_POWER);
    gpio_configure(BOARD_PIN_SENSOR_POWER, GPIO_OUTPUT_STRONG);
    wait(POWER_TICKS);
    gpio_drive_high(BOARD_PIN_SENSOR_PULLUP); /* supply of the bus's pull-ups */
    gpio_configure(BOARD_PIN_SENSOR_SDA, GPIO_OPEN_DRAIN);
    gpio_configure(BOARD_PIN_SENSOR_SCL, GPIO_OPEN_DRAIN);
    REG(reg_twim0, TWIM_ENABLE) = 0;
    REG(reg_twim0, TWIM_PSEL_SCL) = BOARD_PIN_SENSOR_SCL;
    REG(reg_twim0, TWIM_PSEL_SDA) = BOARD_PIN_SENSOR_SDA;
    REG(reg_twim0, TWIM_FREQUENCY) = HZ_250K;
    REG(reg_twim0, TWIM_ADDRESS) = IMU_ADDRESS;
    REG(reg_twim0, TWIM_ENABLE) = ENABLE_TWIM;
}

/* Wait for the end of a transfer; false when the sensor does not answer. */
static bool transfer(uint32_t shorts)
{
    const uint32_t start = board_counter();
    bool good = true;
    REG(reg_twim0, TWIM_SHORTS) = shorts;
    REG(reg_twim0, TWIM_STOPPED) = 0;
    REG(reg_twim0, TWIM_ERROR) = 0;
    REG(reg_twim0, TWIM_STARTTX) = 1;
    while (REG(reg_twim0, TWIM_STOPPED) == 0) {
        if (REG(reg_twim0, TWIM_ERROR) != 0) {
            REG(reg_twim0, TWIM_ERROR) = 0;
            REG(reg_twim0, TWIM_STOP) = 1;
            good = false;
        }
        if (board_counter() - start > ANSWER_TICKS) {
            return false;
        }
    }
    return good;
}

/* The bus reads and writes RAM by itself: these must not lie in flash or in registers. */
static volatile uint8_t sent[2];
static volatile uint8_t received[2 * AXES];

static bool write_register(uint8_t number, uint8_t value)
{
    sent[0] = number;
    sent[1] = value;
    REG(reg_twim0, TWIM_TXD_PTR) = (uint32_t)(uintptr_t)sent;
    REG(reg_twim0, TWIM_TXD_MAXCNT) = 2;
    return transfer(LASTTX_STOP);
}

/* `count` registers from `number` on, into `received`. */
static bool read_registers(uint8_t number, uint32_t count)
{
    sent[0] = number;
    REG(reg_twim0, TWIM_TXD_PTR) = (uint32_t)(uintptr_t)sent;
    REG(reg_twim0, TWIM_TXD_MAXCNT) = 1;
    REG(reg_twim0, TWIM_RXD_PTR) = (uint32_t)(uintptr_t)received;
    REG(reg_twim0, TWIM_RXD_MAXCNT) = count;
    return transfer(LASTTX_STARTRX | LASTRX_STOP);
}

const board_sensor_t *board_sensor_start(void)
{
    bus_init();
    wait(START_TICKS);
    if (!write_register(CTRL_REG8, SOFT_RESET)) {
        return NULL;
    }
    wait(START_TICKS);
    if (!read_registers(WHO_AM_I, 1) || received[0] != IMU_IS_LSM9DS1) {
        return NULL;
    }
    const bool good =
        write_register(CTRL_REG8, WHOLE_SAMPLES) && write_register(CTRL_REG1_G, RATE_59_2000) &&
        write_register(CTRL_REG6_XL, RATE_59_16G) && write_register(CTRL_REG9, FIFO_ON) &&
        write_register(FIFO_CTRL, FIFO_BYPASS) && write_register(FIFO_CTRL, FIFO_CONTINUOUS);
    return good ? &sensor : NULL;
}

static bool read_axes(uint8_t number, int16_t *axes)
{
    if (!read_registers(number, 2 * AXES)) {
        return false;
    }
    for (uint32_t i = 0; i < AXES; i++) {
        axes[i] = (int16_t)(uint16_t)(received[2 * i] | received[2 * i + 1] << 8);
    }
    return true;
}

size_t board_sensor_read(int16_t *samples, size_t capacity, uint32_t *state)
{
    if (!read_registers(FIFO_SRC, 1)) {
        *state |= BOARD_SENSOR_FAILED;
        return 0;
    }
    if ((received[0] & FIFO_OVERRUN) != 0) {
        *state |= BOARD_SENSOR_OVERRUN;
    }
    const size_t waiting = received[0] & FIFO_COUNT;
    const size_t count = waiting < capacity ? waiting : capacity;
    for (size_t i = 0; i < count; i++, samples += CHANNELS) {
        if (!read_axes(OUT_X_G, &samples[AXES]) || !read_axes(OUT_X_XL, samples)) {
            *state |= BOARD_SENSOR_FAILED;
            return i;
        }
    }
    return count;
}
