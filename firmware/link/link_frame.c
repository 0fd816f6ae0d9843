#include "link_frame.h"

#include <string.h>

#define CRC_START 0xFFFFFFFFu
#define COBS_BLOCK 0xFF /* the code of 254 bytes without a zero behind them */

/* Four bits at a time: a table of 64 bytes instead of 1 KiB. */
static uint32_t crc_add(uint32_t crc, uint8_t byte)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
        0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
        0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    crc ^= byte;
    crc = (crc >> 4) ^ table[crc & 0x0Fu];
    return (crc >> 4) ^ table[crc & 0x0Fu];
}

uint32_t link_crc32(const uint8_t *data, size_t length)
{
    uint32_t crc = CRC_START;
    for (size_t i = 0; i < length; i++) {
        crc = crc_add(crc, data[i]);
    }
    return ~crc;
}

typedef struct {
    uint8_t *wire;
    size_t length;
    size_t code; /* where the running block's code byte stands */
    uint32_t crc;
} encoder_t;

static void close_block(encoder_t *encoder)
{
    encoder->wire[encoder->code] = (uint8_t)(encoder->length - encoder->code);
    encoder->code = encoder->length++;
}

/* A block is closed before the byte that no longer fits, so that a frame which
 * fills its last block exactly gets no empty block behind it. */
static void put_byte(encoder_t *encoder, uint8_t byte)
{
    if (encoder->length - encoder->code == COBS_BLOCK) {
        close_block(encoder);
    }
    encoder->crc = crc_add(encoder->crc, byte);
    if (byte == 0) {
        close_block(encoder);
    } else {
        encoder->wire[encoder->length++] = byte;
    }
}

static void put_u16(encoder_t *encoder, uint16_t value)
{
    put_byte(encoder, (uint8_t)(value & 0xFFu));
    put_byte(encoder, (uint8_t)(value >> 8));
}

size_t link_encode(const link_frame_t *frame, uint8_t *wire)
{
    encoder_t encoder = {.wire = wire, .length = 2, .code = 1, .crc = CRC_START};
    wire[0] = 0;
    put_byte(&encoder, LINK_PROTOCOL_VERSION);
    put_byte(&encoder, 0);
    put_byte(&encoder, frame->type);
    put_byte(&encoder, frame->status);
    put_u16(&encoder, frame->sequence);
    put_u16(&encoder, frame->length);
    for (size_t i = 0; i < frame->length; i++) {
        put_byte(&encoder, frame->payload[i]);
    }
    const uint32_t crc = ~encoder.crc;
    put_u16(&encoder, (uint16_t)(crc & 0xFFFFu));
    put_u16(&encoder, (uint16_t)(crc >> 16));
    wire[encoder.code] = (uint8_t)(encoder.length - encoder.code);
    wire[encoder.length++] = 0;
    return encoder.length;
}

/* Unstuff in place; returns the length, or 0 when a block points past the end. */
static size_t unstuff(uint8_t *data, size_t length)
{
    size_t in = 0;
    size_t out = 0;
    while (in < length) {
        const size_t code = data[in++];
        if (code - 1 > length - in) {
            return 0;
        }
        memmove(&data[out], &data[in], code - 1);
        in += code - 1;
        out += code - 1;
        if (code != COBS_BLOCK && in < length) {
            data[out++] = 0;
        }
    }
    return out;
}

static uint16_t get_u16(const uint8_t *data)
{
    return (uint16_t)(data[0] | (data[1] << 8));
}

static link_status_t parse(link_receiver_t *receiver)
{
    uint8_t *data = receiver->bytes;
    const size_t length = unstuff(data, receiver->length);
    if (length < LINK_HEADER_BYTES + LINK_CRC_BYTES) {
        return LINK_STATUS_BAD_FRAME;
    }
    const size_t body = length - LINK_CRC_BYTES;
    const uint32_t crc = get_u16(&data[body]) | ((uint32_t)get_u16(&data[body + 2]) << 16);
    if (crc != link_crc32(data, body)) {
        return LINK_STATUS_BAD_CRC;
    }
    if (data[0] != LINK_PROTOCOL_VERSION || data[1] != 0) {
        return LINK_STATUS_BAD_VERSION;
    }
    receiver->frame = (link_frame_t){
        .type = data[2],
        .status = data[3],
        .sequence = get_u16(&data[4]),
        .length = get_u16(&data[6]),
        .payload = &data[LINK_HEADER_BYTES],
    };
    return receiver->frame.length == body - LINK_HEADER_BYTES ? LINK_STATUS_OK
                                                              : LINK_STATUS_BAD_LENGTH;
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

static link_event_t finish(link_receiver_t *receiver)
{
    receiver->complete = true;
    if (receiver->length > LINK_MAX_COBS) {
        receiver->status = LINK_STATUS_TOO_LONG;
        return LINK_EVENT_DAMAGE;
    }
    if (receiver->bytes[0] == LINK_FRAME_START) {
        receiver->status = parse(receiver);
        return receiver->status == LINK_STATUS_OK ? LINK_EVENT_FRAME : LINK_EVENT_DAMAGE;
    }
    if (is_printable(receiver->bytes, receiver->length)) {
        receiver->bytes[receiver->length] = 0;
        receiver->status = LINK_STATUS_OK;
        return LINK_EVENT_TEXT;
    }
    receiver->status = LINK_STATUS_BAD_FRAME;
    return LINK_EVENT_DAMAGE;
}

void link_receiver_init(link_receiver_t *receiver)
{
    memset(receiver, 0, sizeof(*receiver));
}

link_event_t link_receive(link_receiver_t *receiver, uint8_t byte)
{
    if (receiver->complete) {
        receiver->complete = false;
        receiver->length = 0;
    }
    const bool in_frame = receiver->length > 0 && receiver->bytes[0] == LINK_FRAME_START;
    if (byte == 0 || (!in_frame && (byte == '\n' || byte == '\r'))) {
        return receiver->length > 0 ? finish(receiver) : LINK_EVENT_NONE;
    }
    if (receiver->length < LINK_MAX_COBS) {
        receiver->bytes[receiver->length++] = byte;
    } else {
        receiver->length = LINK_MAX_COBS + 1; /* remembered, not stored */
    }
    return LINK_EVENT_NONE;
}

const char *link_status_text(uint32_t status)
{
    static const char *const texts[] = {
#define LINK_TEXT(name, number, message) [number] = message,
        LINK_STATUSES(LINK_TEXT)
#undef LINK_TEXT
    };
    return status < sizeof(texts) / sizeof(texts[0]) ? texts[status] : "an unknown status";
}
