/* What the files of the STM32F4 ports share: places that sections.ld defines, the handlers that the vector table names,
 * and what the shared files need of a port. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "tml.h"

/* Symbols of sections.ld: only their addresses mean anything. */
extern const uint8_t link_vectors[];
extern uint8_t link_data_start[], link_data_end[];
extern const uint8_t link_data_load[];
extern uint8_t link_bss_start[], link_bss_end[];
extern uint8_t link_stack_bottom[], link_stack_top[];
extern uint8_t link_handler_stack_top[];
extern const uint8_t link_text_start[], link_text_end[];
extern const uint8_t link_flash_bytes[], link_ram_bytes[]; /* the address is the number */

#define STACK_PAINT 0x57AC57ACU /* what unused words of the stack hold */

void machine_reset(void);   /* where the processor starts */
void machine_fault(void);   /* every exception that nobody expects */
void machine_systick(void); /* only wakes the processor */

/* From now on a processor fault is reported by fault_report() (fault_report.h) before machine_after_fault(). */
void machine_report_faults(const tml_session *session);

/* How the firmware can be made to fail, for tests; none of them returns. */
void machine_bad_instruction(void);
void machine_wild_write(void);
void machine_overflow_stack(void);
void machine_lock_up(void);

/* The least bytes of the stack that were free, ever. */
uint32_t machine_least_free_stack(void);
_Noreturn void machine_restart(void);

/* The port's: one line for a person, without a line end, also from a fault handler; and what comes after a fault. */
void machine_console(const char *text);
_Noreturn void machine_after_fault(void);

#endif
