/* QEMU's mps2-an386 (Cortex-M4F); the link runs over semihosting. With -icount shift=7 one
 * instruction takes 128 ns and timer 0 ticks every 40 ns, so 16 ticks are 5 instructions: more than
 * three ticks an instruction, which makes counts exact. */
#include "board.h"
#include "semihosting/semihosting.h"

#define TIMER_ENABLE 1u

typedef struct {
    uint32_t ctrl;
    uint32_t value;
    uint32_t reload;
    uint32_t interrupt;
} cmsdk_timer_t;

extern volatile cmsdk_timer_t reg_timer0; /* linker script */

const board_info_t board_info = {
    .counter_num = 5,
    .counter_den = 16,
    .receive_bytes = BOARD_PIPE_BYTES,
};

uint32_t semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_init(void)
{
    reg_timer0.reload = 0xFFFFFFFFu;
    reg_timer0.value = 0xFFFFFFFFu;
    reg_timer0.ctrl = TIMER_ENABLE;
    semihost_link();
}

uint32_t board_counter(void)
{
    return ~reg_timer0.value; /* it counts down */
}
