/* Time: TIM2 counts for whoever times something, TIM5 milliseconds. */
#ifndef CLOCKS_H
#define CLOCKS_H

#include <stdint.h>

typedef struct {
    uint32_t cpu_hz; /* what SysTick runs at */
    uint32_t uptime_ms;
    uint32_t uptime_count; /* TIM5, at that millisecond's begin */
} stm32_clocks;

/* `timer_hz` is what TIM2 and TIM5 are fed with: a multiple of 20,000. */
void clocks_start(stm32_clocks *clocks, uint32_t cpu_hz, uint32_t timer_hz);
uint32_t clocks_timer(void); /* TIM2: all 32 bits, at timer_hz */
uint32_t clocks_uptime_ms(stm32_clocks *clocks);

#endif
