/* Answers the commands of MLPerf Tiny's runner: text that ends with %. The last line of each answer
 * is m-ready, and only that. What is wrong is an e-[...] before it. */
#include "mlperf.h"

#include <stddef.h>
#include <string.h>

#include "app.h"
#include "board.h"
#include "mlperf_values.h"

#define END '%'
#define MAX_COMMAND 80
#define MAX_RUNS 1000000
#define MAX_SECONDS 300
#define MICRO 1000000u
#define PRINTED 8 /* bytes a line of `db print` */

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

_Static_assert(MODEL_INPUT_COUNT == 1 && MODEL_GOLDEN_INPUT_BYTES == MLPERF_INPUT_BYTES,
               "the model's input is not the benchmark's");
_Static_assert(MODEL_OUTPUT_COUNT == 1 && MODEL_GOLDEN_OUTPUT_BYTES == MLPERF_OUTPUT_BYTES,
               "the model's output is not the benchmark's");

__attribute__((weak)) uint32_t board_clock_hz(void)
{
    return MLPERF_CLOCK_HZ;
}

/* Add up what has passed, which is less than a turn of the counter. */
void app_mlperf_poll(app_t *app)
{
    const uint32_t now = board_counter();
    app->mlperf.ticks += now - app->mlperf.last;
    app->mlperf.last = now;
}

static uint64_t counts_of(uint64_t ticks)
{
    const uint32_t num = board_info.counter_num;
    const uint32_t den = board_info.counter_den;
    return ticks / den * num + ticks % den * num / den;
}

/* `value` in `digits` digits, with zeros before it. */
static void put_padded(uint32_t value, uint32_t digits)
{
    if (digits > 1) {
        put_padded(value / 10u, digits - 1u);
    }
    app_text("#", value % 10u);
}

static void print_lap(app_t *app)
{
    const uint32_t hz = board_clock_hz();
    app_mlperf_poll(app);
    const uint64_t counts = counts_of(app->mlperf.ticks);
    const uint32_t seconds = (uint32_t)(counts / hz);
    const uint32_t micros = (uint32_t)(counts % hz * MICRO / hz);
    app_text("m-lap-us-");
    if (seconds > 0) {
        app_text("#", seconds);
        put_padded(micros, 6);
    } else {
        app_text("#", micros);
    }
    app_text("\r\n");
}

static void print_results(app_t *app)
{
    app_text("m-results-[");
    for (size_t i = 0; i < MLPERF_RESULTS; i++) {
        const uint32_t value = app->mlperf.results[i];
        app_text(i > 0 ? ",#." : "#.", value / 1000u);
        put_padded(value % 1000u, 3);
    }
    app_text("]\r\n");
}

typedef struct {
    const char *text;
    size_t length; /* 0: there is no word */
} word_t;

/* The next word of `*rest`, which moves behind it. */
static word_t next_word(const char **rest)
{
    word_t word = {.text = *rest + strspn(*rest, " ")};
    word.length = strcspn(word.text, " ");
    *rest = word.text + word.length;
    return word;
}

static bool is(word_t word, const char *name)
{
    return strlen(name) == word.length && memcmp(word.text, name, word.length) == 0;
}

/* Whether a word is a number of at most MAX_RUNS. */
static bool parse_number(word_t word, uint32_t *value)
{
    *value = 0;
    for (size_t i = 0; i < word.length; i++) {
        if (word.text[i] < '0' || word.text[i] > '9' || *value > MAX_RUNS) {
            return false;
        }
        *value = *value * 10u + (uint32_t)(word.text[i] - '0');
    }
    return word.length > 0 && *value <= MAX_RUNS;
}

/* 16 for what is no hexadecimal digit. */
static uint32_t digit_of(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return (uint32_t)(digit - '0');
    }
    const char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? (uint32_t)(lower - 'a' + 10) : 16u;
}

/* Each returns NULL, or what is wrong. */
typedef const char *command_t(app_t *app, const char *rest);

