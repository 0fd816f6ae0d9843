#include "fault.h"

static void put(uint32_t character)
{
    const char text[2] = {(char)character, '\0'};
    board_fault_text(text);
}

void board_fault_values(const char *text, const uint32_t *values)
{
    for (; *text != '\0'; text++) {
        if (*text != '#') {
            put((uint8_t)*text);
            continue;
        }
        for (int shift = 28; shift >= 0; shift -= 4) {
            const uint32_t digit = (*values >> shift) & 15u;
            put(digit < 10u ? '0' + digit : 'a' - 10u + digit);
        }
        values++;
    }
}
