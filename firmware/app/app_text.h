/* Lines of text for people, without printf. */
#ifndef APP_TEXT_H
#define APP_TEXT_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t bytes[80]; /* waiting to be sent together */
    size_t length;
} app_text_t;

void app_text(app_text_t *out, const char *text);
void app_text_u32(app_text_t *out, uint32_t value);

/* `value` in decimal, with spaces before it up to `width` characters. */
void app_text_column(app_text_t *out, uint32_t value, size_t width);

/* `length` bytes as two hexadecimal digits each. */
void app_text_hex(app_text_t *out, const uint8_t *data, size_t length);

/* End the line and send everything. */
void app_text_end(app_text_t *out);

/* A whole line at once. */
void app_text_line(app_text_t *out, const char *text);

#endif
