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

static uint32_t in_file;
static uint32_t out_file;
static uint32_t replay_file = NO_FILE;

static uint32_t semihost_open(const char *path, uint32_t length, uint32_t mode)
{
    const uint32_t block[3] = {(uint32_t)(uintptr_t)path, mode, length};
    return semihost(SYS_OPEN, block);
}

static uint32_t open_pipe(const char *path, uint32_t length, uint32_t mode)
{
    uint32_t file = semihost_open(path, length, mode);
    if (file == NO_FILE) {
        board_fault_text("fault: no named pipe ");
        board_fault_text(path);
        board_fault_stop(1);
    }
    return file;
}

void semihost_link(void)
{
    in_file = open_pipe("in", 2, OPEN_READ_BINARY);
    out_file = open_pipe("out", 3, OPEN_WRITE_BINARY);
}

/* SYS_READ tells how many are missing */
static size_t semihost_read(uint32_t file, void *data, size_t capacity)
{
    const uint32_t block[3] = {file, (uint32_t)(uintptr_t)data, (uint32_t)capacity};
    return capacity - semihost(SYS_READ, block);
}

size_t board_read(uint8_t *data, size_t capacity)
{
    size_t count = semihost_read(in_file, data, capacity);
    if (count == 0) {
        board_fault_stop(0); /* end of file: the host has gone */
    }
    return count;
}

void board_write(const uint8_t *data, size_t length)
{
    while (length > 0) {
        const uint32_t block[3] = {out_file, (uint32_t)(uintptr_t)data, (uint32_t)length};
        size_t missing = semihost(SYS_WRITE, block);
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
        replay_file = semihost_open(REPLAY_FILE, sizeof(REPLAY_FILE) - 1, OPEN_READ_BINARY);
        return replay_file != NO_FILE;
    }
    const uint32_t block[2] = {replay_file, 0};
    return semihost(SYS_SEEK, block) == 0;
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
