/* What apps/nucleo_f446re needs of the part. */
#ifndef PORT_STM32F446_H
#define PORT_STM32F446_H

#include "tml.h"

/* Starts the clocks, opens the line and fills in the whole table, but for the board's name. */
void stm32f446_port_init(tml_port *port);

#endif
