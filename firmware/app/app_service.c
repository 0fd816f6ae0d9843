/* Answers frames: one handler per message, chosen from a table. */
#include <string.h>

#include "app.h"
#include "board.h"

typedef struct {
    const uint8_t *data; /* the request's payload */
    uint32_t length;
    const uint8_t *reply; /* the reply's payload */
    uint32_t reply_length;
} exchange_t;

typedef link_status_t handler_t(app_t *app, exchange_t *exchange);

static void copy_text(char *field, size_t capacity, const char *text)
{
    const size_t length = strlen(text);
    memcpy(field, text, length < capacity ? length : capacity);
}

static void put_u32(app_t *app, exchange_t *exchange, uint32_t value)
{
    memcpy(&app->payload[exchange->reply_length], &value, sizeof(value));
    exchange->reply = app->payload;
    exchange->reply_length += (uint32_t)sizeof(value);
}

static link_status_t on_hello(app_t *app, exchange_t *exchange)
{
    link_hello_t hello = {
        .protocol_version = LINK_PROTOCOL_VERSION,
        .max_payload = LINK_MAX_PAYLOAD,
        .input_count = MODEL_INPUT_COUNT,
        .output_count = MODEL_OUTPUT_COUNT,
        .step_count = MODEL_STEP_COUNT,
        .arena_bytes = MODEL_ARENA_BYTES,
        .arena_used = app_model_arena_used(&app->model),
        .stack_bytes = (uint32_t)board_stack_bytes(),
        .stack_used = (uint32_t)board_stack_used(),
        .counter_num = board_info.counter_num,
        .counter_den = board_info.counter_den,
        .golden_count = MODEL_GOLDEN_COUNT,
    };
    memcpy(hello.model_sha256, model_sha256, sizeof(hello.model_sha256));
    copy_text(hello.model_name, sizeof(hello.model_name), MODEL_NAME);
    copy_text(hello.board_id, sizeof(hello.board_id), board_info.id);
    copy_text(hello.run_id, sizeof(hello.run_id), MODEL_RUN_ID);
    copy_text(hello.version, sizeof(hello.version), MODEL_TOOL_VERSION);
    memcpy(app->payload, &hello, sizeof(hello));
    exchange->reply_length = sizeof(hello);
    for (size_t i = 0; i < MODEL_INPUT_COUNT; i++) {
        put_u32(app, exchange, model_inputs[i].bytes);
    }
    for (size_t i = 0; i < MODEL_OUTPUT_COUNT; i++) {
        put_u32(app, exchange, model_outputs[i].bytes);
    }
    return LINK_STATUS_OK;
}
_Static_assert(sizeof(link_hello_t) + 4 * (MODEL_INPUT_COUNT + MODEL_OUTPUT_COUNT) <=
                   LINK_MAX_PAYLOAD,
               "too many tensors for one HELLO");

static link_status_t on_write_input(app_t *app, exchange_t *exchange)
{
    link_offset_t where;
    memcpy(&where, exchange->data, sizeof(where));
    return app_model_write(&app->model, &where, &exchange->data[sizeof(where)],
                           exchange->length - (uint32_t)sizeof(where));
}

static link_status_t on_invoke(app_t *app, exchange_t *exchange)
{
    uint32_t ticks = 0;
    const link_status_t status = app_model_invoke(&app->model, &ticks);
    put_u32(app, exchange, ticks);
    return status;
}

static link_status_t on_read_output(app_t *app, exchange_t *exchange)
{
    link_range_t where;
    memcpy(&where, exchange->data, sizeof(where));
    if (where.count == 0 || where.count > LINK_MAX_PAYLOAD) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    exchange->reply_length = where.count;
    return app_model_output(&app->model, &where, &exchange->reply);
}

static link_status_t on_selftest(app_t *app, exchange_t *exchange)
{
    app_selftest(app);
    exchange->reply = (const uint8_t *)&app->selftest;
    exchange->reply_length = sizeof(app->selftest);
    return app->selftest_status;
}

typedef struct {
    app_t *app;
    exchange_t *exchange;
    link_pair_t steps;
} profile_t;

