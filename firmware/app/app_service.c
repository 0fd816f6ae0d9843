/* Answers frames: one handler per message, chosen from a table. */
#include <string.h>

#include "app.h"
#include "board.h"

/* The texts of HELLO in their order, which the struct has behind one another. */
static void put_texts(uint8_t *field)
{
    static const uint8_t capacities[] = {
        sizeof(((link_hello_t *)0)->model_name), sizeof(((link_hello_t *)0)->board_id),
        sizeof(((link_hello_t *)0)->run_id),     sizeof(((link_hello_t *)0)->version),
        sizeof(((link_hello_t *)0)->kernels),    sizeof(((link_hello_t *)0)->framework),
        sizeof(((link_hello_t *)0)->engine),
    };
    const char *text = MODEL_NAME "\0" BOARD_ID "\0" MODEL_RUN_ID "\0" MODEL_TOOL_VERSION
                                  "\0" IMAGE_KERNELS "\0" IMAGE_FRAMEWORK "\0" IMAGE_ENGINE;
    for (size_t i = 0; i < sizeof(capacities); i++) {
        for (size_t at = 0; *text != '\0'; text++, at++) {
            if (at < capacities[i]) {
                field[at] = (uint8_t)*text;
            }
        }
        text++;
        field += capacities[i];
    }
}

static void put_u32(app_t *app, link_frame_t *reply, uint32_t value)
{
    app->payload.words[reply->length / sizeof(value)] = value;
    reply->length = (uint16_t)(reply->length + sizeof(value));
}

static link_status_t on_hello(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    link_hello_t *hello = &app->payload.hello;
    (void)request;
    memset(hello, 0, sizeof(*hello));
    hello->protocol_version = LINK_PROTOCOL_VERSION;
    hello->max_payload = LINK_MAX_PAYLOAD;
    hello->input_count = MODEL_INPUT_COUNT;
    hello->output_count = MODEL_OUTPUT_COUNT;
    hello->step_count = MODEL_STEP_COUNT;
    hello->arena_bytes = MODEL_ARENA_BYTES;
    hello->arena_used = app_model_arena_used(&app->model);
    hello->stack_bytes = (uint32_t)board_stack_bytes();
    hello->stack_used = (uint32_t)board_stack_used();
    hello->counter_num = board_info.counter_num;
    hello->counter_den = board_info.counter_den;
    hello->golden_count = APP_GOLDEN_COUNT;
    hello->receive_bytes = board_info.receive_bytes;
    memcpy(hello->model_sha256, model_sha256, sizeof(hello->model_sha256));
    put_texts(&app->payload.bytes[offsetof(link_hello_t, model_name)]);
    reply->length = sizeof(*hello);
    for (size_t i = 0; i < MODEL_INPUT_COUNT; i++) {
        put_u32(app, reply, model_inputs[i].bytes);
    }
    for (size_t i = 0; i < MODEL_OUTPUT_COUNT; i++) {
        put_u32(app, reply, model_outputs[i].bytes);
    }
    return LINK_STATUS_OK;
}
_Static_assert(sizeof(link_hello_t) + 4 * (MODEL_INPUT_COUNT + MODEL_OUTPUT_COUNT) <=
                   LINK_MAX_PAYLOAD,
               "too many tensors for one HELLO");

static bool is_payload(uint32_t count)
{
    return count > 0 && count <= LINK_MAX_PAYLOAD;
}

static link_status_t on_write_input(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    link_offset_t where;
    (void)reply;
    memcpy(&where, request->payload, sizeof(where));
    return app_model_write(&app->model, &where, &request->payload[sizeof(where)],
                           request->length - (uint32_t)sizeof(where));
}

#if APP_DRIFT
link_status_t app_infer(app_t *app, uint32_t *ticks)
{
    drift_look(&app->drift, (const int8_t *)&app->model.arena[model_inputs[0].offset]);
    const link_status_t status = app_model_invoke(&app->model, ticks);
    if (status == LINK_STATUS_OK) {
        drift_count(&app->drift, (const int8_t *)&app->model.arena[model_outputs[0].offset]);
    }
    return status;
}
#endif

