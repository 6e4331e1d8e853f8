/* The network: Wi-Fi (network_wifi.c), or the Ethernet of Espressif's QEMU (network_openeth.c). */
#ifndef NETWORK_ESPIDF_H
#define NETWORK_ESPIDF_H

#include "tml_text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Begins; joins what was saved, if anything, in the background. Once. */
void espidf_network_init(void);

/* The rest is as in puller.h. A network that is lost is joined again for ever. */
bool espidf_network(void *context, tml_text *text);
bool espidf_network_join(void *context, const char *ssid, const char *password, tml_text *answer);
bool espidf_network_save(void *context, tml_text *answer);
bool espidf_network_forget(void *context, tml_text *answer);

/* ---- network_common.c: what both share ---- */

/* NVS, lwIP and the event loop. */
void espidf_network_prepare(void);
/* Waits at most 20 s for an address, and answers with it or with what `why` says, if anything. */
bool espidf_network_wait(tml_text *answer, const char *(*why)(void));
void espidf_network_lost(void);

#ifdef __cplusplus
}
#endif

#endif
