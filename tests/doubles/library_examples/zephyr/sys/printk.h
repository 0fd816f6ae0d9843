/* A double of Zephyr's zephyr/sys/printk.h. */
void printk(const char *format, ...);
