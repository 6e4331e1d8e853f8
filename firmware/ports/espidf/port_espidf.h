/* ESP-IDF as a board: FreeRTOS, esp_timer, memory. */
#ifndef PORT_ESPIDF_H
#define PORT_ESPIDF_H

#include "tml_port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills in everything but read and write. Call it in the task that will compute: the least free
 * stack is that task's, and so is the cycle counter. `cycles` chooses that counter instead of esp_timer. */
void espidf_port_init(tml_port *port, const char *board, bool cycles);

/* Counts what the last restart says, and says it on the console if it was not asked for. Once, before anything else. */
void espidf_note_restart(void);

/* The base address of the chip, which is what esptool reports: 12 lower-case hexadecimal digits and a zero. */
void espidf_mac(char text[13]);

/* ---- the task that serves and computes, on the last core ---- */

void espidf_start(void (*serve)(void *unused));
/* Ends in a panic that names what there is no memory for, if `block` is NULL; returns it. */
void *espidf_need(const char *what, void *block);

/* The watchdog: one minute for the calling task. */

void espidf_watchdog_init(void);
void espidf_watchdog_feed(void *context);

/* ---- memory ---- */

/* The arena: in internal RAM or PSRAM by the rule of arena_rule.h, aligned to 16 bytes, for good; NULL if neither has
 * room. Call it when everything else has taken its memory. */
void *espidf_arena(size_t size, size_t reserve);
/* A block in PSRAM or, without any, in internal RAM, aligned to 16 bytes; NULL if there is none. */
void *espidf_block(size_t size);
bool espidf_has_psram(void);

#ifdef __cplusplus
}
#endif

#endif
