#include "library.h"

#include <string.h>

static library_object_t *place(const library_t *m)
{
    const uintptr_t address = (uintptr_t)m;
    const uintptr_t more = LIBRARY_ALIGNMENT - 1u;
    return (library_object_t *)((address + more) & ~more);
}

library_object_t *library_object(const library_t *m)
{
    library_object_t *const object = place(m);
    return m != NULL && object->home == object ? object : NULL;
}

/* Without an exchange in one step (Armv6-M, rv32imc) it is a check only: an interrupt's call is
 * refused for sure, as it ends before the interrupted one goes on; another thread's, or another
 * processor's, may come between the look and the mark. */
bool library_enter(library_object_t *object)
{
#if defined(__GCC_ATOMIC_CHAR_LOCK_FREE) && __GCC_ATOMIC_CHAR_LOCK_FREE == 2
    return __atomic_exchange_n(&object->busy, 1, __ATOMIC_ACQUIRE) == 0;
#else
    const bool free = object->busy == 0;
    object->busy = 1;
    return free;
#endif
}

void library_leave(library_object_t *object)
{
#if defined(__GCC_ATOMIC_CHAR_LOCK_FREE) && __GCC_ATOMIC_CHAR_LOCK_FREE == 2
    __atomic_store_n(&object->busy, 0, __ATOMIC_RELEASE);
#else
    object->busy = 0;
#endif
}

static void forget(library_object_t *object)
{
    object->written = 0;
    object->ready = MODEL_INPUT_COUNT == 0;
    object->undecided = 0;
    object->has_outputs = 0;
}

static void start(library_object_t *object)
{
    forget(object);
    model_reset(object->arena);
#ifdef LIBRARY_RULE_MAX_INPUTS
    decide_reset(&object->decisions);
#endif
#if MODEL_FEATURES
    fe_reset(&model_features, object->front_end);
#endif
}

library_status_t library_init_sized(library_t *m, size_t bytes, uint32_t library)
{
    if (m == NULL) {
        return LIBRARY_BAD_ARGUMENT;
    }
    if (bytes != sizeof(library_t) || library != LIBRARY_NUMBER) {
        return LIBRARY_MISMATCH;
    }
    library_object_t *const object = place(m);
    object->home = object;
    object->busy = 0;
    start(object);
    return LIBRARY_OK;
}

library_status_t library_reset(library_t *m)
{
    library_object_t *const object = library_object(m);
    if (object == NULL) {
        return LIBRARY_NOT_INITIALISED;
    }
    if (!library_enter(object)) {
        return LIBRARY_BUSY;
    }
    start(object);
    library_leave(object);
    return LIBRARY_OK;
}

#if MODEL_FEATURES
/* Features come to where the input lies; the input's bytes take the first half of their place. */
static bool take(library_object_t *object, const int16_t *sample)
{
    uint8_t *const input = &object->arena[model_inputs[0].offset];
    int16_t *const features = (int16_t *)(void *)input;
    if (!fe_push(&model_features, object->front_end, sample, features)) {
        return false;
    }
    forget(object);
    fe_quantise(features, MODEL_FE_COUNT, MODEL_FE_MULTIPLIER, MODEL_FE_SHIFT, MODEL_FE_ZERO_POINT,
                (int8_t *)input);
    model_reset(object->arena); /* no window goes on from the state of another */
    object->written = MODEL_INPUT_COUNT;
    object->ready = 1;
    return true;
}

size_t library_push(library_t *m, const int16_t *samples, size_t instants)
{
    library_object_t *const object = library_object(m);
    size_t taken = 0;
    if (object == NULL || samples == NULL || !library_enter(object)) {
        return 0;
    }
    while (taken < instants && !object->ready) {
        (void)take(object, &samples[taken * MODEL_FE_CHANNELS]);
        taken++;
    }
    library_leave(object);
    return taken;
}
#endif

bool library_ready(const library_t *m)
{
    const library_object_t *const object = library_object(m);
    return object != NULL && object->ready;
}

