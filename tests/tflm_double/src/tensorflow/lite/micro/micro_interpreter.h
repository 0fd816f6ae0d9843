/* See tflm_double.h. */
#include "tflm_double.h"
