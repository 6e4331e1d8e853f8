#include "usart.h"

#include <string.h>

#include "cortex_m4.h"
#include "part.h"

#define RING_MASK (USART_RING_BYTES - 1U)
#define ALTERNATE 2U
#define AF7 7U /* USART1 to USART3: the datasheet's table "Alternate function mapping" */

/* At the slowest baud rate of any use (9600) and 180 MHz a byte takes 187,500 cycles, and this loop at least four. */
#define READY_POLLS 200000U

_Static_assert((USART_RING_BYTES & RING_MASK) == 0, "the counters below run through all their values");

/* Counters of bytes: the interrupt writes `received` and `losses`, everybody else the others. Each is one word, which
 * the processor reads and writes whole. */
static uint8_t ring[USART_RING_BYTES];
static volatile uint32_t received, taken;
static volatile uint32_t losses;
static uint32_t losses_told;

/* Hands a pin of port A to the USART: four bits of AFR, two of MODER. */
static void connect_pin(uint32_t pin) {
    volatile uint32_t *functions = &STM32_GPIOA->afr[pin / 8U];
    const uint32_t at = pin % 8U * 4U;
    *functions = (*functions & ~(15U << at)) | AF7 << at;
    STM32_GPIOA->moder = (STM32_GPIOA->moder & ~(3U << 2U * pin)) | ALTERNATE << 2U * pin;
}

void usart_open(uint32_t clock_hz, uint32_t baud) {
    STM32_RCC_AHB1ENR |= STM32_AHB1_GPIOA;
    PART_USART_CLOCK |= PART_USART_CLOCK_ON;
    connect_pin(PART_USART_TX);
    connect_pin(PART_USART_RX);
    /* RM0090, 30.3.4: with 16 samples a bit, BRR in sixteenths is the clock over the baud rate. */
    PART_USART->brr = (clock_hz + baud / 2U) / baud;
    PART_USART->cr1 = STM32_USART_CR1_UE | STM32_USART_CR1_TE | STM32_USART_CR1_RE | STM32_USART_CR1_RXNEIE;
    NVIC_ENABLE(PART_USART_IRQ) = NVIC_BIT(PART_USART_IRQ);
}

void usart_interrupt(void) {
    /* RM0090, 30.6.1: reading SR and then DR clears ORE and RXNE. With ORE set, DR still holds the byte that was there
     * first; the later one is lost. */
    const uint32_t status = PART_USART->sr;
    const uint8_t byte = (uint8_t)PART_USART->dr;
    if ((status & STM32_USART_SR_ORE) != 0) {
        losses++;
    }
    if ((status & STM32_USART_SR_RXNE) == 0) {
        return;
    }
    const uint32_t at = received;
    if (at - taken == USART_RING_BYTES) {
        losses++;
        return;
    }
    ring[at & RING_MASK] = byte;
    received = at + 1U;
}

bool usart_empty(void) {
    return received == taken;
}

size_t usart_take(uint8_t *data, size_t capacity) {
    const uint32_t start = taken;
    const uint32_t waiting = received - start;
    __asm__ volatile("" ::: "memory"); /* the ring's bytes must not be read before the counter */
    const size_t size = waiting < capacity ? waiting : capacity;
    const size_t to_end = USART_RING_BYTES - (start & RING_MASK);
    const size_t first = size < to_end ? size : to_end;
    memcpy(data, ring + (start & RING_MASK), first);
    memcpy(data + first, ring, size - first);
    __asm__ volatile("" ::: "memory"); /* ... nor after they may be overwritten */
    taken = start + (uint32_t)size;
    return size;
}

bool usart_lost(void) {
    const uint32_t now = losses;
    const bool lost = now != losses_told;
    losses_told = now;
    return lost;
}

uint32_t usart_losses(void) {
    return losses;
}

static bool wait_for(uint32_t status) {
    for (uint32_t polls = 0; (PART_USART->sr & status) == 0; polls++) {
        if (polls == READY_POLLS) {
            return false;
        }
    }
    return true;
}

bool usart_send(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (!wait_for(STM32_USART_SR_TXE)) {
            return false;
        }
        PART_USART->dr = data[i];
    }
    return true;
}

bool usart_flush(void) {
    return wait_for(STM32_USART_SR_TC);
}
