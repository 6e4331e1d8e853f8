#include "clocks.h"

#include "stm32f4.h"

/* The uptime has a timer of its own, because TIM2 runs through its 32 bits in seconds, in which nobody may have asked;
 * no interrupt disturbs what is timed, and a millisecond costs one load and one division by a constant. */
#define UPTIME_HZ 20000U
#define UPTIME_PER_MS (UPTIME_HZ / 1000U)

void clocks_start(stm32_clocks *clocks, uint32_t cpu_hz, uint32_t timer_hz) {
    STM32_RCC_APB1ENR |= STM32_APB1_TIM2 | STM32_APB1_TIM5;
    STM32_TIM2->cr1 = STM32_TIM_CR1_CEN;
    STM32_TIM5->psc = timer_hz / UPTIME_HZ - 1U;
    STM32_TIM5->egr = STM32_TIM_EGR_UG; /* RM0090, 18.4.11: the prescaler takes effect at an update */
    STM32_TIM5->cr1 = STM32_TIM_CR1_CEN;
    clocks->cpu_hz = cpu_hz;
    clocks->uptime_count = STM32_TIM5->cnt;
}

uint32_t clocks_timer(void) {
    return STM32_TIM2->cnt;
}

uint32_t clocks_uptime_ms(stm32_clocks *clocks) {
    const uint32_t passed = (STM32_TIM5->cnt - clocks->uptime_count) / UPTIME_PER_MS;
    clocks->uptime_count += passed * UPTIME_PER_MS; /* 32 bits are over after two days without a question */
    clocks->uptime_ms += passed;
    return clocks->uptime_ms;
}
