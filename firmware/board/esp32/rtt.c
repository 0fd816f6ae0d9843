#include "rtt.h"

#define UP_MASK (BOARD_RTT_UP_BYTES - 1)
#define DOWN_MASK (BOARD_RTT_DOWN_BYTES - 1)

_Static_assert((BOARD_RTT_UP_BYTES & UP_MASK) == 0, "a power of two");
_Static_assert((BOARD_RTT_DOWN_BYTES & DOWN_MASK) == 0, "a power of two");
_Static_assert(offsetof(board_rtt_t, up) == 32, "the host counts on this");

extern board_rtt_t board_rtt;
board_rtt_t board_rtt;

void board_rtt_init(void)
{
    board_rtt.attached = 0;
    board_rtt.up_bytes = BOARD_RTT_UP_BYTES;
    board_rtt.up_head = 0;
    board_rtt.up_tail = 0;
    board_rtt.down_bytes = BOARD_RTT_DOWN_BYTES;
    board_rtt.down_head = 0;
    board_rtt.down_tail = 0;
    board_rtt.magic = BOARD_RTT_MAGIC;
}

bool board_rtt_attached(void)
{
    return board_rtt.attached != 0;
}

size_t board_rtt_read(uint8_t *data, size_t capacity)
{
    const uint32_t head = board_rtt.down_head;
    uint32_t tail = board_rtt.down_tail;
    size_t count = 0;
    while (count < capacity && tail != head) {
        data[count++] = board_rtt.down[tail++ & DOWN_MASK];
    }
    board_rtt.down_tail = tail;
    return count;
}

void board_rtt_write(const uint8_t *data, size_t length)
{
    uint32_t head = board_rtt.up_head;
    for (size_t i = 0; i < length; i++) {
        while (head - board_rtt.up_tail == BOARD_RTT_UP_BYTES) {
            board_rtt.up_head = head;
        }
        board_rtt.up[head++ & UP_MASK] = data[i];
    }
    board_rtt.up_head = head;
}
