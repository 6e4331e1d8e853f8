#include "wired_app.h"

void app_engine_prepare(void) {
    /* The network's working memory is static. */
}
