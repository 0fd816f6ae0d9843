/* Semihosting, of Arm's cores and RISC-V's alike: the host's named pipes `in` and `out` in the
 * emulator's working folder are the link, the file of a recording stands for the sensor, and the
 * emulation ends with a status. */
#include "semihosting.h"
#include "board.h"
#include "common/fault.h"
#include "replay/replay.h"

#define SYS_OPEN 0x01u
#define SYS_WRITE0 0x04u
#define SYS_WRITE 0x05u
#define SYS_READ 0x06u
#define SYS_SEEK 0x0Au
#define SYS_EXIT_EXTENDED 0x20u
#define OPEN_READ_BINARY 1u
#define OPEN_WRITE_BINARY 5u
#define EXIT_APPLICATION 0x20026u
#define NO_FILE 0xFFFFFFFFu

static struct {
    uint32_t in;
    uint32_t out;
} line;
static uint32_t replay_file = NO_FILE;

/* Most operations take three numbers. */
static uint32_t ask(uint32_t operation, uint32_t first, uint32_t second, uint32_t third)
{
    const uint32_t block[3] = {first, second, third};
    return semihost(operation, block);
}

static uint32_t semihost_open(const char *path, uint32_t mode, uint32_t length)
{
    return ask(SYS_OPEN, (uint32_t)(uintptr_t)path, mode, length);
}

static uint32_t open_pipe(const char *path, uint32_t mode, uint32_t length)
{
    uint32_t file = semihost_open(path, mode, length);
    if (file == NO_FILE) {
        board_fault_text("fault: no named pipe ");
        board_fault_text(path);
        board_fault_stop(1);
    }
    return file;
}

void semihost_link(void)
{
    line.in = open_pipe("in", OPEN_READ_BINARY, 2);
    line.out = open_pipe("out", OPEN_WRITE_BINARY, 3);
}

/* SYS_READ tells how many are missing */
static size_t semihost_read(uint32_t file, void *data, size_t capacity)
{
    return capacity - ask(SYS_READ, file, (uint32_t)(uintptr_t)data, (uint32_t)capacity);
}

size_t board_read(uint8_t *data, size_t capacity)
{
    size_t count = semihost_read(line.in, data, capacity);
    if (count == 0) {
        board_fault_stop(0); /* end of file: the host has gone */
    }
    return count;
}

void board_write(const uint8_t *data, size_t length)
{
    while (length > 0) {
        size_t missing = ask(SYS_WRITE, line.out, (uint32_t)(uintptr_t)data, (uint32_t)length);
        if (missing >= length) {
            board_fault_stop(0); /* nothing was taken: the host has gone */
        }
        data += length - missing;
        length = missing;
    }
}

bool replay_open(void)
{
    if (replay_file == NO_FILE) {
        replay_file = semihost_open(REPLAY_FILE, OPEN_READ_BINARY, sizeof(REPLAY_FILE) - 1);
        return replay_file != NO_FILE;
    }
    return ask(SYS_SEEK, replay_file, 0, 0) == 0;
}

size_t replay_read(void *data, size_t capacity)
{
    return semihost_read(replay_file, data, capacity);
}

void board_fault_text(const char *text)
{
    (void)semihost(SYS_WRITE0, text);
}

_Noreturn void board_fault_stop(uint32_t status)
{
    const uint32_t block[2] = {EXIT_APPLICATION, status};
    for (;;) {
        (void)semihost(SYS_EXIT_EXTENDED, block);
    }
}
