#include "link_frame.h"

#include <string.h>

#define CRC_POLYNOMIAL 0xEDB88320u
#define CRC_OF_ALL 0x2144DF1Cu /* of any bytes with their own CRC behind them */
#define COBS_BLOCK 0xFF        /* the code of 254 bytes without a zero behind them */
#define VERSION_BYTES 2        /* the version and a zero */
#define FIELD_BYTES (LINK_HEADER_BYTES - VERSION_BYTES)

/* The other fields of the header are copied as they are. */
_Static_assert(offsetof(link_frame_t, type) == 0 && offsetof(link_frame_t, status) == 1 &&
                   offsetof(link_frame_t, sequence) == 2 && offsetof(link_frame_t, length) == 4 &&
                   FIELD_BYTES == 6,
               "the frame begins as its header does");

/* Bit by bit, without a table: the line is slower than this. */
uint32_t link_crc32(uint32_t crc, const uint8_t *data, size_t length)
{
    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (CRC_POLYNOMIAL & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

/* Closed blocks wait until they are worth a call of `write`. */
typedef struct {
    link_write_t *write;
    uint32_t crc;
    size_t length;
    size_t code; /* where the running block's code byte stands */
    uint8_t wire[LINK_PIECE + COBS_BLOCK];
} encoder_t;

static void close_block(encoder_t *encoder)
{
    encoder->wire[encoder->code] = (uint8_t)(encoder->length - encoder->code);
    if (encoder->length >= LINK_PIECE) {
        encoder->write(encoder->wire, encoder->length);
        encoder->length = 0;
    }
    encoder->code = encoder->length++;
}

/* A block is closed before the byte that no longer fits, so that a frame which
 * fills its last block exactly gets no empty block behind it. */
static void put(encoder_t *encoder, const void *data, size_t length)
{
    for (const uint8_t *byte = data; length > 0; byte++, length--) {
        if (encoder->length - encoder->code == COBS_BLOCK) {
            close_block(encoder);
        }
        encoder->crc = link_crc32(encoder->crc, byte, 1);
        const uint8_t value = *byte;
        if (value == 0) {
            close_block(encoder);
        } else {
            encoder->wire[encoder->length++] = value;
        }
    }
}

void link_send(const link_frame_t *frame, const void *tail, size_t tail_length, link_write_t *write)
{
    static const uint8_t version[VERSION_BYTES] = {LINK_PROTOCOL_VERSION, 0};
    encoder_t encoder;
    encoder.write = write;
    encoder.crc = 0;
    encoder.length = 2;
    encoder.code = 1;
    encoder.wire[0] = 0;
    put(&encoder, version, sizeof(version));
    put(&encoder, frame, FIELD_BYTES);
    put(&encoder, frame->payload, frame->length - tail_length);
    put(&encoder, tail, tail_length);
    const uint32_t crc = encoder.crc;
    put(&encoder, &crc, LINK_CRC_BYTES);
    close_block(&encoder);
    encoder.wire[encoder.code] = 0;
    write(encoder.wire, encoder.length);
}

/* Unstuff in place; returns the length, or 0 when a block points past the end. */
static size_t unstuff(uint8_t *data, size_t length)
{
    size_t out = 0;
    uint32_t left = 0;          /* bytes of the running block that are still to come */
    uint32_t code = COBS_BLOCK; /* of that block: behind a shorter one stands a zero */
    for (size_t in = 0; in < length; in++) {
        if (left > 0) {
            data[out++] = data[in];
            left--;
            continue;
        }
        if (code != COBS_BLOCK) {
            data[out++] = 0;
        }
        code = data[in];
        left = code - 1;
    }
    return left == 0 ? out : 0;
}

static link_status_t parse(link_receiver_t *receiver, size_t length)
{
    const uint8_t *data = receiver->bytes;
    link_frame_t *frame = &receiver->frame;
    length = unstuff(receiver->bytes, length);
    const size_t payload = length - LINK_HEADER_BYTES - LINK_CRC_BYTES; /* wraps when too short */
    if (payload > LINK_MAX_PAYLOAD) {
        return LINK_STATUS_BAD_FRAME;
    }
    if (link_crc32(0, data, length) != CRC_OF_ALL) {
        return LINK_STATUS_BAD_CRC;
    }
    uint16_t version; /* and the zero behind it */
    memcpy(&version, data, VERSION_BYTES);
    if (version != LINK_PROTOCOL_VERSION) {
        return LINK_STATUS_BAD_VERSION;
    }
    memcpy(frame, &data[VERSION_BYTES], FIELD_BYTES);
    frame->payload = &data[LINK_HEADER_BYTES];
    return frame->length == payload ? LINK_STATUS_OK : LINK_STATUS_BAD_LENGTH;
}

static bool is_printable(const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (data[i] < 0x20 || data[i] > 0x7E) {
            return false;
        }
    }
    return true;
}

static link_event_t finish(link_receiver_t *receiver, size_t length)
{
    if (length > LINK_MAX_COBS) {
        receiver->status = LINK_STATUS_TOO_LONG;
        return LINK_EVENT_DAMAGE;
    }
    if (receiver->bytes[0] == LINK_FRAME_START) {
        receiver->status = parse(receiver, length);
        return receiver->status == LINK_STATUS_OK ? LINK_EVENT_FRAME : LINK_EVENT_DAMAGE;
    }
    receiver->status = LINK_STATUS_BAD_FRAME;
    if (is_printable(receiver->bytes, length)) {
        receiver->bytes[length] = 0;
        return LINK_EVENT_TEXT;
    }
    return LINK_EVENT_DAMAGE;
}

void link_receiver_init(link_receiver_t *receiver)
{
    receiver->length = 0;
}

link_event_t link_receive(link_receiver_t *receiver, uint8_t byte)
{
    const size_t length = receiver->length;
    if (byte == 0 || ((byte == '\n' || byte == '\r') &&
                      (length == 0 || receiver->bytes[0] != LINK_FRAME_START))) {
        receiver->length = 0; /* the next byte begins anew */
        return length > 0 ? finish(receiver, length) : LINK_EVENT_NONE;
    }
    const size_t place = length < LINK_MAX_COBS ? length : LINK_MAX_COBS; /* where too much ends */
    receiver->bytes[place] = byte;
    receiver->length = place + 1;
    return LINK_EVENT_NONE;
}

bool link_in_order(link_order_t *order, const link_frame_t *request)
{
    const bool hello = request->type == LINK_HELLO;
    if (!hello && (!order->greeted || (uint16_t)(request->sequence - order->newest) > INT16_MAX)) {
        return false;
    }
    order->greeted = true;
    order->newest = request->sequence;
    return true;
}
