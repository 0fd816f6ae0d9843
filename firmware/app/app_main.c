#include "app.h"
#include "board.h"

void app_start(app_t *app)
{
    board_init();
    app_model_init(&app->model);
#if APP_TEXT
    app_print_identity();
#endif
#if APP_GOLDEN
    app_selftest(app);
#endif
#if APP_TEXT
    app_print_results(app);
    app_text("ready: type help\r\n");
#endif
    app_mlperf_start(app);
}

__attribute__((weak)) void board_enter_boot_loader(void)
{
}

/* Answer the frame, which becomes its reply, or refuse it where it arrived with another status than
 * OK. */
static void answer_frame(app_t *app, link_frame_t *frame, link_status_t status)
{
    if (status == LINK_STATUS_OK) {
        const uint8_t *const data = frame->payload;
        const uint32_t length = frame->length;
        frame->payload = app->payload.bytes;
        frame->length = 0;
        status = link_in_order(&app->order, frame) ? app_service(app, frame, data, length)
                                                   : LINK_STATUS_STALE;
    }
    frame->type |= LINK_REPLY;
    frame->status = (uint8_t)status;
    if (status != LINK_STATUS_OK) {
        frame->length = 0;
    }
    link_send(frame, NULL, 0, board_write);
    if (frame->type == (LINK_BOOT | LINK_REPLY) && status == LINK_STATUS_OK) {
        board_enter_boot_loader();
    }
}

/* `end` is the byte that completed the event: people end a line, programs a frame. */
static void answer(app_t *app, link_event_t event, uint8_t end)
{
    link_receiver_t *const receiver = &app->receiver;
    link_status_t status = LINK_STATUS_OK;
    (void)end;
    if (event == LINK_EVENT_NONE) {
        return;
    }
    if (event != LINK_EVENT_FRAME) {
#if APP_TEXT
        if (end != 0) {
            if (event == LINK_EVENT_TEXT) {
                app_command(app, (const char *)receiver->bytes);
            } else {
                app_text("error: this line is too long or not printable; type help\r\n");
            }
            return;
        }
#endif
        receiver->frame = (link_frame_t){.type = LINK_ERROR}; /* it belongs to no request */
        status = receiver->status;
    }
    answer_frame(app, &receiver->frame, status);
}

void app_poll(app_t *app)
{
    const size_t count = board_read(app->input, sizeof(app->input));
    app_mlperf_poll(app);
    for (size_t i = 0; i < count; i++) {
        if (!app_mlperf_take(app, app->input[i])) {
            answer(app, link_receive(&app->receiver, app->input[i]), app->input[i]);
        }
    }
}

_Noreturn void app_run(void)
{
    static app_t app;
    app_start(&app);
    for (;;) {
        app_poll(&app);
    }
}
