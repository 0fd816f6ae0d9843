#include "app_text.h"

#include <stdarg.h>
#include <stdbool.h>

#include "board.h"

#define DIGITS 10 /* of the largest 32-bit number */
#define BYTE_AND_ONE 0x100u

static struct {
    uint8_t bytes[80];
    size_t length;
} waiting; /* to be sent together */

static void put(char character)
{
    waiting.bytes[waiting.length++] = (uint8_t)character;
    if (character == '\n' || waiting.length == sizeof(waiting.bytes)) {
        board_write(waiting.bytes, waiting.length);
        waiting.length = 0;
    }
}

void app_text(const char *text, ...)
{
    va_list values;
    va_start(values, text);
    for (; *text != '\0'; text++) {
        char piece[DIGITS + 1];
        char *digit = &piece[DIGITS];
        const char *from = digit;
        const bool hex = *text == '~';
        *digit = '\0';
        if (*text == '$') {
            from = va_arg(values, const char *);
        } else if (*text == '#' || hex) {
            const uint32_t base = hex ? 16 : 10;
            uint32_t value = va_arg(values, uint32_t) + (hex ? BYTE_AND_ONE : 0);
            do {
                const uint32_t low = value % base;
                const uint32_t character = low < 10u ? '0' + low : 'a' - 10u + low;
                *--digit = (char)character;
                value /= base;
            } while (value != 0);
            from = &digit[hex]; /* without the one */
        } else {
            *--digit = *text;
            from = digit;
        }
        while (*from != '\0') {
            put(*from++);
        }
    }
    va_end(values);
}
