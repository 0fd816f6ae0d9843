/* A double of ESP-IDF's freertos/task.h, to compile against. */
void vTaskDelay(const TickType_t ticks);
void app_main(void);
