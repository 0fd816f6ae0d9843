/* Text commands for people at a serial monitor. */
#include "app.h"
#include "board.h"

#define OVERRUN "CANARY OVERWRITTEN: the arena is too small"

__attribute__((weak)) const char *board_note(void)
{
    return "";
}

void app_print_identity(void)
{
    app_text("tinyproof " MODEL_TOOL_VERSION " on " BOARD_ID "\r\n"
             "model     " MODEL_NAME ", sha256 ");
    for (size_t i = 0; i < sizeof(model_sha256); i++) {
        app_text("~", (uint32_t)model_sha256[i]);
    }
    app_text("\r\nrun       " MODEL_RUN_ID "\r\n"
             "image     kernels " IMAGE_KERNELS ", framework " IMAGE_FRAMEWORK
             ", engine " IMAGE_ENGINE "\r\n$",
             board_note());
#ifdef BOARD_SENSOR
    app_text("sensor    " BOARD_SENSOR "\r\n");
#endif
#ifdef MLPERF
    app_text("mlperf    " MLPERF ", as in: help%; its time counts " MLPERF_COUNTS "\r\n");
#endif
}

static void print_selftest(app_t *app)
{
#if APP_GOLDEN
    const link_selftest_t *result = &app->selftest;
    const uint32_t failures = result->failures;
    app_text("self-test $: # of # golden vectors equal", failures == 0 ? "PASS" : "FAIL",
             result->cases - failures, result->cases);
    if (failures > 0) {
        app_text("; first difference at case #, byte #: expected 0x~, got 0x~", result->first_case,
                 result->first_byte, result->expected, result->got);
    }
    app_text("\r\n");
#else
    (void)app;
    app_text("self-test left out\r\n");
#endif
}

void app_print_results(app_t *app)
{
    const uint32_t stack_bytes = (uint32_t)board_stack_bytes();
    app_text("arena     # of # bytes used, $\r\nstack     ", app_model_arena_used(&app->model),
             (uint32_t)MODEL_ARENA_BYTES,
             app_model_canary_intact(&app->model) ? "canary intact" : OVERRUN);
    app_text(stack_bytes == 0 ? "not known\r\n" : "# of # bytes used\r\n",
             (uint32_t)board_stack_used(), stack_bytes);
    const char *problem = APP_MODEL_PROBLEM;
    if (problem != NULL) {
        app_text("engine    $\r\n", problem);
    }
    print_selftest(app);
}

static const char *skip_spaces(const char *line)
{
    while (*line == ' ') {
        line++;
    }
    return line;
}

/* Each returns NULL, or what is wrong with its argument. */
typedef const char *command_t(app_t *app, const char *argument);

static const char *do_info(app_t *app, const char *argument)
{
    (void)argument;
    app_print_identity();
    app_print_results(app);
    app_text("start     # ticks\r\n", app->model.start_ticks);
    return NULL;
}

#if APP_GOLDEN
__attribute__((weak)) const char *app_check_kernels(app_t *app, const char *argument)
{
    (void)app;
    (void)argument;
    return "not linked, see `make selftest`";
}

static const char *do_selftest(app_t *app, const char *argument)
{
    if (*argument != '\0') {
        return app_check_kernels(app, argument);
    }
    app_selftest(app);
    print_selftest(app);
    return app_model_canary_intact(&app->model) ? NULL : OVERRUN;
}
#endif

/* What `help` says: each line begins with the name of a command. */
static const char uses[] = "help      this list\r\n"
                           "info      board, model, memory, self-test\r\n"
#if APP_GOLDEN
                           "selftest  run the golden vectors\r\n"
#endif
                           "bench 10  counts of 10 inferences, by step\r\n"
#if APP_STREAM
                           "live      inferences on the sensor's samples, until a key\r\n"
#endif
    ;

static const char *do_help(app_t *app, const char *argument)
{
    (void)app;
    (void)argument;
    app_text(uses);
    return NULL;
}

/* In the order of their lines in `uses`. */
static command_t *const commands[] = {
    do_help,     do_info,
#if APP_GOLDEN
    do_selftest,
#endif
    app_bench,
#if APP_STREAM
    app_live,
#endif
};

void app_command(app_t *app, const char *line)
{
    const char *use = uses;
    line = skip_spaces(line);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const char *end = line; /* of its first word */
        for (; *end == *use && *end != ' '; use++) {
            end++;
        }
        if (*use == ' ' && (*end == '\0' || *end == ' ')) {
            const char *problem = commands[i](app, skip_spaces(end));
            app_text(problem == NULL ? "ok\r\n" : "error: $\r\n", problem);
            return;
        }
        while (*use++ != '\n') {
        }
    }
    app_text("error: unknown command '$'; type help\r\n", line);
}
