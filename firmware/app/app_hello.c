/* What HELLO tells: the model, the board, and how they get on. */
#include <string.h>

#include "app.h"
#include "board.h"

/* The texts of HELLO, in the order in which the struct has them behind one another; before each
 * stands the size of its field. */
#define LONG "\40"
#define SHORT "\20"
_Static_assert(sizeof(((link_hello_t *)0)->model_name) == 32 &&
                   sizeof(((link_hello_t *)0)->board_id) == 32 &&
                   sizeof(link_hello_t) - offsetof(link_hello_t, run_id) == 5 * 16,
               "the sizes of the fields");

/* Fill fields of zeros; returns where the last one ends. */
static uint8_t *put_texts(uint8_t *field)
{
    const char *text = LONG MODEL_NAME "\0" LONG BOARD_ID "\0" SHORT MODEL_RUN_ID
                                       "\0" SHORT MODEL_TOOL_VERSION "\0" SHORT IMAGE_KERNELS
                                       "\0" SHORT IMAGE_FRAMEWORK "\0" SHORT IMAGE_ENGINE "\0";
    while (*text != '\0') {
        const size_t capacity = (uint8_t)*text++;
        for (size_t at = 0; *text != '\0'; text++, at++) {
            if (at < capacity) {
                field[at] = (uint8_t)*text;
            }
        }
        text++;
        field += capacity;
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
