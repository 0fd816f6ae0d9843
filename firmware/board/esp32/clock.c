/* Facts: ESP-IDF (2026-07), components/esp_hw_support/port/esp32/rtc_clk.c, rtc_clk_init.c and
 * rtc_time.c, components/esp_hal_clock/esp32/include/hal/clk_tree_ll.h, soc/regi2c_bbpll.h. */
#include "clock.h"
#include "xtensa/xtensa.h"

#define REG(block, offset) ((block)[(offset) / 4u])

#define CPU_PER_CONF 0x3Cu /* DPort */
#define CPU_240_OF_480 2u

#define SYSCLK_CONF 0x00u /* system control */
#define XTAL_TICK_CONF 0x04u
#define PLL_TICK_CONF 0x08u
#define PRE_DIV 0x3FFu

#define RTC_OPTIONS0 0x00u
#define PLL_FORCED_DOWN ((1u << 6) | (1u << 8) | (1u << 10)) /* its buses and itself */
#define BIAS_I2C_FORCED_DOWN (1u << 18)
#define RTC_CLK_CONF 0x70u
#define SOC_CLK_SEL (3u << 27)
#define SOC_CLK_PLL (1u << 27)
#define FAST_TUNE (0xFFu << 17) /* CK8M_DFREQ */
#define FAST_TUNE_BEST (172u << 17)
#define FAST_DIV (7u << 12)
#define FAST_D256_OUT (1u << 9)
#define FAST_OFF ((1u << 6) | (1u << 7)) /* the oscillator, its divider by 256 */
#define RTC_REGULATOR 0x7Cu
#define DBIAS_WAKE (7u << 11)
#define DBIAS_1V25 (7u << 11)

#define CALI_CONF 0x68u /* timer group 0: counts crystal cycles in cycles of a slow clock */
#define CALI_VALUE 0x6Cu
#define CALI_START (1u << 31)
#define CALI_CYCLES 10u /* at 8.5 MHz / 256: 0.3 ms */
#define CALI_READY (1u << 15)
#define CALI_FAST_D256 (1u << 13)

/* The bus to the analog blocks: one word a host, for the PLL host 4. Not in the manual; what the
 * ROM's rom_chip_i2c_writeReg and rom_chip_i2c_readReg do, see esp32.json, "reg_analog". */
#define ANALOG_HOST4 0x10u
#define ANALOG_CONFIG 0x44u
#define ANALOG_RESET (0x3FFu << 8)
#define ANALOG_PLL_OFF (1u << 17)
#define PLL_BLOCK 0x66u
#define WORD_WRITE (1u << 24)
#define WORD_BUSY (1u << 25)
#define PLL_DIV_7_0 3u

#define MAX_CRYSTAL_MHZ 40u /* waits are right for it, and longer than needed at 26 MHz */
#define CPU_MHZ 240u
#define APB_MHZ 80u
#define MHZ 1000000u
#define BUS_US 1000u
#define CALI_US 300u
#define CALI_LIMIT_US 2000u
#define FAST_START_US 50u
#define SLOW_CYCLES_US 20u /* three of the 150 kHz clock, which takes over the RTC's registers */
#define VOLTAGE_US 3u
#define LOCK_US 80u
#define SETTLE_US 30u

/* Given by the linker script. */
extern volatile uint32_t reg_dport[];
extern volatile uint32_t reg_syscon[];
extern volatile uint32_t reg_rtc_cntl[];
extern volatile uint32_t reg_timg0[];
extern volatile uint32_t reg_analog[];

static void wait_us(uint32_t us, uint32_t mhz)
{
    const uint32_t start = board_ccount();
    while (board_ccount() - start < us * mhz) {
    }
}

/* False when some of `bits` are not as `set` says within `us`, on the crystal. */
static bool wait_for(const volatile uint32_t *word, uint32_t bits, uint32_t set, uint32_t us)
{
    const uint32_t start = board_ccount();
    while ((*word & bits) != set) {
        if (board_ccount() - start > us * MAX_CRYSTAL_MHZ) {
            return false;
        }
    }
    return true;
}

static bool pll_exchange(uint32_t word)
{
    volatile uint32_t *const host = &REG(reg_analog, ANALOG_HOST4);
    if (!wait_for(host, WORD_BUSY, 0, BUS_US)) {
        return false;
    }
    *host = word;
    return wait_for(host, WORD_BUSY, 0, BUS_US);
}

static bool pll_write(uint32_t number, uint32_t value)
{
    return pll_exchange(PLL_BLOCK | (number << 8) | (value << 16) | WORD_WRITE);
}

static bool pll_holds(uint32_t number, uint32_t value)
{
    return pll_exchange(PLL_BLOCK | (number << 8)) &&
           ((REG(reg_analog, ANALOG_HOST4) >> 16) & 0xFFu) == value;
}

