/* The link's messages as numbers and wire structs; PROTOCOL.md describes them.
 *
 * host_tools/link/protocol.py holds the same numbers and a test compares the two.
 * Every number on the wire is little endian, as every supported core is.
 */
#ifndef LINK_PROTOCOL_H
#define LINK_PROTOCOL_H

#include <stdint.h>

#define LINK_PROTOCOL_VERSION 3
#define LINK_MAX_PAYLOAD 1024 /* bytes */
#define LINK_HEADER_BYTES 8
#define LINK_CRC_BYTES 4
#define LINK_MAX_FRAME (LINK_HEADER_BYTES + LINK_MAX_PAYLOAD + LINK_CRC_BYTES)
#define LINK_MAX_COBS (LINK_MAX_FRAME + (LINK_MAX_FRAME + 253) / 254)
#define LINK_MAX_WIRE (LINK_MAX_COBS + 2) /* with a 00 before and after */
#define LINK_FRAME_START 0x02             /* the first byte of every stuffed frame */
#define LINK_REPLY 0x80                   /* set in the type of a reply */

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire structs are copied as they are: the core must be little endian"
#endif

/* Messages, and what their requests carry */
typedef enum {
    LINK_HELLO = 0x01,       /* nothing */
    LINK_WRITE_INPUT = 0x02, /* link_offset_t, then data */
    LINK_INVOKE = 0x03,      /* nothing */
    LINK_READ_OUTPUT = 0x04, /* link_range_t */
    LINK_SELFTEST = 0x05,    /* nothing */
    LINK_PROFILE = 0x06,     /* link_pair_t: first step, count */
    LINK_RUN_TO = 0x07,      /* u32 step */
    LINK_READ_ARENA = 0x08,  /* link_pair_t: offset, count */
    LINK_RESET = 0x09,       /* nothing */
    LINK_SAMPLES = 0x0A,     /* link_samples_t, then int16 samples [n, channels] */
    LINK_RECORD = 0x0C,      /* link_record_t */
    LINK_DRIFT = 0x0D,       /* u32: 1 to forget the counts first, else 0 */
    LINK_BOOT = 0x0E,        /* nothing; behind the reply the board enters its boot loader */
    LINK_FAULT = 0x0F,       /* a reply only: a fatal exception has stopped the firmware */
    LINK_PLACE = 0x10,       /* link_pair_t: kind, index */
    LINK_ERROR = 0xFF,       /* a reply only: what arrived belongs to no request */
} link_type_t;

/* How a request ended; PROTOCOL.md says what each means. */
typedef enum {
    LINK_STATUS_OK = 0,
    LINK_STATUS_BAD_FRAME = 1,
    LINK_STATUS_BAD_CRC = 2,
    LINK_STATUS_BAD_VERSION = 3,
    LINK_STATUS_BAD_LENGTH = 4,
    LINK_STATUS_TOO_LONG = 5,
    LINK_STATUS_BAD_TYPE = 6,
    LINK_STATUS_BAD_ARGUMENT = 7,
    LINK_STATUS_BAD_STATE = 8,
    LINK_STATUS_ARENA_OVERRUN = 9,
    LINK_STATUS_NO_ENGINE = 10,
    LINK_STATUS_STALE = 11,
} link_status_t;

/* Request payloads */
typedef struct {
    uint8_t tensor;
    uint8_t zero[3];
    uint32_t offset; /* bytes from the start of the tensor */
} link_offset_t;
_Static_assert(sizeof(link_offset_t) == 8, "wire struct");

typedef struct {
    uint8_t tensor;
    uint8_t zero[3];
    uint32_t offset; /* bytes from the start of the tensor */
    uint32_t count;  /* bytes, 1 .. LINK_MAX_PAYLOAD */
} link_range_t;
_Static_assert(sizeof(link_range_t) == 12, "wire struct");

typedef struct {
    uint32_t first;
    uint32_t count;
} link_pair_t;
_Static_assert(sizeof(link_pair_t) == 8, "wire struct");

typedef struct {
    uint32_t first; /* samples sent before these; 0 begins a new stream */
    uint32_t mode;  /* LINK_HOLD, LINK_TRACE */
} link_samples_t;
#define LINK_HOLD 1u  /* leave a completed input in the arena, run nothing */
#define LINK_TRACE 2u /* hash the stages of the front end; from the stream's first request on */
_Static_assert(sizeof(link_samples_t) == 8, "wire struct");

typedef struct {
    uint32_t start; /* 1: begin a take, 0: read on */
    uint32_t next;  /* the first sample that the host does not have */
} link_record_t;
_Static_assert(sizeof(link_record_t) == 8, "wire struct");

/* PLACE: `first` is the kind, `count` which of them. */
#define LINK_PLACE_INPUT 0u  /* of the model */
#define LINK_PLACE_OUTPUT 1u /* likewise */
#define LINK_PLACE_STEP 2u   /* an output of the step that RUN_TO ended with */

