/* Where a tensor arena goes. Internal RAM is several times as fast as PSRAM, but the network lives there too. */
#ifndef ARENA_RULE_H
#define ARENA_RULE_H

#include <stdbool.h>
#include <stddef.h>

/* What stays free for buffers of Wi-Fi, lwIP and sockets, which come and go. */
#define ARENA_RULE_NETWORK (48U * 1024U)

/* Whether an arena goes into internal RAM: it fits into one block of it and leaves the reserve. All in bytes. */
static inline bool arena_rule_internal(size_t arena, size_t reserve, size_t largest_block, size_t free_bytes) {
    return arena <= largest_block && free_bytes >= reserve && arena <= free_bytes - reserve;
}

#endif
