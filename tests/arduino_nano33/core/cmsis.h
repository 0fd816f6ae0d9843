/* See Arduino.h beside this file. */
#include <stdint.h>

typedef struct {
    volatile uint32_t DEMCR;
} CoreDebug_Type;
typedef struct {
    volatile uint32_t CTRL;
    volatile uint32_t CYCCNT;
} DWT_Type;
extern CoreDebug_Type core_debug;
extern DWT_Type dwt;
#define CoreDebug (&core_debug)
#define DWT (&dwt)
#define CoreDebug_DEMCR_TRCENA_Msk (1UL << 24)
#define DWT_CTRL_CYCCNTENA_Msk 1UL
