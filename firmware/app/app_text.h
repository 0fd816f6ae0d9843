/* Lines of text for people, without printf. */
#ifndef APP_TEXT_H
#define APP_TEXT_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    size_t length;
    uint8_t bytes[80]; /* waiting to be sent together */
} app_text_t;

/* Write `text`, in which each # stands for the next value, a uint32_t, in decimal, each ~ for it as
 * two hexadecimal digits, and each $ for a text that is written as it is. Lines end with \r\n,
 * which sends everything. */
void app_text(app_text_t *out, const char *text, ...);

#endif