static const char *do_load(app_t *app, const char *rest)
{
    mlperf_t *mlperf = &app->mlperf;
    uint32_t bytes;
    mlperf->received = 0;
    mlperf->loading = mlperf->ready = mlperf->has_results = false;
    const bool is_number = parse_number(next_word(&rest), &bytes);
    if (!is_number || bytes != MLPERF_BYTES || next_word(&rest).length > 0) {
        return "db load: " MLPERF " takes exactly " TEXT(MLPERF_BYTES) " bytes";
    }
    mlperf->loading = true;
    app_text("m-[Expecting " TEXT(MLPERF_BYTES) " bytes]\r\n");
    return NULL;
}

static const char *do_print(app_t *app, const char *rest)
{
    if (next_word(&rest).length > 0) {
        return "db print takes nothing more";
    }
    for (uint32_t i = 0; i < app->mlperf.received; i++) {
        const uint32_t byte = mlperf_sent(&app->mlperf, i);
        app_text(i % PRINTED == 0 ? "m-buffer-~" : "-~", byte);
        if (i % PRINTED == PRINTED - 1u || i == app->mlperf.received - 1u) {
            app_text("\r\n");
        }
    }
    return NULL;
}

/* All digits are looked at before the first byte is kept. */
static const char *take_digits(app_t *app, word_t digits)
{
    mlperf_t *mlperf = &app->mlperf;
    if (!mlperf->loading) {
        return "db load " TEXT(MLPERF_BYTES) " comes before the bytes";
    }
    if (digits.length % 2u != 0) {
        return "db: an odd number of hex digits, none was kept";
    }
    for (size_t i = 0; i < digits.length; i++) {
        if (digit_of(digits.text[i]) > 15u) {
            return "db: not a hex digit, none was kept";
        }
    }
    if (digits.length / 2u > MLPERF_BYTES - mlperf->received) {
        return "db: more than the " TEXT(MLPERF_BYTES) " bytes of db load, none was kept";
    }
    for (size_t i = 0; i < digits.length; i += 2) {
        const uint32_t high = digit_of(digits.text[i]);
        const uint32_t low = digit_of(digits.text[i + 1u]);
        mlperf_keep(mlperf, mlperf->received++, (uint8_t)(high << 4 | low));
    }
    if (mlperf->received < MLPERF_BYTES) {
        return NULL;
    }
    mlperf->ready = mlperf_prepare(mlperf);
    if (!mlperf->ready) {
        mlperf->loading = false;
        return "db: the bytes are no floats from -1000 to 1000; db load begins anew";
    }
    app_text("m-load-done\r\n");
    return NULL;
}

static const char *do_db(app_t *app, const char *rest)
{
    const word_t word = next_word(&rest);
    if (is(word, "load")) {
        return do_load(app, rest);
    }
    if (is(word, "print")) {
        return do_print(app, rest);
    }
    if (word.length == 0 || next_word(&rest).length > 0) {
        return "db takes one of: load N, hex digits, print";
    }
    return take_digits(app, word);
}

/* The model consumes its input, so each run gets it anew. */
static const char *run(app_t *app, uint32_t runs)
{
    const uint64_t start = app->mlperf.ticks;
    const uint64_t limit = (uint64_t)MAX_SECONDS * board_clock_hz();
    for (uint32_t i = 0; i < runs; i++) {
        uint32_t ticks;
        memcpy(app_model_fill(&app->model), app->mlperf.input, MLPERF_INPUT_BYTES);
        if (app_model_invoke(&app->model, &ticks) != LINK_STATUS_OK) {
            const char *const problem = APP_MODEL_PROBLEM;
            return problem != NULL ? problem : "the model wrote past its arena, trust no result";
        }
        app_mlperf_poll(app);
        if (counts_of(app->mlperf.ticks - start) > limit) {
            return "infer was stopped after " TEXT(MAX_SECONDS) " s, take fewer runs";
        }
    }
    return NULL;
}

