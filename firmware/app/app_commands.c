/* Text commands for people at a serial monitor. */
#include <string.h>

#include "app.h"
#include "board.h"

#define BENCH_DEFAULT 10
#define BENCH_MAX 1000

void app_print_identity(app_t *app)
{
    app_text_t *text = &app->text;
    app_text(text, "tinyproof " MODEL_TOOL_VERSION " on ");
    app_text_line(text, board_info.id);
    app_text(text, "model     " MODEL_NAME ", sha256 ");
    app_text_hex(text, model_sha256, sizeof(model_sha256));
    app_text_end(text);
    app_text_line(text, "run       " MODEL_RUN_ID);
}

static void print_use(app_text_t *text, const char *title, size_t used, size_t bytes)
{
    app_text(text, title);
    if (bytes == 0) {
        app_text(text, "not known");
        return;
    }
    app_text_u32(text, (uint32_t)used);
    app_text(text, " of ");
    app_text_u32(text, (uint32_t)bytes);
    app_text(text, " bytes used");
}

static void print_selftest(app_t *app)
{
    app_text_t *text = &app->text;
    const link_selftest_t *result = &app->selftest;
    const uint8_t expected = (uint8_t)result->expected;
    const uint8_t got = (uint8_t)result->got;
    app_text(text, result->failures == 0 ? "self-test PASS: " : "self-test FAIL: ");
    app_text_u32(text, result->cases - result->failures);
    app_text(text, " of ");
    app_text_u32(text, result->cases);
    app_text(text, " golden vectors equal");
    if (result->failures > 0) {
        app_text(text, "; first difference at case ");
        app_text_u32(text, result->first_case);
        app_text(text, ", byte ");
        app_text_u32(text, result->first_byte);
        app_text(text, ": expected 0x");
        app_text_hex(text, &expected, 1);
        app_text(text, ", got 0x");
        app_text_hex(text, &got, 1);
    }
    app_text_end(text);
}

void app_print_results(app_t *app)
{
    app_text_t *text = &app->text;
    print_use(text, "arena     ", app_model_arena_used(&app->model), MODEL_ARENA_BYTES);
    const bool intact = app_model_canary_intact(&app->model);
    app_text_line(text,
                  intact ? ", canary intact" : ", CANARY OVERWRITTEN: the arena is too small");
    print_use(text, "stack     ", board_stack_used(), board_stack_bytes());
    app_text_end(text);
    print_selftest(app);
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
    return NULL;
}

static const char *do_selftest(app_t *app, const char *argument)
{
    (void)argument;
    app_selftest(app);
    print_selftest(app);
    return app_model_canary_intact(&app->model) ? NULL
                                                : link_status_text(LINK_STATUS_ARENA_OVERRUN);
}

static const char *do_bench(app_t *app, const char *argument)
{
    const uint32_t count = *argument == '\0' ? BENCH_DEFAULT : parse_count(argument);
    if (count == 0) {
        return "bench takes a number from 1 to 1000, for example: bench 10";
    }
    app_bench(app, count);
    return NULL;
}

static const char *do_help(app_t *app, const char *argument)
{
    (void)argument;
    app_text_line(&app->text, "help      this list");
    app_text_line(&app->text, "info      board, model, memory and the last self-test");
    app_text_line(&app->text, "selftest  run the golden vectors again");
    app_text_line(&app->text, "bench 10  counts per inference over 10 runs, and by step");
    return NULL;
}

typedef struct {
    const char *name;
    command_t *run;
} entry_t;

static const entry_t *find_command(const char *line, size_t length)
{
    static const entry_t entries[] = {
        {"help", do_help},
        {"info", do_info},
        {"selftest", do_selftest},
        {"bench", do_bench},
    };
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        if (strlen(entries[i].name) == length && memcmp(entries[i].name, line, length) == 0) {
            return &entries[i];
        }
    }
    return NULL;
}

void app_command(app_t *app, const char *line)
{
    line += strspn(line, " ");
    const size_t length = strcspn(line, " ");
    const char *argument = &line[length];
    argument += strspn(argument, " ");
    const entry_t *entry = find_command(line, length);
    if (entry == NULL) {
        app_text(&app->text, "error: unknown command '");
        app_text(&app->text, line);
        app_text_line(&app->text, "'; type help");
        return;
    }
    const char *problem = entry->run(app, argument);
    app_text(&app->text, problem == NULL ? "ok" : "error: ");
    app_text_line(&app->text, problem == NULL ? "" : problem);
}
