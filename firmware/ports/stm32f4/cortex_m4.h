/* Registers of the Cortex-M4 that the STM32F4 ports use. Addresses: ARMv7-M Architecture Reference Manual (DDI 0403),
 * chapter B3; bits as the STM32F4 has them: ST's PM0214. */
#ifndef CORTEX_M4_H
#define CORTEX_M4_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define SYSTICK_CTRL REGISTER(0xE000E010)
#define SYSTICK_LOAD REGISTER(0xE000E014)
#define SYSTICK_VALUE REGISTER(0xE000E018)
#define SYSTICK_CTRL_RUN 7U /* processor clock, interrupt, counting */

#define NVIC_ENABLE(number) REGISTER(0xE000E100 + 4U * ((number) / 32U))
#define NVIC_BIT(number) (1U << ((number) % 32U))

#define SCB_CPACR REGISTER(0xE000ED88)
#define SCB_CPACR_FPU (15U << 20) /* full access to coprocessors 10 and 11 */
#define SCB_VTOR REGISTER(0xE000ED08)
#define SCB_AIRCR REGISTER(0xE000ED0C)
#define SCB_AIRCR_RESET 0x05FA0004U /* the key that a write needs, and SYSRESETREQ */
#define SCB_CCR REGISTER(0xE000ED14)
#define SCB_CCR_DIV_0_TRP (1U << 4)
#define SCB_SHCSR REGISTER(0xE000ED24)
#define SCB_SHCSR_FAULTS (7U << 16) /* MemManage, BusFault and UsageFault have handlers of their own */
#define SCB_CFSR REGISTER(0xE000ED28)
#define SCB_CFSR_MMARVALID (1U << 7)
#define SCB_CFSR_BFARVALID (1U << 15)
#define SCB_CFSR_STACKING ((1U << 4) | (1U << 12)) /* MSTKERR, STKERR */
#define SCB_HFSR REGISTER(0xE000ED2C)
#define SCB_MMFAR REGISTER(0xE000ED34)
#define SCB_BFAR REGISTER(0xE000ED38)

#define MPU_CTRL REGISTER(0xE000ED94)
#define MPU_CTRL_ON 5U /* with the default map behind the regions (PRIVDEFENA) */
#define MPU_RNR REGISTER(0xE000ED98)
#define MPU_RBAR REGISTER(0xE000ED9C)
#define MPU_RASR REGISTER(0xE000EDA0)
#define MPU_XN (1U << 28)
#define MPU_AP_NONE (0U << 24)
#define MPU_AP_READ_WRITE (3U << 24)
#define MPU_AP_READ_ONLY (6U << 24)
#define MPU_FLASH (2U << 16) /* attributes for internal flash and SRAM: PM0214, section 4.2.7 */
#define MPU_SRAM (6U << 16)
#define MPU_SIZE(log2_bytes) ((uint32_t)((log2_bytes) - 1) << 1)
#define MPU_REGION_ON 1U

/* ARMv7-M ARM, C1.6.5 and C1.8: the trace unit counts cycles, once it is switched on. */
#define DEBUG_DEMCR REGISTER(0xE000EDFC)
#define DEBUG_DEMCR_TRCENA (1U << 24)
#define DWT_CTRL REGISTER(0xE0001000)
#define DWT_CTRL_CYCCNTENA (1U << 0)
#define DWT_CYCCNT REGISTER(0xE0001004)

#endif
