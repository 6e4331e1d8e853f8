/* The line over the part's USART: what a port's `read` and `write` do. */
#ifndef SERIAL_H
#define SERIAL_H

#include <stddef.h>

#include "clocks.h"
#include "tml_port.h"

/* See tml_port.read; `clocks` must have been started. */
int32_t serial_read(stm32_clocks *clocks, uint8_t *data, size_t capacity, uint32_t timeout_ms);
/* See tml_port.write. */
int serial_write(const uint8_t *data, size_t size);

#endif
