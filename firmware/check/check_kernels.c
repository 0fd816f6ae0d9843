/* `selftest kernels`: the board's model and the reference model on the same inputs, by steps. */
#include <string.h>

#include "app.h"
#include "check.h"

#define ROUNDS 10 /* the first MODEL_EDGES with one value everywhere, then random ones */
#define SEED 2463534242u

/* The 32-bit xorshift generator with the triple 13, 17, 5 (G. Marsaglia, Xorshift RNGs, 2003). */
static uint32_t draw(uint32_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random;
}

/* The bits of an element. A random float is 2^-6 or larger and less than 4, or the negative. */
static uint32_t element(const model_edge_values_t *values, uint32_t round, uint32_t *random)
{
    if (round < MODEL_EDGES) {
        return values->edges[round];
    }
    const uint32_t bits = draw(random);
    const uint32_t exponent = 121u + ((bits >> 23) & 7u);
    return values->is_float ? (bits & 0x807FFFFFu) | exponent << 23 : bits & values->mask;
}

static void write_inputs(uint8_t *arena, uint32_t round, uint32_t *random)
{
    for (uint32_t i = 0; i < MODEL_INPUT_COUNT; i++) {
        const model_edge_values_t *values = &model_edge_values[i];
        uint8_t *input = &arena[model_inputs[i].offset];
        for (uint32_t at = 0; at < model_inputs[i].bytes; at += values->element_bytes) {
            const uint32_t bits = element(values, round, random);
            memcpy(&input[at], &bits, values->element_bytes);
        }
        memcpy(&check_reference.arena[check_reference.inputs[i].offset], input,
               model_inputs[i].bytes);
    }
}

/* A signed integer in decimal, all else as its bits. */
static void print_element(const uint8_t *bytes, const model_written_t *tensor)
{
    uint32_t value = 0;
    for (uint32_t i = tensor->element_bytes; i-- > 0;) {
        value = value << 8 | bytes[i];
    }
    if (!tensor->is_signed) {
        app_text("0x");
        for (uint32_t i = tensor->element_bytes; i-- > 0;) {
            app_text("~", (uint32_t)bytes[i]);
        }
        return;
    }
    const uint32_t unused = 8u * (4u - tensor->element_bytes);
    value <<= unused;
    const bool negative = value >> 31 != 0;
    value = (negative ? 0u - value : value) >> unused;
    app_text(negative ? "-#" : "#", value);
}

static void print_difference(const model_written_t *tensor, uint32_t first, const uint8_t *expected,
                             const uint8_t *got)
{
    const uint32_t index = first / tensor->element_bytes;
    app_text("kernels FAIL: step #, operator # $, output #, index #: expected ", tensor->step,
             tensor->operator_index, tensor->name, tensor->output, index);
    print_element(&expected[index * tensor->element_bytes], tensor);
    app_text(", got ");
    print_element(&got[index * tensor->element_bytes], tensor);
}

/* Whether both models have written the same; prints the first difference. */
static bool is_equal(const model_written_t *tensor, const uint8_t *expected, const uint8_t *got)
{
    for (uint32_t i = 0; i < tensor->bytes; i++) {
        if (expected[i] != got[i]) {
            print_difference(tensor, i, expected, got);
            return false;
        }
    }
    return true;
}

/* What the reference's own step writes of an operator: one of ours may compute several operators,
 * and has the output of the last only. */
static const model_written_t *find(const model_written_t *reference, uint32_t operator_index)
{
    while (reference->bytes > 0 && reference->operator_index != operator_index) {
        reference++;
    }
    return reference;
}

static bool run_round(uint8_t *arena)
{
    const model_written_t *own = model_written;
    const model_written_t *reference = check_reference.written;
    uint32_t done = 0; /* steps of the reference */
    for (uint32_t step = 0; step < MODEL_STEP_COUNT; step++) {
        model_step(arena, (int32_t)step);
        for (; own->bytes > 0 && own->step == step; own++, reference++) {
            reference = find(reference, own->operator_index);
            while (done <= reference->step) {
                check_reference.step(check_reference.arena, (int32_t)done++);
            }
            if (!is_equal(own, &check_reference.arena[reference->offset], &arena[own->offset])) {
                return false;
            }
        }
    }
    return true;
}

static bool is_same(const char *a, const char *b)
{
    for (; *a == *b && *a != '\0'; a++, b++) {
    }
    return *a == *b;
}

/* A model with state begins with a reset one, which goes on from round to round. */
const char *app_check_kernels(app_t *app, const char *argument)
{
    if (!is_same(argument, "kernels")) {
        return "selftest takes nothing or the word kernels";
    }
    uint8_t *arena = app->model.arena;
    uint32_t random = SEED;
    uint32_t round = 0;
    bool equal = true;
    app_model_reset(&app->model);
    check_reference.reset(check_reference.arena);
    while (equal && round < ROUNDS) {
        write_inputs(arena, round++, &random);
        equal = run_round(arena);
    }
    const char *all = "kernels PASS: all # steps equal in # rounds\r\n";
    app_text(equal ? all : " (of # steps, round #)\r\n", (uint32_t)MODEL_STEP_COUNT, round);
    const bool intact = app_model_canary_intact(&app->model);
    app_model_reset(&app->model);
    return intact ? NULL : "the model wrote behind its arena";
}
