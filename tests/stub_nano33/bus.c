/* The registers behind the LSM9DS1's driver, as memory that a model of pins, bus and sensor looks
 * at whenever the driver reads the counter. */
#include "nrf52840_lsm9ds1/sensor.c"

#define LOOK_TICKS 640u /* 0.01 ms at 64 MHz */
#define PIN(number) (1u << ((number) % 32u))

volatile uint32_t reg_clock[1024];
volatile uint32_t reg_twim0[1024];
volatile uint32_t reg_gpio_p0[1024];
volatile uint32_t reg_gpio_p1[1024];

typedef struct {
    uint32_t power_ticks; /* of the counter when the pin went high; 0 = never */
    uint32_t power_configuration;
    uint32_t pullup_ticks;
    uint32_t trace_at_pullup;
    uint32_t transfer_ticks; /* the first */
    uint32_t frequency;
    uint32_t reset_ticks; /* when the reset was written */
    uint32_t next_ticks;  /* the first transfer after it */
} seen_t;

const board_sensor_t *bus_run(seen_t *result);

static uint32_t now = 1;
static seen_t seen;

static void transferred(void)
{
    reg_twim0[TWIM_STARTTX / 4] = 0;
    reg_twim0[TWIM_STOPPED / 4] = 1;
    if (seen.transfer_ticks == 0) {
        seen.transfer_ticks = now;
        seen.frequency = reg_twim0[TWIM_FREQUENCY / 4];
    }
    if (seen.reset_ticks != 0 && seen.next_ticks == 0) {
        seen.next_ticks = now;
    }
    if (sent[0] == CTRL_REG8 && sent[1] == SOFT_RESET) {
        seen.reset_ticks = now;
    }
    if (sent[0] == WHO_AM_I) {
        received[0] = IMU_IS_LSM9DS1;
    }
}

uint32_t board_counter(void)
{
    now += LOOK_TICKS;
    const uint32_t power = reg_gpio_p0[GPIO_OUTSET / 4] & reg_gpio_p0[GPIO_DIRSET / 4];
    const uint32_t pullup = reg_gpio_p1[GPIO_OUTSET / 4] & reg_gpio_p1[GPIO_DIRSET / 4];
    if (seen.power_ticks == 0 && (power & PIN(BOARD_PIN_SENSOR_POWER)) != 0) {
        seen.power_ticks = now;
    }
    if (seen.pullup_ticks == 0 && (pullup & PIN(BOARD_PIN_SENSOR_PULLUP)) != 0) {
        seen.pullup_ticks = now;
        seen.trace_at_pullup = reg_clock[CLOCK_TRACECONFIG / 4];
        seen.power_configuration = reg_gpio_p0[GPIO_PIN_CNF / 4 + BOARD_PIN_SENSOR_POWER];
    }
    if (reg_twim0[TWIM_STARTTX / 4] != 0) {
        transferred();
    }
    return now;
}

const board_sensor_t *bus_run(seen_t *result)
{
    reg_clock[CLOCK_TRACECONFIG / 4] = 2; /* as a debugger may have left it */
    const board_sensor_t *found = board_sensor_start();
    *result = seen;
    return found;
}
