#include "board.h"
#include "stack.h"

#define PAINT 0xC3C3C3C3u /* one byte four times: an immediate operand of a Cortex-M */
#define MARGIN_WORDS 16   /* room for what the compiler keeps below the frame address */

/* Given by the linker script; both are 16-byte aligned. */
extern uint32_t __stack_limit[];
extern uint32_t __stack_top[];
extern const char STACK_BYTES[]; /* its address is the number */

void board_stack_paint(void)
{
    volatile uint32_t *word = __stack_limit;
    const uint32_t *end = (const uint32_t *)__builtin_frame_address(0) - MARGIN_WORDS;
    while (word < end) {
        *word++ = PAINT;
    }
}

size_t board_stack_bytes(void)
{
    return (size_t)(uintptr_t)STACK_BYTES;
}

size_t board_stack_used(void)
{
    const volatile uint32_t *word = __stack_limit;
    while (*word == PAINT) { /* this very function's caller has written there */
        word++;
    }
    return (size_t)((uintptr_t)__stack_top - (uintptr_t)word);
}
