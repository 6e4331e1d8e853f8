/* Registers of the STM32F446 beyond those of ports/stm32f4: ST's RM0390, RCC section 6.3, PWR section 5.4, flash
 * interface section 3.8, debug section 33.6. */
#ifndef STM32F446_H
#define STM32F446_H

#include <stdint.h>

#define STM32_RCC_CR (*(volatile uint32_t *)0x40023800)
#define STM32_RCC_CR_HSEON (1U << 16)
#define STM32_RCC_CR_HSERDY (1U << 17)
#define STM32_RCC_CR_HSEBYP (1U << 18)
#define STM32_RCC_CR_PLLON (1U << 24)
#define STM32_RCC_CR_PLLRDY (1U << 25)

#define STM32_RCC_PLLCFGR (*(volatile uint32_t *)0x40023804)
#define STM32_PLL_M(n) ((uint32_t)(n) << 0)
#define STM32_PLL_N(n) ((uint32_t)(n) << 6)
#define STM32_PLL_P(n) (((uint32_t)(n) / 2U - 1U) << 16)
#define STM32_PLL_HSE (1U << 22)
#define STM32_PLL_Q(n) ((uint32_t)(n) << 24)
#define STM32_PLL_R(n) ((uint32_t)(n) << 28)

#define STM32_RCC_CFGR (*(volatile uint32_t *)0x40023808)
#define STM32_RCC_CFGR_SW_PLL (2U << 0)
#define STM32_RCC_CFGR_SWS (3U << 2)
#define STM32_RCC_CFGR_SWS_PLL (2U << 2)
#define STM32_RCC_CFGR_PPRE1_4 (5U << 10)
#define STM32_RCC_CFGR_PPRE2_2 (4U << 13)

#define STM32_APB1_PWR (1U << 28)
#define STM32_PWR_CR (*(volatile uint32_t *)0x40007000)
#define STM32_PWR_CR_VOS_1 (3U << 14)
#define STM32_PWR_CR_ODEN (1U << 16)
#define STM32_PWR_CR_ODSWEN (1U << 17)
#define STM32_PWR_CSR (*(volatile uint32_t *)0x40007004)
#define STM32_PWR_CSR_ODRDY (1U << 16)
#define STM32_PWR_CSR_ODSWRDY (1U << 17)

#define STM32_FLASH_ACR (*(volatile uint32_t *)0x40023C00)
#define STM32_FLASH_ACR_LATENCY 15U
#define STM32_FLASH_ACR_PRFTEN (1U << 8)
#define STM32_FLASH_ACR_ICEN (1U << 9)
#define STM32_FLASH_ACR_DCEN (1U << 10)

#define STM32_DBGMCU_IDCODE (*(volatile uint32_t *)0xE0042000)
#define STM32_DBGMCU_IDCODE_DEV_ID 0xFFFU
#define STM32_DEV_ID_F446 0x421U
#define STM32_DBGMCU_CR (*(volatile uint32_t *)0xE0042004)
#define STM32_DBGMCU_CR_SLEEP (1U << 0)

#endif
