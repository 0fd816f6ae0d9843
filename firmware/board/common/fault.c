#include "fault.h"

#include <stddef.h>
#include <string.h>

#include "board.h"
#include "link_frame.h"

#define NOTE_HEADER_WORDS 4 /* of the linker's note, before the build id itself */
#define TEXT_WORDS 64u      /* of the stack, for people */
#define LINE_WORDS 8u
#define DIGITS 8
#define OVERFLOW_BYTES 4096u /* a stack pointer that far below the limit still is one */

/* Given by the linker script. */
extern uint32_t __stack_limit[];
extern uint32_t __stack_top[];
extern const uint32_t __build_note[];

static board_fault_t *reported;

/* Write the text, in it for each # the next value as eight hexadecimal digits. */
static void write_values(const char *text, const uint32_t *values)
{
    for (; *text != '\0'; text++) {
        char piece[DIGITS + 1] = {*text};
        if (*text == '#') {
            uint32_t value = *values++;
            for (int i = 0; i < DIGITS; i++, value <<= 4) {
                const uint32_t digit = value >> 28;
                piece[i] = (char)(digit < 10u ? '0' + digit : 'a' - 10u + digit);
            }
        }
        board_fault_text(piece);
    }
}

static void send_text(const board_fault_t *fault, size_t words)
{
    const uint32_t *stack = (const uint32_t *)(uintptr_t)fault->head.stack;
    write_values(board_fault_words, fault->registers);
    write_values("\r\nbuild=0x#,0x#", &__build_note[NOTE_HEADER_WORDS]);
    for (size_t i = 0; i < words && i < TEXT_WORDS; i++, stack++) {
        const uint32_t address = (uint32_t)(uintptr_t)stack;
        if (i % LINE_WORDS == 0) {
            write_values("\r\nstack 0x#:", &address);
        }
        write_values(" #", stack);
    }
    board_fault_text("\r\n");
}

static void send(board_fault_t *fault)
{
    link_fault_t *const head = &fault->head;
    const uint32_t limit = (uint32_t)(uintptr_t)__stack_limit;
    const uint32_t top = (uint32_t)(uintptr_t)__stack_top;
    if (limit - head->stack <= OVERFLOW_BYTES) { /* the stack is shown from the limit on */
        head->stack = limit;
    }
    uint32_t stack = top - head->stack; /* bytes */
    if (stack > top - limit || stack % 4u != 0) {
        stack = 0; /* the stack pointer is none */
    }
    memcpy(head->build_id, &__build_note[NOTE_HEADER_WORDS], sizeof(head->build_id));
    send_text(fault, stack / 4u);

    const uint32_t length = sizeof(*head) + 4u * head->registers;
    if (stack > LINK_MAX_PAYLOAD - length) {
        stack = LINK_MAX_PAYLOAD - length;
    }
    const link_frame_t frame = {
        .type = LINK_FAULT | LINK_REPLY,
        .length = (uint16_t)(length + stack),
        .payload = (const uint8_t *)fault,
    };
    link_send(&frame, (const void *)(uintptr_t)head->stack, stack, board_write);
}

_Noreturn void board_fault_report(board_fault_t *fault, uint32_t status)
{
    if (reported == NULL) {
        reported = fault;
        send(fault);
    }
    board_fault_stop(status);
}

void board_fault_repeat(void)
{
    uint8_t byte;
    if (reported == NULL || board_read(&byte, 1) == 0) {
        return;
    }
    while (board_read(&byte, 1) != 0) {
    }
    send(reported);
}
