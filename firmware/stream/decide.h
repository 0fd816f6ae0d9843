/* When a class is decided on a stream of results. It knows nothing of an application: state and
 * rows are the caller's, one of each for a stream. model/decide.py chooses the rule, and has the
 * same in Python. */
#ifndef DECIDE_H
#define DECIDE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DECIDE_MAX_INPUTS 16
#define DECIDE_NOTHING (-1)

/* Bytes of the rows for means of `inputs` results of `count` scores. */
#define DECIDE_BYTES(inputs, count) (((inputs) + 1) * (count))

typedef struct {
    uint32_t inputs;   /* results in a mean: 1 to DECIDE_MAX_INPUTS */
    int32_t threshold; /* score that the best mean has to reach; 128: none does */
    uint32_t pause;    /* inputs of silence behind a decision */
} decide_rule_t;

typedef struct {
    uint32_t counted; /* results in the mean, fewer than the rule's inputs at the beginning */
    uint32_t next;    /* row of the next result */
    uint32_t silent;  /* inputs of the pause that are left */
} decide_t;

/* Begin a stream: at the start, and behind a gap in the samples. */
void decide_reset(decide_t *state);

/* Take the `count` int8 scores of one result. The first `count` of the DECIDE_BYTES rows are their
 * mean with those before, halves rounded up; the first of equal scores is the best. Returns the
 * class that is decided, or DECIDE_NOTHING; so for a rule out of bounds, with which nothing is
 * written. Where the rows of the rule before cannot be gone on with, a stream begins. */
int32_t decide_push(decide_t *state, const decide_rule_t *rule, const int8_t *scores,
                    uint32_t count, int8_t *rows);

#ifdef __cplusplus
}
#endif

#endif
