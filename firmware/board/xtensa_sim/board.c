/* QEMU's xtensa `sim` machine, core de233_fpu. Simulator calls on standard input and output are the
 * link, standard error takes fault reports. With -icount shift=7 one instruction takes 128 ns and
 * CCOUNT runs at 40 MHz, so 128 counts are 25 instructions: more than five
 * an instruction, which makes counts exact. */
#include "board.h"
#include "common/fault.h"
#include "replay/replay.h"
#include "xtensa/xtensa.h"

#define SIMCALL_EXIT 1
#define SIMCALL_READ 3
#define SIMCALL_WRITE 4
#define SIMCALL_OPEN 5
#define SIMCALL_LSEEK 19
#define STANDARD_INPUT 0u
#define STANDARD_OUTPUT 1u
#define STANDARD_ERROR 2u
#define NO_FILE (-1)

const board_info_t board_info = {
    .counter_num = 25,
    .counter_den = 128,
    .receive_bytes = BOARD_PIPE_BYTES,
};

static int32_t replay_file = NO_FILE;

static int32_t simcall(int32_t operation, uint32_t a, uint32_t b, uint32_t c)
{
    register int32_t a2 __asm__("a2") = operation;
    register uint32_t a3 __asm__("a3") = a;
    register uint32_t a4 __asm__("a4") = b;
    register uint32_t a5 __asm__("a5") = c;
    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
    return a2;
}

void board_init(void)
{
}

size_t board_read(uint8_t *data, size_t capacity)
{
    int32_t count =
        simcall(SIMCALL_READ, STANDARD_INPUT, (uint32_t)(uintptr_t)data, (uint32_t)capacity);
    if (count <= 0) {
        board_fault_stop(0); /* end of file: the host has gone */
    }
    return (size_t)count;
}

void board_write(const uint8_t *data, size_t length)
{
    while (length > 0) {
        int32_t count =
            simcall(SIMCALL_WRITE, STANDARD_OUTPUT, (uint32_t)(uintptr_t)data, (uint32_t)length);
        if (count <= 0) {
            board_fault_stop(0); /* nothing was taken: the host has gone */
        }
        data += count;
        length -= (size_t)count;
    }
}

uint32_t board_counter(void)
{
    return board_ccount();
}

bool replay_open(void)
{
    if (replay_file == NO_FILE) {
        replay_file = simcall(SIMCALL_OPEN, (uint32_t)(uintptr_t)REPLAY_FILE, 0, 0);
        return replay_file != NO_FILE;
    }
    return simcall(SIMCALL_LSEEK, (uint32_t)replay_file, 0, 0) == 0;
}

size_t replay_read(void *data, size_t capacity)
{
    const int32_t count =
        simcall(SIMCALL_READ, (uint32_t)replay_file, (uint32_t)(uintptr_t)data, (uint32_t)capacity);
    return count > 0 ? (size_t)count : 0;
}

void board_fault_text(const char *text)
{
    for (; *text != '\0'; text++) {
        (void)simcall(SIMCALL_WRITE, STANDARD_ERROR, (uint32_t)(uintptr_t)text, 1);
    }
}

_Noreturn void board_fault_stop(uint32_t status)
{
    for (;;) {
        (void)simcall(SIMCALL_EXIT, status, 0, 0);
    }
}
