#include "app.h"
#include "board.h"

static void boot(app_t *app)
{
    board_init();
    app_model_init(&app->model);
    link_receiver_init(&app->receiver);
#if APP_TEXT
    app_print_identity(app);
#endif
#if APP_GOLDEN
    app_selftest(app);
#endif
#if APP_TEXT
    app_print_results(app);
    app_text(&app->text, "ready: type help\r\n");
#endif
    app_mlperf_start(app);
}

/* `end` is the byte that completed the event: people end a line, programs a frame. */
static void answer(app_t *app, link_event_t event, uint8_t end)
{
    static const link_frame_t damaged = {.type = LINK_ERROR};
    (void)end;
    if (event == LINK_EVENT_FRAME) {
        app_service(app, &app->receiver.frame, LINK_STATUS_OK);
#if APP_TEXT
    } else if (event == LINK_EVENT_TEXT && end != 0) {
        app_command(app, (const char *)app->receiver.bytes);
    } else if (event == LINK_EVENT_DAMAGE && end != 0) {
        app_text(&app->text, "error: this line is too long or not printable; type help\r\n");
#endif
    } else if (event != LINK_EVENT_NONE) { /* it belongs to no request */
        app_service(app, &damaged,
                    event == LINK_EVENT_TEXT ? LINK_STATUS_BAD_FRAME : app->receiver.status);
    }
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
    boot(&app);
    for (;;) {
        app_poll(&app);
    }
}
