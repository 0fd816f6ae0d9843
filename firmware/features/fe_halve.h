/* Half the sample rate of one channel: a microphone's 16 kHz for a recipe of 8 kHz. */
#ifndef FE_HALVE_H
#define FE_HALVE_H

#include <stddef.h>
#include <stdint.h>

#define FE_HALVE_PAST 64 /* samples that are kept, a power of two above the filter's 63 taps */

/* All zeros at the start. */
typedef struct {
    int16_t past[FE_HALVE_PAST];
    uint32_t count; /* samples so far */
} fe_halve_t;

/* Take `count` samples, write one for every second of them, saturated to int16; returns how many.
 * However a stream is cut into calls, what comes out is the same. */
size_t fe_halve(fe_halve_t *state, const int16_t *samples, size_t count, int16_t *halved);

#endif
