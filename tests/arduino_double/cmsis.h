/* A double of what CMSIS names on the nRF52840. */
#include <stdint.h>
struct core_debug {
    uint32_t DEMCR;
};
struct dwt {
    uint32_t CTRL, CYCCNT;
};
extern core_debug *CoreDebug;
extern dwt *DWT;
#define CoreDebug_DEMCR_TRCENA_Msk (1u << 24)
#define DWT_CTRL_CYCCNTENA_Msk 1u