static void keep_ticks(void *context, uint32_t step, uint32_t ticks)
{
    const profile_t *profile = context;
    if (step >= profile->steps.first && step - profile->steps.first < profile->steps.count) {
        put_u32(profile->app, profile->exchange, ticks);
    }
}

static link_status_t on_profile(app_t *app, exchange_t *exchange)
{
    profile_t profile = {.app = app, .exchange = exchange};
    memcpy(&profile.steps, exchange->data, sizeof(profile.steps));
    if (profile.steps.count == 0 || profile.steps.count > LINK_MAX_TICKS ||
        profile.steps.first > MODEL_STEP_COUNT ||
        profile.steps.count > MODEL_STEP_COUNT - profile.steps.first) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    return app_model_run_to(&app->model, MODEL_STEP_COUNT - 1, keep_ticks, &profile);
}

static link_status_t on_run_to(app_t *app, exchange_t *exchange)
{
    uint32_t last;
    memcpy(&last, exchange->data, sizeof(last));
    return app_model_run_to(&app->model, last, NULL, NULL);
}

static link_status_t on_read_arena(app_t *app, exchange_t *exchange)
{
    link_pair_t where;
    memcpy(&where, exchange->data, sizeof(where));
    if (where.count == 0 || where.count > LINK_MAX_PAYLOAD || where.first > MODEL_ARENA_BYTES ||
        where.count > MODEL_ARENA_BYTES - where.first) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    exchange->reply = &app->model.arena[where.first];
    exchange->reply_length = where.count;
    return LINK_STATUS_OK;
}

static link_status_t on_reset(app_t *app, exchange_t *exchange)
{
    (void)exchange;
    app_model_reset(&app->model);
    return LINK_STATUS_OK;
}

typedef struct {
    uint8_t type;
    uint16_t min_length; /* of the request's payload */
    uint16_t max_length;
    handler_t *handler;
} message_t;

static const message_t *find_message(uint8_t type)
{
    static const message_t messages[] = {
        {LINK_HELLO, 0, 0, on_hello},
        {LINK_WRITE_INPUT, sizeof(link_offset_t) + 1, LINK_MAX_PAYLOAD, on_write_input},
        {LINK_INVOKE, 0, 0, on_invoke},
        {LINK_READ_OUTPUT, sizeof(link_range_t), sizeof(link_range_t), on_read_output},
        {LINK_SELFTEST, 0, 0, on_selftest},
        {LINK_PROFILE, sizeof(link_pair_t), sizeof(link_pair_t), on_profile},
        {LINK_RUN_TO, sizeof(uint32_t), sizeof(uint32_t), on_run_to},
        {LINK_READ_ARENA, sizeof(link_pair_t), sizeof(link_pair_t), on_read_arena},
        {LINK_RESET, 0, 0, on_reset},
    };
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        if (messages[i].type == type) {
            return &messages[i];
        }
    }
    return NULL;
}

static void send_reply(app_t *app, const link_frame_t *frame)
{
    board_write(app->wire, link_encode(frame, app->wire));
}

void app_service_frame(app_t *app, const link_frame_t *request)
{
    const message_t *message = find_message(request->type);
    exchange_t exchange = {.data = request->payload, .length = request->length};
    link_status_t status;
    if (message == NULL) {
        status = LINK_STATUS_BAD_TYPE;
    } else if (request->length < message->min_length || request->length > message->max_length) {
        status = LINK_STATUS_BAD_LENGTH;
    } else {
        status = message->handler(app, &exchange);
    }
    send_reply(app, &(link_frame_t){
                        .type = request->type | LINK_REPLY,
                        .status = (uint8_t)status,
                        .sequence = request->sequence,
                        .length = status == LINK_STATUS_OK ? (uint16_t)exchange.reply_length : 0,
                        .payload = exchange.reply,
                    });
}

void app_service_damage(app_t *app, link_status_t status)
{
    send_reply(app, &(link_frame_t){.type = LINK_ERROR, .status = (uint8_t)status});
}
