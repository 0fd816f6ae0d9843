/* What a port gives to sensor.c: the bus on which the MPU-6050 is, at its first address. */
#ifndef MPU6050_H
#define MPU6050_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MPU6050_ADDRESS 0x68u

void mpu6050_bus_init(void);

/* At least so many milliseconds. */
void mpu6050_wait(uint32_t milliseconds);

/* Both are false when nobody acknowledges. `count` is at most 12. */
bool mpu6050_write(uint32_t number, uint32_t value);
bool mpu6050_read(uint32_t number, uint8_t *bytes, uint32_t count);

#ifdef __cplusplus
}
#endif

#endif
