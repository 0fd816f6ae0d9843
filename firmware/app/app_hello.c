/* What HELLO tells: the model, the board, and how they get on. */
#include <string.h>

#include "app.h"
#include "board.h"

/* The texts of HELLO in their order, which the struct has behind one another. */
static uint8_t *put_texts(uint8_t *field)
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
    return field;
}

uint32_t app_hello(const app_model_t *model, link_hello_t *hello)
{
    memset(hello, 0, sizeof(*hello));
    hello->protocol_version = LINK_PROTOCOL_VERSION;
    hello->max_payload = LINK_MAX_PAYLOAD;
    hello->input_count = MODEL_INPUT_COUNT;
    hello->output_count = MODEL_OUTPUT_COUNT;
    hello->step_count = MODEL_STEP_COUNT;
    hello->arena_bytes = MODEL_ARENA_BYTES;
    hello->arena_used = app_model_arena_used(model);
    hello->stack_bytes = (uint32_t)board_stack_bytes();
    hello->stack_used = (uint32_t)board_stack_used();
    hello->counter_num = board_info.counter_num;
    hello->counter_den = board_info.counter_den;
    hello->golden_count = APP_GOLDEN_COUNT;
    hello->receive_bytes = board_info.receive_bytes;
    memcpy(hello->model_sha256, model_sha256, sizeof(hello->model_sha256));
    uint32_t *bytes = (uint32_t *)put_texts((uint8_t *)hello->model_name);
    for (size_t i = 0; i < MODEL_INPUT_COUNT; i++) {
        *bytes++ = model_inputs[i].bytes;
    }
    for (size_t i = 0; i < MODEL_OUTPUT_COUNT; i++) {
        *bytes++ = model_outputs[i].bytes;
    }
    return sizeof(*hello) + 4 * (MODEL_INPUT_COUNT + MODEL_OUTPUT_COUNT);
}
_Static_assert(sizeof(link_hello_t) + 4 * (MODEL_INPUT_COUNT + MODEL_OUTPUT_COUNT) <=
                   LINK_MAX_PAYLOAD,
               "too many tensors for one HELLO");
