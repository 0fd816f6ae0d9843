/* A program around a library, by its public header alone, for `make parity VIA=library`.
 *
 * It answers what a comparison of outputs needs of the link (firmware/link/PROTOCOL.md): HELLO,
 * WRITE_INPUT, INVOKE, READ_OUTPUT, SELFTEST, RESET, and SAMPLES where the model has a front end.
 * via_library.h is generated: it includes the library and gives its names as LIB(...).
 */
#include "via_library.h"

#include <string.h>

#include "board.h"
#include "link_frame.h"

typedef struct {
    LIB(_t) model;
    uint8_t input[VIA_INPUT_BYTES]; /* all inputs; a library takes whole ones */
    uint32_t pushed;
    uint32_t inferences;
    uint32_t inputs_crc; /* of all inputs of INVOKE since the reset */
    link_order_t order;
    link_receiver_t receiver;
    union {
        uint32_t words[LINK_MAX_PAYLOAD / 4];
        uint8_t bytes[LINK_MAX_PAYLOAD];
        link_hello_t hello;
        link_selftest_t selftest;
    } payload;
    uint8_t wire[64];
} via_t;

typedef link_status_t handler_t(via_t *via, const link_frame_t *request, link_frame_t *reply);

static void put_text(char *field, size_t capacity, const char *text)
{
    for (size_t i = 0; i < capacity && text[i] != '\0'; i++) {
        field[i] = text[i];
    }
}

static uint8_t digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The set's name in the project: the portable kernels are its reference, the ABI is no part. */
static void put_kernels(char *field, size_t capacity)
{
    const char *const own = LIB(_kernels)();
    put_text(field, capacity, strcmp(own, "portable") == 0 ? "ref" : own);
    for (size_t i = 0; i < capacity; i++) {
        if (field[i] == ' ') {
            memset(&field[i], 0, capacity - i);
        }
    }
}

static void put_sizes(via_t *via, link_frame_t *reply, int count, size_t (*bytes)(int))
{
    for (int i = 0; i < count; i++) {
        via->payload.words[reply->length / 4u] = (uint32_t)bytes(i);
        reply->length = (uint16_t)(reply->length + 4u);
    }
}

static link_status_t on_hello(via_t *via, const link_frame_t *request, link_frame_t *reply)
{
    static const char sha256[] = LIB_CONSTANT(_SHA256);
    link_hello_t *const hello = &via->payload.hello;
    (void)request;
    memset(hello, 0, sizeof(*hello));
    hello->protocol_version = LINK_PROTOCOL_VERSION;
    hello->max_payload = LINK_MAX_PAYLOAD;
    hello->input_count = LIB_CONSTANT(_INPUTS);
    hello->output_count = LIB_CONSTANT(_OUTPUTS);
    hello->arena_bytes = sizeof(via->model);
    hello->arena_used = sizeof(via->model);
    hello->stack_bytes = (uint32_t)board_stack_bytes();
    hello->stack_used = (uint32_t)board_stack_used();
    hello->counter_num = board_info.counter_num;
    hello->counter_den = board_info.counter_den;
    hello->receive_bytes = board_info.receive_bytes;
    hello->golden_count = VIA_GOLDEN_COUNT;
    for (size_t i = 0; i < sizeof(hello->model_sha256); i++) {
        hello->model_sha256[i] = (uint8_t)(digit(sha256[2 * i]) << 4 | digit(sha256[2 * i + 1]));
    }
    put_text(hello->model_name, sizeof(hello->model_name), LIB_CONSTANT(_MODEL));
    put_text(hello->board_id, sizeof(hello->board_id), BOARD_ID);
    put_text(hello->run_id, sizeof(hello->run_id), VIA_RUN_ID);
    put_text(hello->version, sizeof(hello->version), LIB_CONSTANT(_VERSION));
    put_kernels(hello->kernels, sizeof(hello->kernels));
    put_text(hello->framework, sizeof(hello->framework), "bare");
    put_text(hello->engine, sizeof(hello->engine), "library");
    reply->length = sizeof(*hello);
    put_sizes(via, reply, LIB_CONSTANT(_INPUTS), LIB(_input_bytes));
    put_sizes(via, reply, LIB_CONSTANT(_OUTPUTS), LIB(_output_bytes));
    return LINK_STATUS_OK;
}

