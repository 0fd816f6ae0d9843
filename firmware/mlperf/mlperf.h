/* One of the benchmarks of MLPerf Tiny. The build defines MLPERF, its name, MLPERF_<NAME>, and the
 * scales and zero points of the model's input and output. */
#ifndef MLPERF_H
#define MLPERF_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes that `db` brings and that the model takes, and how many numbers `results` prints. */
#if defined(MLPERF_KWS01)
#define MLPERF_BYTES 490
#define MLPERF_INPUT_BYTES 490
#define MLPERF_OUTPUT_BYTES 12
#define MLPERF_RESULTS 12
#elif defined(MLPERF_IC01)
#define MLPERF_BYTES 3072
#define MLPERF_INPUT_BYTES 3072
#define MLPERF_OUTPUT_BYTES 10
#define MLPERF_RESULTS 10
#elif defined(MLPERF_VWW01)
#define MLPERF_BYTES 27648
#define MLPERF_INPUT_BYTES 27648
#define MLPERF_OUTPUT_BYTES 2
#define MLPERF_RESULTS 2
#elif defined(MLPERF_AD01)
#define MLPERF_BYTES 2560 /* floats */
#define MLPERF_INPUT_BYTES 640
#define MLPERF_OUTPUT_BYTES 640
#define MLPERF_RESULTS 1
#else
#error "MLPERF is not one of kws01, ic01, vww01, ad01"
#endif

typedef struct {
    uint64_t ticks;                    /* of board_counter, since the start */
    uint32_t last;                     /* the counter when they were added up */
    uint32_t received;                 /* bytes since `db load` */
    bool loading;                      /* `db load` was accepted */
    bool ready;                        /* `input` is whole */
    bool has_results;                  /* of this input */
    uint32_t results[MLPERF_RESULTS];  /* in thousandths */
    uint8_t input[MLPERF_INPUT_BYTES]; /* as the model takes it; each run gets a copy */
#if MLPERF_BYTES != MLPERF_INPUT_BYTES
    union {
        uint8_t bytes[MLPERF_BYTES];
        float values[MLPERF_BYTES / 4];
    } sent;
#endif
} mlperf_t;

#endif
