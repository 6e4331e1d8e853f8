/* What an application whose link is the console's UART brings to wired_main.c. */
#ifndef WIRED_APP_H
#define WIRED_APP_H

#ifdef __cplusplus
extern "C" {
#endif

/* Gives the engine what it needs before it is initialised; in the task that will compute. */
void app_engine_prepare(void);

#ifdef __cplusplus
}
#endif

#endif
