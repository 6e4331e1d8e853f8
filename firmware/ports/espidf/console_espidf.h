/* The console's UART, of boards whose link is another: input from the driver, output through stdio, whose lock keeps
 * lines whole. */
#ifndef CONSOLE_ESPIDF_H
#define CONSOLE_ESPIDF_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void espidf_console_init(void);
int32_t espidf_console_read(void *context, uint8_t *data, size_t capacity);
void espidf_console_write(void *context, const char *data, size_t size);

#ifdef __cplusplus
}
#endif

#endif
