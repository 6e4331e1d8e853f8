/* Fatal signals as ERROR FAULT, and the watch on the parent. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "port_native.h"

#define REPORT_TIMEOUT_MS 1000

/* Only what a signal handler cannot be handed otherwise. */
static const native_line *reported_line;
static const tml_session *reported_session;
static pid_t parent;

static const struct {
    int number;
    const char *name;
} fatal[] = {
    {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGILL, "SIGILL"}, {SIGFPE, "SIGFPE"}, {SIGABRT, "SIGABRT"},
};

/* Text without stdio, which is not safe here. */
static size_t append(char *text, size_t at, const char *more) {
    size_t size = strlen(more);
    memcpy(text + at, more, size + 1);
    return at + size;
}

static size_t append_hex(char *text, size_t at, uintptr_t value) {
    at = append(text, at, "0x");
    for (unsigned shift = sizeof value * 8; shift != 0;) {
        shift -= 4;
        text[at++] = "0123456789abcdef"[(value >> shift) & 15U];
    }
    text[at] = '\0';
    return at;
}

static void send_bytes(int fd, const uint8_t *data, size_t size) {
    while (size != 0) {
        ssize_t sent = write(fd, data, size);
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
            continue;
        }
        struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
        if (errno != EAGAIN || poll(&poll_fd, 1, REPORT_TIMEOUT_MS) <= 0) {
            return;
        }
    }
}

static void on_fatal(int number, siginfo_t *info, void *context) {
    static char text[160]; /* the alternate stack is small, and this runs once */
    static uint8_t frame[256];
    const ucontext_t *registers = context;
    const char *name = "signal";
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
        name = fatal[i].number == number ? fatal[i].name : name;
    }
    size_t at = append(text, 0, name);
    at = append(text, at, ", address ");
    at = append_hex(text, at, (uintptr_t)info->si_addr);
#if defined(__x86_64__)
    at = append(text, at, ", pc ");
    at = append_hex(text, at, (uintptr_t)registers->uc_mcontext.gregs[REG_RIP]);
    at = append(text, at, ", sp ");
    (void)append_hex(text, at, (uintptr_t)registers->uc_mcontext.gregs[REG_RSP]);
#elif defined(__aarch64__)
    at = append(text, at, ", pc ");
    at = append_hex(text, at, (uintptr_t)registers->uc_mcontext.pc);
    at = append(text, at, ", sp ");
    (void)append_hex(text, at, (uintptr_t)registers->uc_mcontext.sp);
#else
    (void)registers;
#endif
    /* A zero ends whatever frame was under way. */
    static const uint8_t delimiter = 0;
    size_t size = tml_error_frame(frame, sizeof frame, reported_session->busy_seq, TML_ERR_FAULT,
                                  reported_session->busy_sample, text);
    send_bytes(reported_line->fd, &delimiter, 1);
    send_bytes(reported_line->fd, frame, size);
    (void)append(text, strlen(text), "\n");
    send_bytes(STDERR_FILENO, (const uint8_t *)text, strlen(text));
    /* SA_RESETHAND restored the default: the process dies of the same signal when this returns. */
    raise(number);
}

void native_report_faults(const native_line *line, const tml_session *session) {
    static uint8_t stack[1 << 16]; /* a stack overflow must be reportable too */
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};
    reported_line = line;
    reported_session = session;
    sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
        sigaction(fatal[i].number, &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

static void check_parent(int number) {
    (void)number;
    if (getppid() != parent) {
        _exit(0);
    }
}

/* Not PR_SET_PDEATHSIG: that fires when the *thread* that forked ends, and a test runner may well use one. */
void native_die_with_parent(void) {
    struct sigaction action = {.sa_handler = check_parent, .sa_flags = SA_RESTART};
    const struct itimerval every_second = {{1, 0}, {1, 0}};
    parent = getppid();
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every_second, NULL);
}