static link_status_t on_invoke(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    (void)request;
    app_model_sum_inputs(&app->model);
    put_u32(app, reply, app->model.inputs_crc);
    reply->length = 2 * sizeof(uint32_t);
    return app_infer(app, &app->payload.words[1]);
}

static link_status_t on_read_output(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    link_range_t where;
    memcpy(&where, request->payload, sizeof(where));
    reply->length = (uint16_t)where.count;
    return is_payload(where.count) ? app_model_output(&app->model, &where, &reply->payload)
                                   : LINK_STATUS_BAD_ARGUMENT;
}

#if APP_GOLDEN
static link_status_t on_selftest(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    (void)request;
    app_selftest(app);
    reply->payload = (const uint8_t *)&app->selftest;
    reply->length = sizeof(app->selftest);
    return app->selftest_status;
}
#endif

#if APP_LAYERS
/* Where the ticks of `count` steps from `first` on go. */
typedef struct {
    uint32_t *next;
    uint32_t first;
    uint32_t count;
} profile_t;

static void keep_ticks(void *context, uint32_t step, uint32_t ticks)
{
    profile_t *profile = context;
    if (step - profile->first < profile->count) {
        *profile->next++ = ticks;
    }
}

/* PROFILE runs all steps and keeps the ticks of some, RUN_TO ends with one and keeps none; the CRC
 * of the inputs comes before the ticks. */
static link_status_t on_steps(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    uint32_t *const words = app->payload.words;
    uint32_t last = MODEL_STEP_COUNT - 1U;
    link_pair_t steps = {.count = 0};
    memcpy(&steps, request->payload, request->length);
    if (request->type == LINK_RUN_TO) {
        last = steps.first;
    } else if (steps.count == 0 || steps.count > LINK_MAX_TICKS ||
               !app_in_range(steps.first, steps.count, MODEL_STEP_COUNT)) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    profile_t profile = {.next = &words[1], .first = steps.first, .count = steps.count};
    const link_status_t status = app_model_run_to(&app->model, last, keep_ticks, &profile);
    words[0] = app->model.inputs_crc;
    reply->length = (uint16_t)((1 + steps.count) * sizeof(*words));
    return status;
}

#endif

#if APP_LAYERS || APP_STREAM
static link_status_t on_read_arena(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    link_pair_t where;
    memcpy(&where, request->payload, sizeof(where));
    if (!is_payload(where.count) || !app_in_range(where.first, where.count, MODEL_ARENA_BYTES)) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    reply->payload = &app->model.arena[where.first];
    reply->length = (uint16_t)where.count;
    return LINK_STATUS_OK;
}
#endif

#if defined(MODEL_INTERPRETED) && APP_LAYERS
static link_status_t on_place(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    link_pair_t what;
    memcpy(&what, request->payload, sizeof(what));
    const bool input = what.first == LINK_PLACE_INPUT;
    uint32_t place = UINT32_MAX;
    if (APP_MODEL_PROBLEM != NULL) {
        return LINK_STATUS_NO_ENGINE;
    }
    if (what.first == LINK_PLACE_STEP) {
        place = model_written_at(what.count);
    } else if (what.first <= LINK_PLACE_OUTPUT &&
               what.count < (input ? MODEL_INPUT_COUNT : MODEL_OUTPUT_COUNT)) {
        place = (input ? model_inputs : model_outputs)[what.count].offset;
    }
    if (place >= MODEL_ARENA_BYTES) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    put_u32(app, reply, place);
    return LINK_STATUS_OK;
}
#endif

static link_status_t on_reset(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    (void)request;
    (void)reply;
    app_model_reset(&app->model);
    return LINK_STATUS_OK;
}

/* The board resets behind the reply, see app_service. */
static link_status_t on_boot(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    (void)app;
    (void)request;
    (void)reply;
    return board_has_boot_loader() ? LINK_STATUS_OK : LINK_STATUS_BAD_TYPE;
}

