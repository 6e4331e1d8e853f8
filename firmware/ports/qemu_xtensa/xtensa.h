/* What the files of this port share: the core's special registers, QEMU's simcalls, the clock, the UART. */
#ifndef XTENSA_H
#define XTENSA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XT_READ(name)                                                                                                  \
    __extension__({                                                                                                    \
        uint32_t value_;                                                                                               \
        __asm__ volatile("rsr." #name " %0" : "=r"(value_)::"memory");                                                 \
        value_;                                                                                                        \
    })
#define XT_WRITE(name, value) __asm__ volatile("wsr." #name " %0\n rsync" ::"r"((uint32_t)(value)) : "memory")

#define XT_PAINT UINT32_C(0x5AC4F111) /* what start.S fills the stack with */

/* ---- link.ld ---- */
extern const uint8_t link_flash_bytes[], link_ram_bytes[]; /* their addresses are the numbers */
extern const uint32_t link_stack_bottom[], link_stack_top[];

/* ---- start.S ---- */
_Noreturn void xt_reset(void); /* starts the firmware again from its first instruction */
extern uint8_t xt_vectors[];

/* ---- simcall.c: QEMU, target/xtensa/xtensa-semi.c ---- */

#define SIM_EINTR 4 /* the simcalls' own error numbers, newlib's */

typedef struct {
    int32_t result;
    int32_t error; /* says something only if the result is negative */
} sim_answer;

int sim_open(const char *path, bool to_write);
void sim_close(int fd);
/* One read or write of the host, so at most up to the end of a page: SIM_PAGE. */
sim_answer sim_read(int fd, void *data, size_t size);
sim_answer sim_write(int fd, const void *data, size_t size);
/* Waits until the file can be read or written without blocking. 1, 0 on time-out, negative on errors. */
sim_answer sim_wait(int fd, bool to_write, uint32_t timeout_ms);
/* The processor stands still, QEMU's devices go on. Less than a second. */
void sim_sleep_us(uint32_t us);
uint32_t sim_argc(void);
uint32_t sim_argv_bytes(void);
void sim_argv(void *block);
_Noreturn void sim_exit(int status);

/* ---- clock.c ---- */

#define XT_CLOCK_HZ 40000000U /* of CCOUNT: QEMU, target/xtensa/core-lx106.c, clock_freq_khz */
#define XT_INTERRUPT_TIMER (1U << 6)
#define XT_INTERRUPT_UART (1U << 0)

void clock_start(void);
uint64_t clock_ticks(void);        /* CCOUNT in 64 bits */
uint64_t clock_instructions(void); /* executed since some time */
uint32_t clock_uptime_ms(void);
/* To be called before clock_instructions. False if CCOUNT does not go on by 32 ns with every instruction, as it does
 * with -icount shift=5. */
bool clock_calibrate(void);
/* Sleeps until an interrupt or for about this time. Interrupts must be masked (rsil); they are not any more then. */
void clock_sleep(uint32_t ms);

/* ---- uart.c ---- */

#define UART_RING 16384U /* received bytes that can wait */

/* Received bytes are taken by an interrupt, or else only while the firmware waits for some: an interrupt in an
 * inference would be among the instructions that are counted. */
void uart_open(bool interrupts);
/* As tml_port.read and .write. */
int32_t uart_read(uint8_t *data, size_t capacity, uint32_t timeout_ms);
int uart_write(const uint8_t *data, size_t size);
uint64_t uart_overruns(void);
void xt_uart_interrupt(void); /* for start.S */

#endif
