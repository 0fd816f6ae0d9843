/* Frames and lines of text on one byte stream.
 *
 * On the wire a frame is 00, the stuffed (COBS) frame, 00. The first byte
 * behind a delimiter decides what is being received: LINK_FRAME_START begins a
 * frame, which only 00 ends; anything else begins text, which 00, carriage
 * return or line feed ends. Two ends in a row mean nothing.
 */
#ifndef LINK_FRAME_H
#define LINK_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link_protocol.h"

typedef struct {
    uint8_t type;
    uint8_t status;
    uint16_t sequence;
    uint16_t length;        /* payload bytes, at most LINK_MAX_PAYLOAD */
    const uint8_t *payload; /* may be NULL when length is 0; no alignment */
} link_frame_t;

typedef enum {
    LINK_EVENT_NONE = 0, /* nothing is complete yet */
    LINK_EVENT_FRAME,    /* receiver.frame is good */
    LINK_EVENT_TEXT,     /* receiver.bytes is a printable line, closed by a NUL */
    LINK_EVENT_DAMAGE,   /* receiver.status says what is wrong */
} link_event_t;

typedef struct {
    size_t length; /* received since the last end; larger than LINK_MAX_COBS = too long */
    link_frame_t frame;
    link_status_t status; /* of a frame; BAD_FRAME of text: as a frame it is none */
    uint8_t bytes[LINK_MAX_COBS + 1];
} link_receiver_t;

void link_receiver_init(link_receiver_t *receiver);

/* Take one byte. What an event points to stays valid until the next call. */
link_event_t link_receive(link_receiver_t *receiver, uint8_t byte);

/* Write the frame with both delimiters, in pieces of at least LINK_PIECE bytes but the last and at
 * most 255 more, without room for all of it; the last `tail_length` bytes of its payload come from
 * `tail`. */
#define LINK_PIECE 64 /* bytes: a packet of USB */
typedef void link_write_t(const uint8_t *data, size_t length);
void link_send(const link_frame_t *frame, const void *tail, size_t tail_length,
               link_write_t *write);

/* CRC-32/ISO-HDLC, as in zlib and Ethernet. `crc` is that of the bytes before, or 0. */
uint32_t link_crc32(uint32_t crc, const uint8_t *data, size_t length);

/* Requests in the order in which the host has numbered them. */
typedef struct {
    bool greeted;    /* a HELLO has come since the start */
    uint16_t newest; /* sequence of the last request that was taken */
} link_order_t;

/* Whether to carry out a request: a HELLO, which begins the order anew, or one that is not older
 * than what was taken before it. */
bool link_in_order(link_order_t *order, const link_frame_t *request);

#endif
