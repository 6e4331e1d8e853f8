/* From reset to main(): vector table, memory, protection. */
#include <string.h>

#include "cortex_m4.h"
#include "machine.h"
#include "part.h"
#include "usart.h"

int main(void);

typedef void (*vector)(void);

/* ARMv7-M ARM, B1.5.3; how many peripherals follow is the part's. */
typedef struct {
    uint8_t *handler_stack_top;
    vector system[15];
    vector peripheral[PART_IRQS];
} vector_table;

__attribute__((section(".vectors"), used)) static const vector_table vectors = {
    .handler_stack_top = link_handler_stack_top,
    .system =
        {
            machine_reset,
            [1 ... 13] = machine_fault, /* NMI and faults; nobody uses SVCall and PendSV */
            machine_systick,
        },
    .peripheral =
        {
            [0 ... PART_USART_IRQ - 1] = machine_fault,
            [PART_USART_IRQ] = usart_interrupt,
            [PART_USART_IRQ + 1 ... PART_IRQS - 1] = machine_fault,
        },
};

static void protect(uint32_t region, uint32_t base, uint32_t log2_bytes, uint32_t attributes) {
    MPU_RNR = region;
    MPU_RBAR = base;
    MPU_RASR = attributes | MPU_SIZE(log2_bytes) | MPU_REGION_ON;
}

/* What the bus would let pass silently becomes a MemManage fault: any use of a null pointer (flash is mirrored at 0),
 * a write to flash, a jump into data. The last region is what the stack runs into: nothing in QEMU, and system memory
 * with the option bytes on a part. */
static void protect_memories(void) {
    protect(0, 0x00000000, PART_FLASH_LOG2, MPU_AP_NONE | MPU_XN | MPU_FLASH);
    protect(1, 0x08000000, PART_FLASH_LOG2, MPU_AP_READ_ONLY | MPU_FLASH);
    protect(2, 0x20000000, 17, MPU_AP_READ_WRITE | MPU_XN | MPU_SRAM);
    protect(3, 0x1FFF0000, 16, MPU_AP_NONE | MPU_XN | MPU_FLASH);
    MPU_CTRL = MPU_CTRL_ON;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
}

static void paint_stack(void) {
    volatile uint32_t *at = (volatile uint32_t *)(void *)link_stack_bottom;
    uint32_t *end;
    __asm__ volatile("mov %0, sp" : "=r"(end));
    while (at < end) {
        *at++ = STACK_PAINT;
    }
}

uint32_t machine_least_free_stack(void) {
    const uint32_t *at = (const uint32_t *)(const void *)link_stack_bottom;
    while (*at == STACK_PAINT) {
        at++;
    }
    return (uint32_t)((uintptr_t)at - (uintptr_t)link_stack_bottom);
}

void machine_restart(void) {
    __asm__ volatile("dsb" ::: "memory");
    SCB_AIRCR = SCB_AIRCR_RESET;
    for (;;) { /* it takes the processor, or an emulator, a while */
    }
}

void machine_systick(void) {}

/* Networks of integers leave the FPU off, so that floating point that slips in is a fault. */
static void switch_fpu_on(void) {
#if defined(TML_FPU)
    SCB_CPACR |= SCB_CPACR_FPU;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
}

__attribute__((used)) static _Noreturn void start(void) {
    switch_fpu_on();
    SCB_VTOR = (uint32_t)(uintptr_t)link_vectors;
    paint_stack();
    memcpy(link_data_start, link_data_load, (size_t)(link_data_end - link_data_start));
    memset(link_bss_start, 0, (size_t)(link_bss_end - link_bss_start));
    SCB_SHCSR |= SCB_SHCSR_FAULTS;
    SCB_CCR |= SCB_CCR_DIV_0_TRP;
    protect_memories();
    (void)main();
    machine_fault(); /* main() never returns: it has nowhere to return to */
    for (;;) {
    }
}

/* The program runs on the process stack, and exceptions on the main stack, which is where the processor starts: so a
 * fault has a stack to be reported from, whatever happened to the program's. ARMv7-M ARM, B1.4.1 and B1.4.4. */
__attribute__((naked)) void machine_reset(void) {
    __asm__ volatile("ldr r0, =link_stack_top\n\t"
                     "msr psp, r0\n\t"
                     "movs r0, #2\n\t" /* CONTROL.SPSEL */
                     "msr control, r0\n\t"
                     "isb\n\t"
                     "b %c0" ::"i"(start));
}