__attribute__((weak)) bool board_has_boot_loader(void)
{
    return false;
}

__attribute__((weak)) void board_enter_boot_loader(void)
{
}

#if APP_DRIFT
_Static_assert(sizeof(link_drift_t) + sizeof(((app_t *)0)->drift.counts) <= LINK_MAX_PAYLOAD,
               "too many tests for one DRIFT");

static link_status_t on_drift(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    uint32_t reset;
    memcpy(&reset, request->payload, sizeof(reset));
    if (reset > 1) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    if (reset == 1) {
        memset(&app->drift, 0, sizeof(app->drift));
    }
    const link_drift_t head = {
        .profile = DRIFT_PROFILE,
        .windows = app->drift.windows,
        .tests = DRIFT_TESTS,
        .bins = DRIFT_BINS,
        .classes = DRIFT_CLASSES,
    };
    memcpy(app->payload.bytes, &head, sizeof(head));
    memcpy(&app->payload.bytes[sizeof(head)], app->drift.counts, sizeof(app->drift.counts));
    reply->length = sizeof(head) + sizeof(app->drift.counts);
    return LINK_STATUS_OK;
}
#endif

typedef struct {
    uint8_t type;
    uint8_t min_length; /* of the request's payload */
    uint16_t max_length;
    app_handler_t *handler;
} message_t;

static link_status_t serve(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    static const message_t messages[] = {
        {LINK_HELLO, 0, 0, on_hello},
        {LINK_WRITE_INPUT, sizeof(link_offset_t) + 1, LINK_MAX_PAYLOAD, on_write_input},
        {LINK_INVOKE, 0, 0, on_invoke},
        {LINK_READ_OUTPUT, sizeof(link_range_t), sizeof(link_range_t), on_read_output},
        {LINK_RESET, 0, 0, on_reset},
        {LINK_BOOT, 0, 0, on_boot},
#if APP_GOLDEN
        {LINK_SELFTEST, 0, 0, on_selftest},
#endif
#if APP_LAYERS
        {LINK_PROFILE, sizeof(link_pair_t), sizeof(link_pair_t), on_steps},
        {LINK_RUN_TO, sizeof(uint32_t), sizeof(uint32_t), on_steps},
#ifdef MODEL_INTERPRETED
        {LINK_PLACE, sizeof(link_pair_t), sizeof(link_pair_t), on_place},
#endif
#endif
#if APP_LAYERS || APP_STREAM
        {LINK_READ_ARENA, sizeof(link_pair_t), sizeof(link_pair_t), on_read_arena},
#endif
#if APP_STREAM
        {LINK_SAMPLES, sizeof(link_samples_t) + 2, LINK_MAX_PAYLOAD, app_on_samples},
        {LINK_RECORD, sizeof(link_record_t), sizeof(link_record_t), app_on_record},
#endif
#if APP_DRIFT
        {LINK_DRIFT, sizeof(uint32_t), sizeof(uint32_t), on_drift},
#endif
    };
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        const message_t *message = &messages[i];
        if (message->type == request->type) {
            return request->length < message->min_length || request->length > message->max_length
                       ? LINK_STATUS_BAD_LENGTH
                       : message->handler(app, request, reply);
        }
    }
    return LINK_STATUS_BAD_TYPE;
}

void app_service(app_t *app, const link_frame_t *request, link_status_t status)
{
    link_frame_t reply = {
        .type = request->type | LINK_REPLY,
        .sequence = request->sequence,
        .payload = app->payload.bytes,
    };
    if (status == LINK_STATUS_OK) {
        status =
            link_in_order(&app->order, request) ? serve(app, request, &reply) : LINK_STATUS_STALE;
    }
    reply.status = (uint8_t)status;
    if (status != LINK_STATUS_OK) {
        reply.length = 0;
    }
    board_write(app->wire, link_encode(&reply, app->wire));
    if (request->type == LINK_BOOT && status == LINK_STATUS_OK) {
        board_enter_boot_loader();
    }
}
