/* Registers, and pins by the chip's numbers: 32 * port + pin, from the board's JSON file. */
#ifndef GPIO_H
#define GPIO_H

#include <stdint.h>

#define REG(block, offset) ((block)[(offset) / 4u])

#define GPIO_OUTSET 0x508u
#define GPIO_OUTCLR 0x50Cu
#define GPIO_DIRSET 0x518u
#define GPIO_PIN_CNF 0x700u

#define GPIO_INPUT 0x0u
#define GPIO_INPUT_PULLUP 0xCu
#define GPIO_OPEN_DRAIN 0x600u /* input connected, drives low only; the board has pull-ups */

/* Given by the linker script. */
extern volatile uint32_t reg_gpio_p0[];
extern volatile uint32_t reg_gpio_p1[];

static inline volatile uint32_t *gpio_port(uint32_t pin)
{
    return pin < 32u ? reg_gpio_p0 : reg_gpio_p1;
}

static inline void gpio_configure(uint32_t pin, uint32_t configuration)
{
    REG(gpio_port(pin), GPIO_PIN_CNF + 4u * (pin % 32u)) = configuration;
}

#define GPIO_OUTPUT_STRONG 0x303u /* output, input off, high drive for both levels */

/* The level comes first, so that the pin never drives the other one. */
static inline void gpio_drive_high(uint32_t pin)
{
    REG(gpio_port(pin), GPIO_OUTSET) = 1u << pin % 32u;
    REG(gpio_port(pin), GPIO_DIRSET) = 1u << pin % 32u;
}

static inline void gpio_drive_low(uint32_t pin)
{
    REG(gpio_port(pin), GPIO_OUTCLR) = 1u << pin % 32u;
    REG(gpio_port(pin), GPIO_DIRSET) = 1u << pin % 32u;
}

#endif
