#include "fault.h"

#include <stddef.h>
#include <string.h>

#include "board.h"
#include "link_frame.h"

#define NOTE_HEADER_WORDS 4 /* of the linker's note, before the build id itself */
#define TEXT_WORDS 64u      /* of the stack, for people */
#define LINE_WORDS 8u
#define OVERFLOW_BYTES 4096u /* a stack pointer that far below the limit still is one */

/* Given by the linker script. */
extern uint32_t __stack_limit[];
extern uint32_t __stack_top[];
extern const uint32_t __build_note[];

static const board_fault_t *reported;

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

/* Where what is sent of the stack begins: the stack pointer, or after an overflow the limit. */
static const uint32_t *stack_start(const board_fault_t *fault)
{
    const uintptr_t sp = (uintptr_t)fault->sp;
    const uintptr_t limit = (uintptr_t)__stack_limit;
    return sp < limit && limit - sp <= OVERFLOW_BYTES ? __stack_limit : fault->sp;
}

/* As many bytes of the stack as are there, from `start` up. */
static size_t stack_bytes(const uint32_t *start)
{
    if (start < __stack_limit || start > __stack_top || ((uintptr_t)start & 3u) != 0) {
        return 0;
    }
    return (uintptr_t)__stack_top - (uintptr_t)start;
}

static void send_text(const board_fault_t *fault, const uint32_t *stack, size_t words)
{
    board_fault_values(fault->text, fault->registers);
    board_fault_values("\r\nbuild=0x#,0x#", &__build_note[NOTE_HEADER_WORDS]);
    for (size_t i = 0; i < words && i < TEXT_WORDS; i++, stack++) {
        const uint32_t address = (uint32_t)(uintptr_t)stack;
        if (i % LINE_WORDS == 0) {
            board_fault_values("\r\nstack 0x#:", &address);
        }
        board_fault_values(" #", stack);
    }
    board_fault_text("\r\n");
}

static void send(const board_fault_t *fault)
{
    struct {
        link_fault_t head;
        uint32_t registers[LINK_FAULT_REGISTERS];
    } payload;
    link_fault_t *const head = &payload.head;
    const uint32_t *const start = stack_start(fault);
    size_t stack = stack_bytes(start);
    memcpy(head->build_id, &__build_note[NOTE_HEADER_WORDS], sizeof(head->build_id));
    head->machine = fault->machine;
    head->registers = fault->count;
    head->flags = fault->flags;
    head->stack = (uint32_t)(uintptr_t)start;
    memcpy(payload.registers, fault->registers, 4u * fault->count);
    send_text(fault, start, stack / 4u);

    const size_t length = sizeof(*head) + 4u * fault->count;
    if (stack > LINK_MAX_PAYLOAD - length) {
        stack = LINK_MAX_PAYLOAD - length;
    }
    const link_frame_t frame = {
        .type = LINK_FAULT | LINK_REPLY,
        .length = (uint16_t)(length + stack),
        .payload = (const uint8_t *)&payload,
    };
    link_send(&frame, start, stack, board_write);
}

_Noreturn void board_fault_report(const board_fault_t *fault)
{
    if (reported == NULL) {
        reported = fault;
        send(fault);
    }
    board_fault_stop(fault->status);
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