static uint8_t *staged(via_t *via, int input)
{
    uint8_t *place = via->input;
    for (int i = 0; i < input; i++) {
        place += LIB(_input_bytes)(i);
    }
    return place;
}

static link_status_t on_write_input(via_t *via, const link_frame_t *request, link_frame_t *reply)
{
    link_offset_t where;
    (void)reply;
    memcpy(&where, request->payload, sizeof(where));
    const uint32_t count = request->length - (uint32_t)sizeof(where);
    const size_t bytes = LIB(_input_bytes)(where.tensor);
    if (where.offset > bytes || count > bytes - where.offset) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    memcpy(staged(via, where.tensor) + where.offset, &request->payload[sizeof(where)], count);
    if (where.offset + count < bytes) {
        return LINK_STATUS_OK;
    }
    return LIB(_write)(&via->model, where.tensor, staged(via, where.tensor), bytes) ==
                   LIB_CONSTANT(_OK)
               ? LINK_STATUS_OK
               : LINK_STATUS_BAD_STATE;
}

static link_status_t run(via_t *via, uint32_t *ticks)
{
    const uint32_t start = board_counter();
    const LIB(_status_t) status = LIB(_invoke)(&via->model);
    *ticks = board_counter() - start;
    return status == LIB_CONSTANT(_OK) ? LINK_STATUS_OK : LINK_STATUS_BAD_STATE;
}

static link_status_t on_invoke(via_t *via, const link_frame_t *request, link_frame_t *reply)
{
    (void)request;
    via->inputs_crc = link_crc32(via->inputs_crc, via->input, sizeof(via->input));
    via->payload.words[0] = via->inputs_crc;
    reply->length = 2 * sizeof(uint32_t);
    return run(via, &via->payload.words[1]);
}

static link_status_t on_read_output(via_t *via, const link_frame_t *request, link_frame_t *reply)
{
    link_range_t where;
    memcpy(&where, request->payload, sizeof(where));
    const uint8_t *const output = LIB(_output)(&via->model, where.tensor);
    const size_t bytes = LIB(_output_bytes)(where.tensor);
    if (where.count > LINK_MAX_PAYLOAD || where.offset > bytes ||
        where.count > bytes - where.offset) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    if (output == NULL) {
        return LINK_STATUS_BAD_STATE;
    }
    reply->payload = output + where.offset;
    reply->length = (uint16_t)where.count;
    return LINK_STATUS_OK;
}

static link_status_t on_selftest(via_t *via, const link_frame_t *request, link_frame_t *reply)
{
    (void)request;
    const int differ = LIB(_selftest)(&via->model);
    via->payload.selftest = (link_selftest_t){
        .cases = VIA_GOLDEN_COUNT,
        .failures = differ < 0 ? VIA_GOLDEN_COUNT : (uint32_t)differ,
    };
    reply->length = sizeof(via->payload.selftest);
    return LINK_STATUS_OK;
}

static link_status_t on_reset(via_t *via, const link_frame_t *request, link_frame_t *reply)
{
    (void)request;
    (void)reply;
    via->inputs_crc = 0;
    return LIB(_reset)(&via->model) == LIB_CONSTANT(_OK) ? LINK_STATUS_OK : LINK_STATUS_BAD_STATE;
}

