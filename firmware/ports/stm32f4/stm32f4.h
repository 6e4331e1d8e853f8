/* Peripherals that the STM32F405 and the STM32F446 have at the same places, after ST's RM0090: memory map section 2.3,
 * RCC section 7.3, GPIO section 8.4, TIM2 to TIM5 section 18.4, USART section 30.6; and RM0390 for the F446. */
#ifndef STM32F4_H
#define STM32F4_H

#include <stdint.h>

typedef struct {
    volatile uint32_t moder, otyper, ospeedr, pupdr, idr, odr, bsrr, lckr, afr[2];
} stm32_gpio;

typedef struct {
    volatile uint32_t cr1, cr2, smcr, dier, sr, egr, ccmr1, ccmr2, ccer, cnt, psc, arr;
} stm32_timer;

typedef struct {
    volatile uint32_t sr, dr, brr, cr1, cr2, cr3, gtpr;
} stm32_usart;

#define STM32_TIM2 ((stm32_timer *)0x40000000)
#define STM32_TIM5 ((stm32_timer *)0x40000C00)
#define STM32_USART2 ((stm32_usart *)0x40004400)
#define STM32_USART1 ((stm32_usart *)0x40011000)
#define STM32_GPIOA ((stm32_gpio *)0x40020000)

#define STM32_RCC_AHB1ENR (*(volatile uint32_t *)0x40023830)
#define STM32_RCC_APB1ENR (*(volatile uint32_t *)0x40023840)
#define STM32_RCC_APB2ENR (*(volatile uint32_t *)0x40023844)
#define STM32_AHB1_GPIOA (1U << 0)
#define STM32_APB1_TIM2 (1U << 0)
#define STM32_APB1_TIM5 (1U << 3)
#define STM32_APB1_USART2 (1U << 17)
#define STM32_APB2_USART1 (1U << 4)

#define STM32_TIM_CR1_CEN (1U << 0)
#define STM32_TIM_EGR_UG (1U << 0)

#define STM32_USART_SR_ORE (1U << 3)
#define STM32_USART_SR_RXNE (1U << 5)
#define STM32_USART_SR_TC (1U << 6)
#define STM32_USART_SR_TXE (1U << 7)
#define STM32_USART_CR1_RE (1U << 2)
#define STM32_USART_CR1_TE (1U << 3)
#define STM32_USART_CR1_RXNEIE (1U << 5)
#define STM32_USART_CR1_UE (1U << 13)

#define STM32_IRQ_USART1 37U
#define STM32_IRQ_USART2 38U

#endif
