/* The STM32F446RE on a NUCLEO-F446RE, whose ST-LINK is at USART2: RM0390, sections 2.2 and 10.2; UM1724, section 6.8.
 */
#ifndef PART_H
#define PART_H

#include "stm32f4.h"

#define PART_FLASH_LOG2 19
#define PART_IRQS 97U

#define PART_USART STM32_USART2
#define PART_USART_IRQ STM32_IRQ_USART2
#define PART_USART_CLOCK STM32_RCC_APB1ENR
#define PART_USART_CLOCK_ON STM32_APB1_USART2
#define PART_USART_TX 2U /* pins of port A */
#define PART_USART_RX 3U

#endif
