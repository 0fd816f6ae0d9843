#include "fault.h"

void board_fault_value(const char *name, uint32_t value)
{
    char digits[11] = "0x00000000";
    for (int i = 9; i >= 2; i--) {
        digits[i] = "0123456789abcdef"[value & 15u];
        value >>= 4;
    }
    board_fault_text(" ");
    board_fault_text(name);
    board_fault_text("=");
    board_fault_text(digits);
}
