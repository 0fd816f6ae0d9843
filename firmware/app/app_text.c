#include "app_text.h"

#include "board.h"

#define DIGITS 10 /* of the largest 32-bit number */

static void flush(app_text_t *out)
{
    if (out->length > 0) {
        board_write(out->bytes, out->length);
        out->length = 0;
    }
}

static void put(app_text_t *out, char character)
{
    if (out->length == sizeof(out->bytes)) {
        flush(out);
    }
    out->bytes[out->length++] = (uint8_t)character;
}

void app_text(app_text_t *out, const char *text)
{
    while (*text != '\0') {
        put(out, *text++);
    }
}

void app_text_column(app_text_t *out, uint32_t value, size_t width)
{
    char digits[DIGITS];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    for (size_t i = count; i < width; i++) {
        put(out, ' ');
    }
    while (count > 0) {
        put(out, digits[--count]);
    }
}

void app_text_u32(app_text_t *out, uint32_t value)
{
    app_text_column(out, value, 0);
}

void app_text_hex(app_text_t *out, const uint8_t *data, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        put(out, digits[data[i] >> 4]);
        put(out, digits[data[i] & 0x0Fu]);
    }
}

void app_text_end(app_text_t *out)
{
    app_text(out, "\r\n");
    flush(out);
}

void app_text_line(app_text_t *out, const char *text)
{
    app_text(out, text);
    app_text_end(out);
}
