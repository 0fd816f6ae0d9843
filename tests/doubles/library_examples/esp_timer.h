/* A double of ESP-IDF's esp_timer.h, to compile against. */
#include <stdint.h>
int64_t esp_timer_get_time(void);