#define LINK_MAX_DATA (LINK_MAX_PAYLOAD - 8)        /* input bytes in one WRITE_INPUT */
#define LINK_MAX_TICKS ((LINK_MAX_PAYLOAD - 4) / 4) /* steps in one PROFILE */

/* Reply payloads. Those of INVOKE, PROFILE and RUN_TO begin with the CRC-32 of all inputs that they
 * have run the model on since the last reset; ticks follow. HELLO is followed by one u32 for each
 * input, then for each output: its bytes. Texts are filled up with zeros. */
typedef struct {
    uint32_t protocol_version;
    uint32_t max_payload; /* bytes */
    uint32_t input_count;
    uint32_t output_count;
    uint32_t step_count; /* operators the model runs */
    uint32_t arena_bytes;
    uint32_t arena_used;  /* bytes from the start to the last one seen in use */
    uint32_t stack_bytes; /* 0 = not known */
    uint32_t stack_used;  /* 0 = not known */
    uint32_t counter_num; /* counts = ticks * num / den */
    uint32_t counter_den;
    uint32_t golden_count;  /* test vectors in the firmware */
    uint32_t receive_bytes; /* that the line keeps while the firmware is at work */
    uint8_t model_sha256[32];
    char model_name[32];
    char board_id[32];
    char run_id[16];
    char version[16];
    char kernels[16]; /* with `framework` and `engine`: what image this is */
    char framework[16];
    char engine[16];
} link_hello_t;
_Static_assert(sizeof(link_hello_t) == 228, "wire struct");

typedef struct {
    uint32_t cases;
    uint32_t failures;   /* when 0, the rest is 0 */
    uint32_t first_case; /* the first case that differs */
    uint32_t first_byte; /* the first output byte that differs there */
    uint32_t expected;
    uint32_t got;
} link_selftest_t;
_Static_assert(sizeof(link_selftest_t) == 24, "wire struct");

/* SAMPLES: link_inferences_t, then for each inference link_inference_t, `stages` hashes of 4 bytes
 * (since the stream's start) and, unless held, output bytes. */
typedef struct {
    uint32_t count;
    uint32_t stages; /* hashes of each: the front end's with LINK_TRACE, else 0 */
} link_inferences_t;
_Static_assert(sizeof(link_inferences_t) == 8, "wire struct");

typedef struct {
    uint32_t index;         /* inputs that the stream has completed before this one */
    uint32_t feature_ticks; /* for all samples since the input before */
    uint32_t invoke_ticks;  /* 0 when held */
} link_inference_t;
_Static_assert(sizeof(link_inference_t) == 12, "wire struct");
#define LINK_MAX_STREAM_OUTPUT 960 /* output bytes of an inference; READ_OUTPUT has all of them */

/* RECORD, start = 1: link_sensor_t, then link_channel_t for each channel. */
typedef struct {
    uint32_t rate_millihertz;
    uint32_t channels;
} link_sensor_t;
_Static_assert(sizeof(link_sensor_t) == 8, "wire struct");

typedef struct {
    char name[12];
    char unit[12];
    uint32_t lsb_nano; /* 1e-9 units a step */
} link_channel_t;
_Static_assert(sizeof(link_channel_t) == 28, "wire struct");

/* RECORD, start = 0: link_take_t, then int16 samples [n, channels]. */
typedef struct {
    uint32_t first; /* number of the first sample that follows */
    uint32_t state; /* bits: 1 overrun, 2 ended, 4 failed */
} link_take_t;
_Static_assert(sizeof(link_take_t) == 8, "wire struct");

/* DRIFT: followed by u16 counts [tests][bins], then u16 counts [classes]. */
typedef struct {
    uint32_t profile; /* stands for what the bins mean */
    uint16_t windows; /* counted; 65535 = counting has stopped */
    uint16_t tests;
    uint16_t bins;
    uint16_t classes;
} link_drift_t;
_Static_assert(sizeof(link_drift_t) == 12, "wire struct");

/* FAULT: then the registers, u32 each, then bytes of the stack, from its pointer up. */
typedef struct {
    uint8_t build_id[20]; /* of the image: the note that the linker puts into it */
    uint16_t machine;     /* of its ELF file: 40 Arm, 94 Xtensa, 243 RISC-V */
    uint8_t registers;    /* at most LINK_FAULT_REGISTERS */
    uint8_t flags;
    uint32_t stack; /* the stack pointer, and the address of the first byte of the stack */
} link_fault_t;
#define LINK_FAULT_REGISTERS 24
#define LINK_FAULT_LOST 1u /* the processor could not save pc and lr: the stack has overflowed */
_Static_assert(sizeof(link_fault_t) == 28, "wire struct");

#endif