/* A reset that is not of the power leaves the PLL on. */
static void use_crystal(void)
{
    REG(reg_syscon, SYSCLK_CONF) &= ~PRE_DIV;
    REG(reg_rtc_cntl, RTC_CLK_CONF) &= ~SOC_CLK_SEL;
    wait_us(SLOW_CYCLES_US, MAX_CRYSTAL_MHZ);
    REG(reg_rtc_cntl, RTC_OPTIONS0) |= PLL_FORCED_DOWN;
}

/* Against the inner oscillator of about 8.5 MHz, with ESP-IDF's limits; 0 is neither. */
static uint32_t measured_crystal_mhz(void)
{
    const uint32_t conf = REG(reg_rtc_cntl, RTC_CLK_CONF) & ~(FAST_TUNE | FAST_DIV | FAST_OFF);
    REG(reg_rtc_cntl, RTC_CLK_CONF) = conf | FAST_TUNE_BEST | FAST_D256_OUT;
    wait_us(FAST_START_US, MAX_CRYSTAL_MHZ);
    REG(reg_timg0, CALI_CONF) = CALI_FAST_D256 | (CALI_CYCLES << 16);
    REG(reg_timg0, CALI_CONF) = CALI_FAST_D256 | (CALI_CYCLES << 16) | CALI_START;
    wait_us(CALI_US, MAX_CRYSTAL_MHZ);
    if (!wait_for(&REG(reg_timg0, CALI_CONF), CALI_READY, CALI_READY, CALI_LIMIT_US)) {
        return 0;
    }
    const uint32_t mhz = (REG(reg_timg0, CALI_VALUE) >> 7) * 85u / (2560u * CALI_CYCLES);
    REG(reg_rtc_cntl, RTC_CLK_CONF) &= ~FAST_D256_OUT;
    return mhz < 21u || mhz > 45u ? 0u : mhz <= 33u ? 26u : 40u;
}

/* 480 MHz. False when the PLL does not hold what was written, as in emulators. */
static bool start_pll(uint32_t crystal_mhz)
{
    const bool is_40 = crystal_mhz == 40u;
    const uint32_t div_7_0 = is_40 ? 28u : 144u;
    REG(reg_analog, ANALOG_CONFIG) =
        (REG(reg_analog, ANALOG_CONFIG) | ANALOG_RESET) & ~ANALOG_PLL_OFF;
    REG(reg_rtc_cntl, RTC_OPTIONS0) &= ~(PLL_FORCED_DOWN | BIAS_I2C_FORCED_DOWN);
    bool good = pll_write(0u, 0x18u) && pll_write(1u, 0x20u) && /* as after a reset */
                pll_write(4u, 0x9Au) && pll_write(10u, 0x00u) && pll_write(12u, 0x00u);
    wait_us(SLOW_CYCLES_US, MAX_CRYSTAL_MHZ);
    REG(reg_rtc_cntl, RTC_REGULATOR) =
        (REG(reg_rtc_cntl, RTC_REGULATOR) & ~DBIAS_WAKE) | DBIAS_1V25;
    wait_us(VOLTAGE_US, MAX_CRYSTAL_MHZ);
    good = good && pll_write(11u, 0xC3u) && pll_write(9u, 0x74u) &&
           pll_write(2u, is_40 ? 0x00u : 0xCCu) && pll_write(PLL_DIV_7_0, div_7_0) &&
           pll_write(5u, is_40 ? 0xC6u : 0x40u) && pll_holds(PLL_DIV_7_0, div_7_0);
    wait_us(LOCK_US, MAX_CRYSTAL_MHZ);
    return good;
}

void board_clock_start(board_clock_t *clock)
{
    use_crystal();
    clock->crystal_mhz = measured_crystal_mhz();
    const uint32_t crystal_mhz = clock->crystal_mhz != 0 ? clock->crystal_mhz : MAX_CRYSTAL_MHZ;
    REG(reg_syscon, XTAL_TICK_CONF) = crystal_mhz - 1u;
    REG(reg_syscon, PLL_TICK_CONF) = APB_MHZ - 1u;
    clock->pll = clock->crystal_mhz != 0 && start_pll(crystal_mhz);
    clock->cpu_hz = (clock->pll ? CPU_MHZ : crystal_mhz) * MHZ;
    clock->apb_hz = (clock->pll ? APB_MHZ : crystal_mhz) * MHZ;
    if (clock->pll) {
        REG(reg_dport, CPU_PER_CONF) = CPU_240_OF_480;
        REG(reg_rtc_cntl, RTC_CLK_CONF) =
            (REG(reg_rtc_cntl, RTC_CLK_CONF) & ~SOC_CLK_SEL) | SOC_CLK_PLL;
        wait_us(SLOW_CYCLES_US + SETTLE_US, CPU_MHZ);
    }
}
