#include "imu_double.h"
