/* The golden cases of a model, with the kernels called in several ways; one line of JSON each. */
#include "board.h"
#include "common/fault.h"
#include "model.h"

#include <string.h>

/* start.S */
uint32_t chain_call[5]; /* the kernel and its arguments */
uint32_t chain_depth, chain_broken, timer_period, interrupts, interrupts_in_loops;
void timer_start(uint32_t ticks);
void window_exceptions(uint32_t counts[2]);

int main(void);

typedef struct {
    uint32_t depth, ticks;
} way_t;

static const way_t ways[] = {{0, 0},    {9, 0},    {10, 0},    {11, 0},   {0, 307},
                             {0, 1009}, {9, 1511}, {10, 1777}, {11, 2003}};

static uint8_t arena[MODEL_ARENA_BYTES] __attribute__((aligned(16)));

static void text(const char *part)
{
    board_write((const uint8_t *)part, strlen(part));
}

static void number(const char *name, uint32_t value)
{
    char digits[10];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    text(name);
    board_write((const uint8_t *)&digits[first], sizeof digits - first);
}

/* Instructions of the inference; the difference of a case is added to `wrong`. */
static uint32_t run(uint32_t golden, uint32_t *wrong)
{
    const uint8_t *in = model_golden_inputs[golden];
    const uint8_t *out = model_golden_outputs[golden];
    memset(arena, 0, sizeof arena);
    model_reset(arena);
    for (uint32_t i = 0; i < MODEL_INPUT_COUNT; i++) {
        memcpy(arena + model_inputs[i].offset, in, model_inputs[i].bytes);
        in += model_inputs[i].bytes;
    }
    const uint32_t start = board_counter();
    model_invoke(arena);
    const uint32_t ticks = board_counter() - start;
    for (uint32_t i = 0; i < MODEL_OUTPUT_COUNT; i++) {
        *wrong += memcmp(arena + model_outputs[i].offset, out, model_outputs[i].bytes) != 0;
        out += model_outputs[i].bytes;
    }
    return (uint32_t)((uint64_t)ticks * board_info.counter_num / board_info.counter_den);
}

int main(void)
{
    for (uint32_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        uint32_t windows[2], instructions = 0, wrong = 0;
        interrupts = 0;
        interrupts_in_loops = 0;
        chain_depth = ways[way].depth;
        window_exceptions(windows);
        timer_start(ways[way].ticks);
        for (uint32_t golden = 0; golden < MODEL_GOLDEN_COUNT; golden++) {
            instructions = run(golden, &wrong);
        }
        timer_start(0);
        window_exceptions(windows);
        number("{\"depth\": ", ways[way].depth);
        number(", \"ticks\": ", ways[way].ticks);
        number(", \"cases\": ", MODEL_GOLDEN_COUNT);
        number(", \"wrong\": ", wrong);
        number(", \"broken\": ", chain_broken != 0);
        number(", \"instructions\": ", instructions);
        number(", \"overflows\": ", windows[0]);
        number(", \"underflows\": ", windows[1]);
        number(", \"interrupts\": ", interrupts);
        number(", \"interrupts_in_loops\": ", interrupts_in_loops);
        text("}\n");
    }
    board_fault_stop(0);
}
