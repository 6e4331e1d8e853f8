/* The part's USART (part.h): received bytes through an interrupt and a ring buffer, sent bytes polled. */
#ifndef USART_H
#define USART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef TML_RING_BYTES /* a model with large inputs takes more */
#define TML_RING_BYTES 8192U
#endif
#define USART_RING_BYTES TML_RING_BYTES /* the port's receive window: a power of two */

/* 8N1. `clock_hz` is what the USART's bus runs at. */
void usart_open(uint32_t clock_hz, uint32_t baud);
/* Copies what has been received, at most `capacity` bytes. */
size_t usart_take(uint8_t *data, size_t capacity);
bool usart_empty(void);
/* True once after received bytes were lost, in the USART or because the ring was full. */
bool usart_lost(void);
uint32_t usart_losses(void); /* how often */
/* False if the transmitter does not get ready. */
bool usart_send(const uint8_t *data, size_t size);
/* False if the last byte does not get out. */
bool usart_flush(void);
void usart_interrupt(void);

#endif
