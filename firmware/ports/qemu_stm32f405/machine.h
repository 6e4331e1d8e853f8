/* What the files of this port share: places that link.ld defines, and the handlers that the vector table names. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stddef.h>
#include <stdint.h>

/* Symbols of link.ld: only their addresses mean anything. */
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

#endif
