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

#include "fault_report.h"
#include "port_native.h"

/* Only what a signal handler cannot be handed otherwise. */
static const tml_session *reported_session;
static const native_fault_line *reported_line;
static pid_t parent;

static const struct {
    int number;
    const char *name;
} fatal[] = {
    {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGILL, "SIGILL"}, {SIGFPE, "SIGFPE"}, {SIGABRT, "SIGABRT"},
};

static void on_fatal(int number, siginfo_t *info, void *context) {
    static fault_text text; /* the alternate stack is small, and this runs once */
    const ucontext_t *registers = context;
    const char *name = "signal";
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
        name = fatal[i].number == number ? fatal[i].name : name;
    }
    fault_append(&text, name);
    fault_append(&text, ", address ");
    fault_append_hex(&text, (uintptr_t)info->si_addr);
#if defined(__x86_64__)
    fault_append(&text, ", pc ");
    fault_append_hex(&text, (uintptr_t)registers->uc_mcontext.gregs[REG_RIP]);
    fault_append(&text, ", sp ");
    fault_append_hex(&text, (uintptr_t)registers->uc_mcontext.gregs[REG_RSP]);
#elif defined(__aarch64__)
    fault_append(&text, ", pc ");
    fault_append_hex(&text, (uintptr_t)registers->uc_mcontext.pc);
    fault_append(&text, ", sp ");
    fault_append_hex(&text, (uintptr_t)registers->uc_mcontext.sp);
#else
    (void)registers;
#endif
    if (reported_line != NULL) {
        reported_line->before(reported_line->context);
    }
    fault_report(reported_session, text.text);
    if (reported_line != NULL) {
        reported_line->after(reported_line->context);
    }
    /* SA_RESETHAND restored the default: the process dies of the same signal when this returns. */
    raise(number);
}

void native_report_faults(const tml_session *session, const native_fault_line *line) {
    static uint8_t stack[1 << 16]; /* a stack overflow must be reportable too */
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};
    reported_session = session;
    reported_line = line;
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
