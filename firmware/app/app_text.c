#include "app_text.h"

#include "board.h"

#define DIGITS 10 /* of the largest 32-bit number */

static void put(app_text_t *out, uint32_t character)
{
    out->bytes[out->length++] = (uint8_t)character;
    if (character == '\n' || out->length == sizeof(out->bytes)) {
        board_write(out->bytes, out->length);
        out->length = 0;
    }
}

void app_text(app_text_t *out, const char *text)
{
    while (*text != '\0') {
        put(out, (uint8_t)*text++);
    }
}

static void put_u32(app_text_t *out, uint32_t value)
{
    char digits[DIGITS + 1];
    char *first = &digits[DIGITS];
    *first = '\0';
    do {
        *--first = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    app_text(out, first);
}

static void put_digit(app_text_t *out, uint32_t digit)
{
    put(out, digit < 10u ? '0' + digit : 'a' - 10u + digit);
}

static void put_hex(app_text_t *out, uint32_t byte)
{
    put_digit(out, (byte >> 4) & 15u);
    put_digit(out, byte & 15u);
}

void app_text_hex(app_text_t *out, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        put_hex(out, data[i]);
    }
}

void app_text_values(app_text_t *out, const char *text, const uint32_t *values)
{
    for (; *text != '\0'; text++) {
        if (*text == '#') {
            put_u32(out, *values++);
        } else if (*text == '~') {
            put_hex(out, *values++);
        } else {
            put(out, (uint8_t)*text);
        }
    }
}
