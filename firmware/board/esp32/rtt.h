/* A second transport through memory, for a debugger or a simulator: two rings that the host reads
 * and writes while the firmware runs. */
#ifndef BOARD_RTT_H
#define BOARD_RTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_RTT_MAGIC 0x31545452u /* "RTT1" */
#define BOARD_RTT_UP_BYTES 2048
#define BOARD_RTT_DOWN_BYTES 2048

/* The symbol is `board_rtt`. The host waits for `magic`, then sets `attached` to 1. Heads and tails
 * count bytes and wrap at 2^32; a ring holds head - tail bytes, the byte number n at n modulo the
 * ring's size. Only the writer of a ring moves its head, only the reader its tail. */
typedef struct {
    volatile uint32_t magic;    /* BOARD_RTT_MAGIC when all other fields are valid */
    volatile uint32_t attached; /* written by the host */
    uint32_t up_bytes;          /* size of the ring to the host, a power of two */
    volatile uint32_t up_head;
    volatile uint32_t up_tail;   /* written by the host */
    uint32_t down_bytes;         /* size of the ring from the host, a power of two */
    volatile uint32_t down_head; /* written by the host */
    volatile uint32_t down_tail;
    volatile uint8_t up[BOARD_RTT_UP_BYTES];
    volatile uint8_t down[BOARD_RTT_DOWN_BYTES];
} board_rtt_t;

void board_rtt_init(void);
bool board_rtt_attached(void);

/* Take at most `capacity` bytes from the host; returns how many. */
size_t board_rtt_read(uint8_t *data, size_t capacity);

/* Give all bytes to the host; returns when the ring has taken them. */
void board_rtt_write(const uint8_t *data, size_t length);

#endif
