/* What differs between the benchmarks: bytes to the model's input, its output to results. */
#ifndef MLPERF_VALUES_H
#define MLPERF_VALUES_H

#include "mlperf.h"

/* Keep byte `index` of what `db` brings; give it back as it came. */
void mlperf_keep(mlperf_t *mlperf, uint32_t index, uint8_t byte);
uint8_t mlperf_sent(const mlperf_t *mlperf, uint32_t index);

/* All bytes are there: make `input` of them; false when they are none. */
bool mlperf_prepare(mlperf_t *mlperf);

/* Make `results` of the model's output. */
void mlperf_judge(mlperf_t *mlperf, const int8_t *output);

#endif
