/* A double of Zephyr's zephyr/kernel.h with a clock of 32768 ticks a second. */
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t ticks;
} k_timeout_t;
#define K_TIMEOUT_ABS_TICKS(t) ((k_timeout_t){t})

int32_t k_sleep(k_timeout_t timeout);
int32_t k_msleep(int32_t milliseconds);
int64_t k_uptime_ticks(void);
uint64_t k_ns_to_ticks_near64(uint64_t nanoseconds);
uint32_t k_cycle_get_32(void);
uint32_t k_cyc_to_us_near32(uint32_t cycles);
