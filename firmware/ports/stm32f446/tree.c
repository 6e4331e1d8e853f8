/* From the 16 MHz after reset to 180 MHz, in the order of RM0390, section 5.1.4, "Entering Over-drive mode". */
#include "tree.h"

#include <stdbool.h>

#include "stm32f4.h"
#include "stm32f446.h"

#define HSI_HZ 16000000U
#define PLL_HZ 180000000U
/* RM0390, table 5: 3.3 V and more than 150 MHz. */
#define WAIT_STATES 5U
/* The slowest of all, the quartz of an ST-LINK, is there in milliseconds; at 16 MHz and six cycles a turn this is 37.
 */
#define READY_POLLS 100000U

/* 2 MHz into the PLL, 360 MHz inside. Q and R feed what is not used here, with values that are allowed. */
#define PLL_FROM(input_hz)                                                                                             \
    (STM32_PLL_M((input_hz) / 2000000U) | STM32_PLL_N(180) | STM32_PLL_P(2) | STM32_PLL_Q(8) | STM32_PLL_R(2))

static bool becomes(const volatile uint32_t *status, uint32_t mask, uint32_t value) {
    for (uint32_t polls = 0; polls < READY_POLLS; polls++) {
        if ((*status & mask) == value) {
            return true;
        }
    }
    return false;
}

static bool start_hse(void) {
    STM32_RCC_CR |= STM32_RCC_CR_HSEBYP; /* the ST-LINK drives the pin: there is no quartz of the part's own */
    STM32_RCC_CR |= STM32_RCC_CR_HSEON;
    return becomes(&STM32_RCC_CR, STM32_RCC_CR_HSERDY, STM32_RCC_CR_HSERDY);
}

static bool overdrive(void) {
    STM32_PWR_CR |= STM32_PWR_CR_ODEN;
    if (!becomes(&STM32_PWR_CSR, STM32_PWR_CSR_ODRDY, STM32_PWR_CSR_ODRDY)) {
        return false;
    }
    STM32_PWR_CR |= STM32_PWR_CR_ODSWEN;
    return becomes(&STM32_PWR_CSR, STM32_PWR_CSR_ODSWRDY, STM32_PWR_CSR_ODSWRDY);
}

static bool switch_over(void) {
    STM32_RCC_CR |= STM32_RCC_CR_PLLON;
    if (!overdrive()) {
        return false;
    }
    STM32_FLASH_ACR = STM32_FLASH_ACR_PRFTEN | STM32_FLASH_ACR_ICEN | STM32_FLASH_ACR_DCEN | WAIT_STATES;
    if (!becomes(&STM32_FLASH_ACR, STM32_FLASH_ACR_LATENCY, WAIT_STATES)) {
        return false;
    }
    STM32_RCC_CFGR = STM32_RCC_CFGR_PPRE1_4 | STM32_RCC_CFGR_PPRE2_2;
    if (!becomes(&STM32_RCC_CR, STM32_RCC_CR_PLLRDY, STM32_RCC_CR_PLLRDY)) {
        return false;
    }
    STM32_RCC_CFGR |= STM32_RCC_CFGR_SW_PLL;
    return becomes(&STM32_RCC_CFGR, STM32_RCC_CFGR_SWS, STM32_RCC_CFGR_SWS_PLL);
}

tree_clocks tree_start(void) {
    STM32_RCC_APB1ENR |= STM32_APB1_PWR;
    STM32_PWR_CR |= STM32_PWR_CR_VOS_1; /* scale 1 is what over-drive needs; only while the PLL is off */
    const bool quartz = start_hse();
    STM32_RCC_PLLCFGR = quartz ? PLL_FROM(8000000U) | STM32_PLL_HSE : PLL_FROM(HSI_HZ);
    if (!switch_over()) {
        STM32_RCC_CFGR = 0;
        return (tree_clocks){.source = TREE_HSI, .cpu_hz = HSI_HZ, .apb1_hz = HSI_HZ, .timer_hz = HSI_HZ};
    }
    /* RM0390, section 6.2: timers run at twice their bus where that is divided. */
    return (tree_clocks){.source = quartz ? TREE_HSE_PLL : TREE_HSI_PLL,
                         .cpu_hz = PLL_HZ,
                         .apb1_hz = PLL_HZ / 4U,
                         .timer_hz = PLL_HZ / 2U};
}
