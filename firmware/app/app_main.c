#include "app.h"
#include "board.h"

static void boot(app_t *app)
{
    board_init();
    app_model_init(&app->model);
    link_receiver_init(&app->receiver);
    app_print_identity(app);
    app_selftest(app);
    app_print_results(app);
    app_text_line(&app->text, "ready: type help");
    app_mlperf_start(app);
}

/* `end` is the byte that completed the event: people end a line, programs a frame. */
static void answer(app_t *app, link_event_t event, uint8_t end)
{
    if (event == LINK_EVENT_FRAME) {
        app_service_frame(app, &app->receiver.frame);
    } else if (event == LINK_EVENT_TEXT && end != 0) {
        app_command(app, (const char *)app->receiver.bytes);
    } else if (event == LINK_EVENT_TEXT) {
        app_service_damage(app, LINK_STATUS_BAD_FRAME);
    } else if (event == LINK_EVENT_DAMAGE && end == 0) {
        app_service_damage(app, app->receiver.status);
    } else if (event == LINK_EVENT_DAMAGE) {
        app_text_line(&app->text, "error: this line is too long or not printable; type help");
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
