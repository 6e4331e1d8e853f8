#define _GNU_SOURCE
#include "port_native.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define WRITE_TIMEOUT_MS 30000 /* a host that does not read for so long is gone */
#define SEND_BUFFER_BYTES (1 << 20)

static uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static uint64_t port_ticks(void *context) {
    (void)context;
    return monotonic_ns();
}

static uint32_t port_uptime_ms(void *context) {
    const native_line *line = context;
    return (uint32_t)((monotonic_ns() - line->started_ns) / 1000000U);
}

static void port_log(void *context, const char *text) {
    (void)context;
    /* Not stdio: a fault handler logs too. What standard error does not take is lost. */
    struct iovec parts[] = {{(char *)(uintptr_t)text, strlen(text)}, {"\n", 1}};
    ssize_t written = writev(STDERR_FILENO, parts, 2);
    (void)written;
}

static bool port_stat(void *context, tml_stat key, uint64_t *value) {
    (void)context;
    if (key != TML_STAT_RX_OVERRUNS) {
        return false;
    }
    *value = 0; /* the kernel makes the sender wait instead */
    return true;
}

/* Waits for `events`; returns false on time-out. A signal (the parent watch) does not lengthen the wait. */
static bool wait_for(int fd, short events, uint32_t timeout_ms) {
    uint64_t deadline = monotonic_ns() + (uint64_t)timeout_ms * 1000000U;
    struct pollfd poll_fd = {.fd = fd, .events = events};
    for (;;) {
        uint64_t now = monotonic_ns();
        int left = now >= deadline ? 0 : (int)((deadline - now + 999999U) / 1000000U);
        int ready = poll(&poll_fd, 1, left);
        if (ready > 0) {
            return true;
        }
        if (ready == 0 || errno != EINTR) {
            return false;
        }
    }
}

static int32_t port_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    const native_line *line = context;
    size_t wanted = capacity < INT32_MAX ? capacity : INT32_MAX;
    for (;;) {
        ssize_t got = read(line->fd, data, wanted);
        if (got > 0) {
            return (int32_t)got;
        }
        if (got == 0) {
            return TML_ERR_CLOSED;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN) {
            return TML_ERR_CLOSED; /* EIO: the other side of a pseudo terminal is gone; ECONNRESET */
        }
        if (timeout_ms == 0 || !wait_for(line->fd, POLLIN, timeout_ms)) {
            return 0;
        }
        timeout_ms = 0;
    }
}

static int write_all(int fd, const uint8_t *data, size_t size, uint32_t timeout_ms) {
    while (size != 0) {
        ssize_t sent = write(fd, data, size);
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        } else if (sent < 0 && errno == EAGAIN) {
            if (!wait_for(fd, POLLOUT, timeout_ms)) {
                return TML_ERR_IO;
            }
        } else if (sent < 0 && errno != EINTR) {
            return TML_ERR_CLOSED;
        }
    }
    return TML_OK;
}

static int port_write(void *context, const uint8_t *data, size_t size) {
    const native_line *line = context;
    return write_all(line->fd, data, size, WRITE_TIMEOUT_MS);
}

static void port_restart(void *context) {
    const native_line *line = context;
    /* The timer outlives exec, its handler does not. */
    const struct itimerval off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &off, NULL);
    execv("/proc/self/exe", line->argv);
    fprintf(stderr, "cannot restart: %s\n", strerror(errno));
    exit(1);
}

/* The first object is the program itself. */
static int add_segments(struct dl_phdr_info *info, size_t size, void *data) {
    tml_port *port = data;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            port->flash_bytes += (uint32_t)info->dlpi_phdr[i].p_filesz;
            port->ram_bytes += (info->dlpi_phdr[i].p_flags & PF_W) != 0 ? (uint32_t)info->dlpi_phdr[i].p_memsz : 0U;
        }
    }
    return 1;
}

void native_port_init(tml_port *port, native_line *line, char **argv) {
    line->argv = argv;
    line->started_ns = monotonic_ns();
    *port = (tml_port){
        .context = line,
        .read = port_read,
        .write = port_write,
        .ticks = port_ticks,
        .uptime_ms = port_uptime_ms,
        .log = port_log,
        .restart = port_restart,
        .stat = port_stat,
        .board = "native",
#if defined(__x86_64__)
        .chip = "x86_64",
#elif defined(__aarch64__)
        .chip = "aarch64",
#else
        .chip = "host",
#endif
        .clock = TML_CLOCK_WALL,
        .tick_hz = 1000000000U,
        .tick_mask = UINT64_MAX,
    };
    dl_iterate_phdr(add_segments, port);
}

/* ---- the line ---- */

static int set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? errno : 0;
}

int native_open_fd(native_line *line, int fd) {
    const int bytes = SEND_BUFFER_BYTES;
    /* Best effort: a pipe has no such option, and the kernel may allow less. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    line->fd = fd;
    return set_nonblocking(fd);
}

static speed_t speed_of(unsigned long baud) {
    static const struct {
        unsigned long baud;
        speed_t speed;
    } known[] = {{9600, B9600},     {19200, B19200},   {38400, B38400},   {57600, B57600},     {115200, B115200},
                 {230400, B230400}, {460800, B460800}, {921600, B921600}, {2000000, B2000000}, {3000000, B3000000}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].baud == baud) {
            return known[i].speed;
        }
    }
    return B0;
}

int native_open_tty(native_line *line, const char *path, unsigned long baud) {
    struct termios mode;
    speed_t speed = speed_of(baud);
    if (speed == B0) {
        return EINVAL;
    }
    line->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (line->fd < 0) {
        return errno;
    }
    if (tcgetattr(line->fd, &mode) != 0) {
        return errno;
    }
    cfmakeraw(&mode);
    mode.c_cflag |= CLOCAL | CREAD;
    mode.c_cc[VMIN] = 1; /* 0 would make "no byte" look like the end of file */
    mode.c_cc[VTIME] = 0;
    if (cfsetspeed(&mode, speed) != 0 || tcsetattr(line->fd, TCSANOW, &mode) != 0) {
        return errno;
    }
    return 0;
}
