/* Behind arrays of tests/test_library_cores.py: a library on a core without anything else. All
 * golden inputs, and the windows of samples that they were made of; says how many answers are
 * equal. */
#include <stdint.h>
#include <string.h>

extern uint32_t __stack_top, __data_start, __data_end, __data_load, __bss_start, __bss_end;

/* Semihosting, of Arm's specification: operation, argument. */
static int host(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void say(const char *text)
{
    host(4 /* SYS_WRITE0 */, text);
}

static void say_number(unsigned number)
{
    char digits[12] = {0};
    int at = sizeof(digits) - 1;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    say(&digits[at]);
}

static int is_equal(const tp_m_t *m, size_t number)
{
    const int8_t *const scores = tp_m_scores(m);
    const size_t bytes = tp_m_output_bytes(0);
    return scores != NULL && memcmp(scores, &expected[number * bytes], bytes) == 0;
}

static void run(void)
{
    static tp_m_t m;
    const size_t bytes = tp_m_input_bytes(0), cases = sizeof(expected) / tp_m_output_bytes(0);
    unsigned written = 0, pushed = 0;
    if (tp_m_init(&m) != TP_M_OK || tp_m_selftest(&m) != 0) {
        say("no self-test ");
    }
    for (size_t i = 0; i < cases; i++) {
        tp_m_write(&m, 0, &inputs[i * bytes], bytes);
        tp_m_invoke(&m);
        written += (unsigned)is_equal(&m, i);
        tp_m_reset(&m);
        tp_m_push(&m, &samples[i * TP_M_WINDOW * TP_M_CHANNELS], TP_M_WINDOW);
        tp_m_invoke(&m);
        pushed += (unsigned)is_equal(&m, i);
    }
    say(tp_m_kernels());
    say(" ");
    say_number(written);
    say(" ");
    say_number(pushed);
    say("\n");
}

void reset(void);
void reset(void)
{
    memcpy(&__data_start, &__data_load, (size_t)((char *)&__data_end - (char *)&__data_start));
    memset(&__bss_start, 0, (size_t)((char *)&__bss_end - (char *)&__bss_start));
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88 |= 15u << 20; /* CPACR: the FPU */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    run();
    host(0x18 /* SYS_EXIT */, (const void *)0x20026 /* ADP_Stopped_ApplicationExit */);
    for (;;) {
    }
}

static void fault(void)
{
    say("fault\n");
    host(0x18, (const void *)0x20023);
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &__stack_top,        (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault};
