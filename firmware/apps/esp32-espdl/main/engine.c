#include "wired_app.h"

void app_engine_prepare(void) {
    /* ESP-DL takes its memory from the heap when the engine is initialised. */
}
