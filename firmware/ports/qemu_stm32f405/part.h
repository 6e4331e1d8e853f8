/* The STM32F405xG, with its line at USART1: RM0090, sections 2.3 and 12.1.3. */
#ifndef PART_H
#define PART_H

#include "stm32f4.h"

#define PART_FLASH_LOG2 20
#define PART_IRQS 82U

#define PART_USART STM32_USART1
#define PART_USART_IRQ STM32_IRQ_USART1
#define PART_USART_CLOCK STM32_RCC_APB2ENR
#define PART_USART_CLOCK_ON STM32_APB2_USART1
#define PART_USART_TX 9U /* pins of port A */
#define PART_USART_RX 10U

#endif
