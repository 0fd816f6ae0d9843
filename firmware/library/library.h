/* A model as a library for somebody else's program: what its parts share.
 *
 * Nothing here has the name that a program sees. The generated names.h turns library_* and
 * LIBRARY_* into the library's own, as it does with model_*, nn_* and fe_*, so that several
 * libraries can be linked together; the public header is generated as well and says what each
 * function promises.
 *
 * An object lies in the caller's memory. What it holds begins at its first multiple of 16, wherever
 * that memory begins; `home` remembers the place, so that one that was never initialised, or that
 * was copied elsewhere, is noticed.
 */
#ifndef LIBRARY_H
#define LIBRARY_H

#include "names.h"

#include <stddef.h>

#include "decide.h"
#include "library_model.h"
#include "library_public.h"

#define LIBRARY_ALIGNMENT 16u

typedef struct {
    const void *home;
    volatile uint8_t busy; /* a call is under way: another one, from another thread, is refused */
    uint8_t written;       /* inputs 0 .. written - 1 are complete */
    uint8_t ready;         /* all are, and were not used up */
    uint8_t undecided;     /* the last run's outputs were not taken for a decision */
    uint8_t has_outputs;   /* a run has ended and nothing was written since */
#if MODEL_FEATURES
    _Alignas(8) uint8_t front_end[MODEL_FE_STATE_BYTES];
#endif
#ifdef LIBRARY_RULE_MAX_INPUTS
    decide_t decisions;
    int8_t rows[DECIDE_BYTES(LIBRARY_RULE_MAX_INPUTS, MODEL_ANSWERS_COUNT)];
#endif
#if LIBRARY_ANOMALY
    int8_t input[LIBRARY_ANOMALY]; /* what the output is compared with; a run uses inputs up */
#endif
    _Alignas(16) uint8_t arena[LIBRARY_ARENA_BYTES];
} library_object_t;

_Static_assert(sizeof(library_object_t) + LIBRARY_ALIGNMENT - 1u <= sizeof(library_t),
               "an object has room for what it holds");
/* What is packed is not aligned, whatever _Alignas says. */
_Static_assert(offsetof(library_object_t, arena) % 16 == 0, "compile without -fpack-struct");
#if MODEL_FEATURES
_Static_assert(offsetof(library_object_t, front_end) % 8 == 0, "compile without -fpack-struct");
#endif
_Static_assert(MODEL_INPUT_COUNT < 256, "`written` counts inputs");

/* What `m` holds; NULL when it was not initialised here. */
library_object_t *library_object(const library_t *m);

/* Begin and end a call that changes the object; false: one is under way. */
bool library_enter(library_object_t *object);
void library_leave(library_object_t *object);

#endif
