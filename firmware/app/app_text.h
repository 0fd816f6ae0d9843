/* Lines of text for people, without printf. */
#ifndef APP_TEXT_H
#define APP_TEXT_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    size_t length;
    uint8_t bytes[80]; /* waiting to be sent together */
} app_text_t;

/* Lines end with \r\n, which sends everything. */
void app_text(app_text_t *out, const char *text);

/* The text, in which each # stands for the next value in decimal, each ~ for it as two hexadecimal
 * digits. */
void app_text_values(app_text_t *out, const char *text, const uint32_t *values);

/* `length` bytes as two hexadecimal digits each. */
void app_text_hex(app_text_t *out, const uint8_t *data, size_t length);

#endif