#ifdef VIA_CHANNELS
/* Only with outputs, mode 0: a library says nothing of the stages of its front end. */
static link_status_t on_samples(via_t *via, const link_frame_t *request, link_frame_t *reply)
{
    link_samples_t head;
    int16_t sample[VIA_CHANNELS];
    link_inferences_t made = {.count = 0};
    memcpy(&head, request->payload, sizeof(head));
    const uint32_t count = (request->length - (uint32_t)sizeof(head)) / (uint32_t)sizeof(sample);
    const size_t bytes = LIB(_output_bytes)(0);
    reply->length = sizeof(made);
    if (head.mode != 0 || (head.first != 0 && head.first != via->pushed)) {
        return LINK_STATUS_BAD_STATE;
    }
    if (head.first == 0) {
        (void)LIB(_reset)(&via->model);
        via->pushed = 0;
        via->inferences = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        memcpy(sample, &request->payload[sizeof(head) + i * sizeof(sample)], sizeof(sample));
        via->pushed += (uint32_t)LIB(_push)(&via->model, sample, 1);
        if (!LIB(_ready)(&via->model)) {
            continue;
        }
        link_inference_t done = {.index = via->inferences++};
        if (run(via, &done.invoke_ticks) != LINK_STATUS_OK ||
            reply->length + sizeof(done) + bytes > LINK_MAX_PAYLOAD) {
            return LINK_STATUS_BAD_STATE;
        }
        memcpy(&via->payload.bytes[reply->length], &done, sizeof(done));
        memcpy(&via->payload.bytes[reply->length + sizeof(done)], LIB(_scores)(&via->model), bytes);
        reply->length = (uint16_t)(reply->length + sizeof(done) + bytes);
        made.count++;
    }
    memcpy(via->payload.bytes, &made, sizeof(made));
    return LINK_STATUS_OK;
}
#endif

static handler_t *handler_of(uint8_t type, size_t *min_bytes)
{
    static const struct {
        handler_t *handle;
        uint8_t type;
        uint8_t min_bytes; /* of a request's payload */
    } entries[] = {
        {on_hello, LINK_HELLO, 0},
        {on_write_input, LINK_WRITE_INPUT, sizeof(link_offset_t)},
        {on_invoke, LINK_INVOKE, 0},
        {on_read_output, LINK_READ_OUTPUT, sizeof(link_range_t)},
        {on_selftest, LINK_SELFTEST, 0},
        {on_reset, LINK_RESET, 0},
#ifdef VIA_CHANNELS
        {on_samples, LINK_SAMPLES, sizeof(link_samples_t)},
#endif
    };
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        if (entries[i].type == type) {
            *min_bytes = entries[i].min_bytes;
            return entries[i].handle;
        }
    }
    return NULL;
}

static void answer(via_t *via)
{
    const link_frame_t *const request = &via->receiver.frame;
    link_frame_t reply = {
        .type = request->type | LINK_REPLY,
        .sequence = request->sequence,
        .payload = via->payload.bytes,
    };
    size_t min_bytes = 0;
    handler_t *const handle = handler_of(request->type, &min_bytes);
    link_status_t status = LINK_STATUS_BAD_TYPE;
    if (!link_in_order(&via->order, request)) {
        status = LINK_STATUS_STALE;
    } else if (handle != NULL) {
        status =
            request->length < min_bytes ? LINK_STATUS_BAD_LENGTH : handle(via, request, &reply);
    }
    reply.status = (uint8_t)status;
    reply.length = status == LINK_STATUS_OK ? reply.length : 0;
    link_send(&reply, NULL, 0, board_write);
}

int main(void)
{
    static via_t via;
    board_init();
    link_receiver_init(&via.receiver);
    if (LIB(_init)(&via.model) != LIB_CONSTANT(_OK)) {
        static const uint8_t wrong[] = "error: the library does not fit this program\r\n";
        board_write(wrong, sizeof(wrong) - 1);
    }
    static const uint8_t ready[] =
        "tinyproof via library, ready; it knows frames and no commands\r\n";
    board_write(ready, sizeof(ready) - 1);
    for (;;) {
        const size_t count = board_read(via.wire, sizeof(via.wire));
        for (size_t i = 0; i < count; i++) {
            if (link_receive(&via.receiver, via.wire[i]) == LINK_EVENT_FRAME) {
                answer(&via);
            }
        }
    }
}
