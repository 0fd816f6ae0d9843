/* Text commands for people at a serial monitor. */
#include "app.h"
#include "board.h"

#define BENCH_DEFAULT 10
#define BENCH_MAX 1000
#define NAME_BYTES 8 /* of the longest command */
#define OVERRUN "CANARY OVERWRITTEN: the arena is too small"

__attribute__((weak)) const char *board_note(void)
{
    return "";
}

void app_print_identity(app_t *app)
{
    app_text_t *text = &app->text;
    app_text(text, "tinyproof " MODEL_TOOL_VERSION " on ");
    app_text_line(text, board_info.id);
    app_text(text, "model     " MODEL_NAME ", sha256 ");
    app_text_hex(text, model_sha256, sizeof(model_sha256));
    app_text_line(text, "\r\nrun       " MODEL_RUN_ID "\r\n"
                        "image     kernels " IMAGE_KERNELS ", framework " IMAGE_FRAMEWORK
                        ", engine " IMAGE_ENGINE);
    const char *note = board_note();
    if (*note != '\0') {
        app_text_line(text, note);
    }
#ifdef BOARD_SENSOR
    app_text_line(text, "sensor    " BOARD_SENSOR);
#endif
#ifdef MLPERF
    app_text_line(text, "mlperf    " MLPERF ", as in: help%; its time counts " MLPERF_COUNTS);
#endif
}

static void print_use(app_text_t *text, const char *title, size_t used, size_t bytes)
{
    const uint32_t values[] = {(uint32_t)used, (uint32_t)bytes};
    app_text(text, title);
    app_text_values(text, bytes == 0 ? "not known" : "# of # bytes used", values);
}

static void print_selftest(app_t *app)
{
    app_text_t *text = &app->text;
    const link_selftest_t *result = &app->selftest;
    const uint32_t values[] = {
        result->cases - result->failures,
        result->cases,
        result->first_case,
        result->first_byte,
        result->expected,
        result->got,
    };
    app_text(text, result->failures == 0 ? "self-test PASS: " : "self-test FAIL: ");
    app_text_values(text, "# of # golden vectors equal", values);
    if (result->failures > 0) {
        app_text_values(text, "; first difference at case #, byte #: expected 0x~, got 0x~",
                        &values[2]);
    }
    app_text_end(text);
}

void app_print_results(app_t *app)
{
    app_text_t *text = &app->text;
    print_use(text, "arena     ", app_model_arena_used(&app->model), MODEL_ARENA_BYTES);
    app_text_line(text, app_model_canary_intact(&app->model) ? ", canary intact" : ", " OVERRUN);
    print_use(text, "stack     ", board_stack_used(), board_stack_bytes());
    app_text_end(text);
    const char *problem = APP_MODEL_PROBLEM;
    if (problem != NULL) {
        app_text(text, "engine    ");
        app_text_line(text, problem);
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

/* What stands behind the word `name` at the start of the line; NULL when another word does. */
static const char *after_word(const char *line, const char name[NAME_BYTES])
{
    for (size_t i = 0; i < NAME_BYTES && name[i] != '\0'; i++) {
        if (*line++ != name[i]) {
            return NULL;
        }
    }
    return *line == '\0' || *line == ' ' ? skip_spaces(line) : NULL;
}

/* A number from `digits`, or 0 when it is none or above BENCH_MAX. */
static uint32_t parse_count(const char *digits)
{
    uint32_t value = 0;
    for (; *digits >= '0' && *digits <= '9' && value <= BENCH_MAX; digits++) {
        value = value * 10u + (uint32_t)(*digits - '0');
    }
    return *digits == '\0' && value <= BENCH_MAX ? value : 0;
}

/* Each returns NULL, or what is wrong with its argument. */
typedef const char *command_t(app_t *app, const char *argument);

static const char *do_info(app_t *app, const char *argument)
{
    (void)argument;
    app_print_identity(app);
    app_print_results(app);
    app_text_values(&app->text, "start     # ticks", &app->model.start_ticks);
    app_text_end(&app->text);
    return NULL;
}

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

static const char *do_bench(app_t *app, const char *argument)
{
    const uint32_t count = *argument == '\0' ? BENCH_DEFAULT : parse_count(argument);
    if (count == 0) {
        return "bench takes 1 to 1000, as in: bench 10";
    }
    app_bench(app, count);
    return NULL;
}

static const char *do_help(app_t *app, const char *argument)
{
    (void)argument;
    app_text_line(&app->text, "help      this list\r\n"
                              "info      board, model, memory, self-test\r\n"
                              "selftest  run the golden vectors\r\n"
                              "bench 10  counts of 10 inferences, by step");
#if MODEL_FEATURES
    app_text_line(&app->text, "live      inferences on the sensor's samples, until a key");
#endif
    return NULL;
}

void app_command(app_t *app, const char *line)
{
    static const struct {
        char name[NAME_BYTES]; /* filled up with zeros */
        command_t *run;
    } entries[] = {
        {"help", do_help},
        {"info", do_info},
        {"selftest", do_selftest},
        {"bench", do_bench},
#if MODEL_FEATURES
        {"live", app_live},
#endif
    };
    line = skip_spaces(line);
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        const char *argument = after_word(line, entries[i].name);
        if (argument != NULL) {
            const char *problem = entries[i].run(app, argument);
            app_text(&app->text, problem == NULL ? "ok" : "error: ");
            app_text_line(&app->text, problem == NULL ? "" : problem);
            return;
        }
    }
    app_text(&app->text, "error: unknown command '");
    app_text(&app->text, line);
    app_text_line(&app->text, "'; type help");
}
