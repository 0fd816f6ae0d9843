/* A stand-in for a generated front end: raw windows of the stub model, 128 samples of 6 channels.
 */
#ifndef MODEL_FEATURES_H
#define MODEL_FEATURES_H

#include "fe.h"

#define MODEL_FEATURES 1
#define MODEL_FE_CHANNELS 6
#define MODEL_FE_COUNT 768
#define MODEL_FE_SAMPLE_RATE_MHZ 40000
#define MODEL_FE_HOP 64
#define MODEL_FE_STATE_BYTES FE_RAW_STATE_BYTES(6u, 128u)
#define MODEL_FE_MULTIPLIER 16384
#define MODEL_FE_SHIFT 22
#define MODEL_FE_ZERO_POINT 3

extern const fe_config_t model_features;

#endif
