/* A double of ESP-IDF's driver/i2c_master.h, to compile against. */
#ifndef I2C_MASTER_H
#define I2C_MASTER_H

#include <stddef.h>
#include <stdint.h>

typedef int esp_err_t;
typedef struct i2c_bus *i2c_master_bus_handle_t;
typedef struct i2c_device *i2c_master_dev_handle_t;
typedef struct {
    int i2c_port, sda_io_num, scl_io_num, clk_source;
    uint8_t glitch_ignore_cnt;
    int intr_priority;
    size_t trans_queue_depth;
    struct {
        uint32_t enable_internal_pullup : 1;
    } flags;
} i2c_master_bus_config_t;
typedef struct {
    int dev_addr_length;
    uint16_t device_address;
    uint32_t scl_speed_hz, scl_wait_us;
    struct {
        uint32_t disable_ack_check : 1;
    } flags;
} i2c_device_config_t;

#define ESP_OK 0
#define I2C_NUM_0 0
#define I2C_CLK_SRC_DEFAULT 4
#define I2C_ADDR_BIT_LEN_7 0
#define ESP_ERROR_CHECK(call) ((void)(call))

esp_err_t i2c_new_master_bus(const i2c_master_bus_config_t *config, i2c_master_bus_handle_t *bus);
esp_err_t i2c_master_bus_add_device(i2c_master_bus_handle_t bus, const i2c_device_config_t *config,
                                    i2c_master_dev_handle_t *device);
esp_err_t i2c_master_transmit(i2c_master_dev_handle_t device, const uint8_t *bytes, size_t count,
                              int timeout_ms);
esp_err_t i2c_master_transmit_receive(i2c_master_dev_handle_t device, const uint8_t *bytes,
                                      size_t count, uint8_t *answer, size_t answer_count,
                                      int timeout_ms);

#endif
