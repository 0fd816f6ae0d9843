/* Runs a Zephyr application on the doubles: a sample is 9.80665 m/s^2 and 1 rad/s on each axis; the
 * sleep with number PAUSED lasts a second too long, and the one with number LAST ends the program.
 */
#include <zephyr/device.h>
#include <zephyr/drivers/sensor.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define HZ 32768

const struct device device_double = {1};
static int64_t now;
static int sleeps;

bool device_is_ready(const struct device *device)
{
    return device == &device_double;
}

int sensor_sample_fetch(const struct device *device)
{
    return device->number - 1;
}

int sensor_channel_get(const struct device *device, enum sensor_channel channel,
                       struct sensor_value *value)
{
    for (int i = 0; i < 3; i++) {
        value[i] = channel == SENSOR_CHAN_ACCEL_XYZ ? (struct sensor_value){9, 806650}
                                                    : (struct sensor_value){1, 0};
    }
    return device->number - 1;
}

int32_t k_sleep(k_timeout_t timeout)
{
    now = timeout.ticks > now ? timeout.ticks : now;
    sleeps++;
    now += sleeps == PAUSED ? HZ : 0;
    if (sleeps == LAST) {
        printf("ticks %lld\n", (long long)now);
        exit(0);
    }
    return 0;
}

int32_t k_msleep(int32_t milliseconds)
{
    return k_sleep((k_timeout_t){now + milliseconds * HZ / 1000});
}

int64_t k_uptime_ticks(void)
{
    return now;
}

uint64_t k_ns_to_ticks_near64(uint64_t nanoseconds)
{
    return (nanoseconds * HZ + 500000000u) / 1000000000u;
}

uint32_t k_cycle_get_32(void)
{
    return (uint32_t)now;
}

uint32_t k_cyc_to_us_near32(uint32_t cycles)
{
    return cycles;
}

void printk(const char *format, ...)
{
    va_list more;
    va_start(more, format);
    vprintf(format, more);
    va_end(more);
}
