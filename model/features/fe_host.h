/* Many windows in one call, for Python; not part of any firmware. */
#ifndef FE_HOST_H
#define FE_HOST_H

#include "fe.h"

/* What fe_reset and fe_push need on this computer. */
size_t fe_state_bytes(const fe_config_t *fe);

/* Push samples[count][channels]; writes a frame of features for each network input, returns how
 * many. */
size_t fe_stream(const fe_config_t *fe, void *state, const int16_t *samples, size_t count,
                 int16_t *features);

/* samples[windows][window][channels] -> features[windows][rows][columns], each from a new start. */
void fe_batch(const fe_config_t *fe, void *state, const int16_t *samples, size_t windows,
              int16_t *features);

#endif
