#include "tflm_arena.h"
#include "wired_app.h"

void app_engine_prepare(void) {
    app_tflm_arena(0); /* nobody else comes and goes: all of internal RAM is for the arena */
}