static const char *infer(app_t *app, uint32_t runs, uint32_t warmups)
{
    app_text("m-warmup-start-#\r\n", warmups);
    const char *problem = run(app, warmups);
    if (problem != NULL) {
        return problem;
    }
    app_text("m-warmup-done\r\n");
    app_text("m-infer-start-#\r\n", runs);
    print_lap(app);
    problem = run(app, runs);
    if (problem != NULL) {
        return problem;
    }
    print_lap(app);
    app_text("m-infer-done\r\n");
    const uint32_t output = model_outputs[0].offset;
    mlperf_judge(&app->mlperf, (const int8_t *)&app->model.arena[output]);
    app->mlperf.has_results = true;
    print_results(app);
    return NULL;
}

static const char *do_infer(app_t *app, const char *rest)
{
    uint32_t runs = 1;
    uint32_t warmups = 10;
    const word_t first = next_word(&rest);
    const word_t second = next_word(&rest);
    if ((first.length > 0 && (!parse_number(first, &runs) || runs == 0)) ||
        (second.length > 0 && !parse_number(second, &warmups)) || next_word(&rest).length > 0) {
        return "infer N W: N is 1 to " TEXT(MAX_RUNS) ", W is 0 to " TEXT(MAX_RUNS);
    }
    app->mlperf.has_results = false;
    if (!app->mlperf.ready) {
        return "infer: no whole input; db load " TEXT(MLPERF_BYTES) ", then db with its bytes";
    }
    return infer(app, runs, warmups);
}

static const char *do_results(app_t *app, const char *rest)
{
    (void)rest;
    if (!app->mlperf.has_results) {
        return "results: infer has not run on this input";
    }
    print_results(app);
    return NULL;
}

static const char *do_name(app_t *app, const char *rest)
{
    (void)app;
    (void)rest;
    app_text("m-name-dut-[tinyproof " BOARD_ID "]\r\n");
    return NULL;
}

/* The runner chooses its script by the second line; the first is the public firmware's version. */
static const char *do_profile(app_t *app, const char *rest)
{
    (void)app;
    (void)rest;
    app_text("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\n"
             "m-model-[" MLPERF "]\r\n");
    return NULL;
}

static const char *do_timestamp(app_t *app, const char *rest)
{
    (void)rest;
    print_lap(app);
    return NULL;
}

static const char *do_help(app_t *app, const char *rest)
{
    (void)app;
    (void)rest;
    app_text("name         who this is\r\n"
             "profile      the benchmark\r\n"
             "timestamp    microseconds since the start\r\n"
             "db load N    begin an input of N bytes\r\n"
             "db HH[HH]*   its next bytes\r\n"
             "db print     its bytes so far\r\n"
             "infer N W    N timed inferences after W others\r\n"
             "results      of the last inference\r\n"
             "help         this list\r\n");
    return NULL;
}

static const char *carry_out(app_t *app, const char *line)
{
    static const struct {
        const char *name;
        command_t *run;
    } entries[] = {
        {"name", do_name},   {"profile", do_profile}, {"timestamp", do_timestamp}, {"db", do_db},
        {"infer", do_infer}, {"results", do_results}, {"help", do_help},
    };
    const word_t name = next_word(&line);
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        if (is(name, entries[i].name)) {
            return entries[i].run(app, line);
        }
    }
    return "Unknown command; help% lists them";
}

void app_mlperf_start(app_t *app)
{
    app->mlperf.last = board_counter();
    app_text("m-timestamp-mode-performance\r\n");
    print_lap(app);
    app_text("m-init-done\r\nm-ready\r\n");
}

bool app_mlperf_take(app_t *app, uint8_t byte)
{
    link_receiver_t *receiver = &app->receiver;
    const size_t length = receiver->length;
    if (byte != END || (length > 0 && receiver->bytes[0] == LINK_FRAME_START)) {
        return false;
    }
    const char *problem = "a command has at most " TEXT(MAX_COMMAND) " characters";
    if (length <= MAX_COMMAND) {
        receiver->bytes[length] = 0;
        problem = carry_out(app, (const char *)receiver->bytes);
    }
    link_receiver_init(receiver);
    if (problem != NULL) {
        app_text("e-[$]\r\n", problem);
    }
    app_text("m-ready\r\n");
    return true;
}