size_t library_input_bytes(int index)
{
    return index >= 0 && index < MODEL_INPUT_COUNT ? model_inputs[index].bytes : 0;
}

library_status_t library_write(library_t *m, int index, const void *data, size_t bytes)
{
    library_object_t *const object = library_object(m);
    if (object == NULL) {
        return LIBRARY_NOT_INITIALISED;
    }
    if (data == NULL || index < 0 || index >= MODEL_INPUT_COUNT ||
        bytes != model_inputs[index].bytes) {
        return LIBRARY_BAD_ARGUMENT;
    }
    if (!library_enter(object)) {
        return LIBRARY_BUSY;
    }
    library_status_t status = LIBRARY_OK;
    if (index == 0) {
        forget(object);
    }
    if (index > object->written) {
        status = LIBRARY_NO_INPUT; /* one before this is missing */
    } else {
        memcpy(&object->arena[model_inputs[index].offset], data, bytes);
        object->written = index == object->written ? (uint8_t)(index + 1) : object->written;
        object->ready = object->written == MODEL_INPUT_COUNT;
        object->has_outputs = 0;
    }
    library_leave(object);
    return status;
}

library_status_t library_invoke(library_t *m)
{
    library_object_t *const object = library_object(m);
    if (object == NULL) {
        return LIBRARY_NOT_INITIALISED;
    }
    if (!library_enter(object)) {
        return LIBRARY_BUSY;
    }
    const library_status_t status = object->ready ? LIBRARY_OK : LIBRARY_NO_INPUT;
    if (status == LIBRARY_OK) {
        forget(object);
#if LIBRARY_ANOMALY
        memcpy(object->input, &object->arena[model_inputs[0].offset], sizeof(object->input));
#endif
        model_invoke(object->arena);
        object->undecided = 1;
        object->has_outputs = 1;
    }
    library_leave(object);
    return status;
}

size_t library_output_bytes(int index)
{
    return index >= 0 && index < MODEL_OUTPUT_COUNT ? model_outputs[index].bytes : 0;
}

const void *library_output(const library_t *m, int index)
{
    const library_object_t *const object = library_object(m);
    const bool known = index >= 0 && index < MODEL_OUTPUT_COUNT;
    return object != NULL && object->has_outputs && known
               ? &object->arena[model_outputs[index].offset]
               : NULL;
}

const library_score_t *library_scores(const library_t *m)
{
    return library_output(m, 0);
}

#ifdef LIBRARY_RULE_MAX_INPUTS
int library_decide(library_t *m, const library_rule_t *rule)
{
    static const library_rule_t own = LIBRARY_RULE;
    library_object_t *const object = library_object(m);
    const library_rule_t *const wish = rule == NULL ? &own : rule;
    int decided = DECIDE_NOTHING;
    if (object == NULL || wish->inputs < 1 || wish->inputs > LIBRARY_RULE_MAX_INPUTS ||
        wish->pause < 0 || !library_enter(object)) {
        return decided;
    }
    if (object->undecided) {
        const decide_rule_t used = {(uint32_t)wish->inputs, wish->threshold, (uint32_t)wish->pause};
        const int8_t *const scores = (const int8_t *)&object->arena[model_outputs[0].offset];
        decided =
            (int)decide_push(&object->decisions, &used, scores, MODEL_ANSWERS_COUNT, object->rows);
        object->undecided = 0;
    }
    library_leave(object);
    return decided;
}
#endif

#if LIBRARY_BEST
int library_best(const library_t *m)
{
    const library_score_t *const scores = library_scores(m);
    const int count = (int)(model_outputs[0].bytes / sizeof(*scores));
    int best = scores == NULL || count == 0 ? -1 : 0;
    for (int i = 1; best >= 0 && i < count; i++) {
        best = scores[i] > scores[best] ? i : best;
    }
    return best;
}
#endif

const char *library_kernels(void)
{
    return LIBRARY_KERNELS;
}
