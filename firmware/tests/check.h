/* The whole test framework: CHECK counts, reports where and goes on; `check_name` says in which vector. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

static const char *check_name = "";
static unsigned check_count, check_failures;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        check_count++;                                                                                                 \
        if (!(condition)) {                                                                                            \
            check_failures++;                                                                                          \
            printf("%s:%d: [%s] failed: %s\n", __FILE__, __LINE__, check_name, #condition);                            \
        }                                                                                                              \
    } while (0)

static inline int check_result(const char *program) {
    printf("%s: %u checks, %u failures\n", program, check_count, check_failures);
    return check_failures != 0 || check_count == 0;
}

#endif
