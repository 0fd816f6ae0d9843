/* The firmware as a process: the line is standard input and output.
 *
 * The counter runs in nanoseconds. The stack is the system's, so its use is not known.
 */
#define _POSIX_C_SOURCE 199309L

#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "replay/replay.h"

const board_info_t board_info = {
    .counter_num = 1,
    .counter_den = 1,
    .receive_bytes = BOARD_PIPE_BYTES,
};

static int replay_file = -1;

void board_init(void)
{
}

size_t board_read(uint8_t *data, size_t capacity)
{
    ssize_t count;
    do {
        count = read(STDIN_FILENO, data, capacity);
    } while (count < 0 && errno == EINTR);
    if (count <= 0) {
        exit(EXIT_SUCCESS); /* the host has closed the line */
    }
    return (size_t)count;
}

void board_write(const uint8_t *data, size_t length)
{
    while (length > 0) {
        const ssize_t count = write(STDOUT_FILENO, data, length);
        if (count < 0 && errno != EINTR) {
            exit(EXIT_FAILURE);
        }
        if (count > 0) {
            data += count;
            length -= (size_t)count;
        }
    }
}

uint32_t board_counter(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)now.tv_sec * 1000000000u + (uint32_t)now.tv_nsec;
}

size_t board_stack_bytes(void)
{
    return 0;
}

size_t board_stack_used(void)
{
    return 0;
}

bool replay_open(void)
{
    if (replay_file < 0) {
        replay_file = open(REPLAY_FILE, O_RDONLY);
        return replay_file >= 0;
    }
    return lseek(replay_file, 0, SEEK_SET) == 0;
}

size_t replay_read(void *data, size_t capacity)
{
    const ssize_t count =
        read(replay_file, data, capacity); /* a regular file: whole or at its end */
    return count > 0 ? (size_t)count : 0;
}
