/* The clock tree of the STM32F446. */
#ifndef TREE_H
#define TREE_H

#include <stdint.h>

typedef enum {
    TREE_HSI,     /* 16 MHz: the PLL did not come up */
    TREE_HSI_PLL, /* 180 MHz from the part's own oscillator, which is good to 1 % at room temperature */
    TREE_HSE_PLL, /* 180 MHz from the 8 MHz of the ST-LINK's quartz */
} tree_source;

typedef struct {
    tree_source source;
    uint32_t cpu_hz;
    uint32_t apb1_hz;  /* USART2's */
    uint32_t timer_hz; /* TIM2's and TIM5's */
} tree_clocks;

/* As fast as the part can be, and at the worst as it came out of reset; every wait is bounded. Call it once. */
tree_clocks tree_start(void);

#endif
