/* In a file of its own, with the golden cases: linked only when it is called. */
#include "library.h"

#include <string.h>

/* Whether golden case `golden` gives what TFLite Micro's interpreter gave. */
static bool is_equal(library_t *m, int golden)
{
    const uint8_t *data = model_golden_inputs[golden];
    bool equal = library_reset(m) == LIBRARY_OK;
    for (int i = 0; i < MODEL_INPUT_COUNT; i++) {
        equal = equal && library_write(m, i, data, library_input_bytes(i)) == LIBRARY_OK;
        data += library_input_bytes(i);
    }
    equal = equal && library_invoke(m) == LIBRARY_OK;
    data = model_golden_outputs[golden];
    for (int i = 0; equal && i < MODEL_OUTPUT_COUNT; i++) {
        equal = memcmp(library_output(m, i), data, library_output_bytes(i)) == 0;
        data += library_output_bytes(i);
    }
    return equal;
}

int library_selftest(library_t *m)
{
    int differ = 0;
    if (library_object(m) == NULL) {
        return -1;
    }
    for (int golden = 0; golden < MODEL_GOLDEN_COUNT; golden++) {
        differ += is_equal(m, golden) ? 0 : 1;
    }
    (void)library_reset(m);
    return differ;
}
