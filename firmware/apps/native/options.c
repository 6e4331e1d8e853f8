#define _GNU_SOURCE
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"

int usage(FILE *to, const char *program) {
    fprintf(
        to,
        "usage: %s (--fd N | --tty PATH | --console) [options]\n"
        "  --fd N              talk on this inherited socket; 512 KB window, 128 KB frames\n"
        "  --tty PATH          talk on this terminal, in raw mode; 8 KB window, 4 KB frames\n"
        "  --console           commands on standard input, answers on standard output (HTTP.md, section 4); pulls "
        "over\n"
        "                      HTTP; window and frames as for --fd\n"
        "  --mlperf DIGITS     speak MLPerf Tiny's serial protocol on the line, with so many decimals in results\n"
        "  --wired             on the line also take the commands of PROTOCOL.md, section 7\n"
        "  --selftest          run the samples that are compiled in, and end; with --wired: and then serve\n"
        "  --baud N            of a terminal that has one (115200)\n"
        "  --rx-window BYTES   --max-frame BYTES\n"
        "  --board NAME        in IDENTITY (native)\n"
        "  --chip NAME         likewise (this processor)\n"
        "  --mac HEX12         what the console says it is (000000000000)\n"
        "  --fault KIND        misbehave (may be repeated; faults.h has the kinds). Deadly here are crash (SIGSEGV),\n"
        "                      abort, exit (code 3) and hang (endless loop), each with @N or #ID\n"
        "  --fault-once PATH   no fault if PATH exists; it is created when one happens\n",
        program);
    return to == stdout ? 0 : 2;
}

static bool parse_bytes(const char *text, uint32_t *value) {
    char *end;
    errno = 0;
    unsigned long parsed = strtoul(text, &end, 10);
    *value = (uint32_t)parsed;
    return errno == 0 && *text != '\0' && *end == '\0' && parsed > 0 && parsed <= 1UL << 26;
}

static bool is_mac(const char *text) {
    return strlen(text) == 12 && strspn(text, "0123456789abcdef") == 12;
}

bool parse_options(int argc, char **argv, options *o) {
    enum {
        FD = 1,
        TTY,
        CONSOLE,
        MLPERF,
        WIRED,
        SELFTEST,
        BAUD,
        RX_WINDOW,
        MAX_FRAME,
        BOARD,
        CHIP,
        MAC,
        FAULT,
        FAULT_ONCE
    };
    static const struct option known[] = {
        {"fd", required_argument, NULL, FD},
        {"tty", required_argument, NULL, TTY},
        {"console", no_argument, NULL, CONSOLE},
        {"mlperf", required_argument, NULL, MLPERF},
        {"wired", no_argument, NULL, WIRED},
        {"selftest", no_argument, NULL, SELFTEST},
        {"baud", required_argument, NULL, BAUD},
        {"rx-window", required_argument, NULL, RX_WINDOW},
        {"max-frame", required_argument, NULL, MAX_FRAME},
        {"board", required_argument, NULL, BOARD},
        {"chip", required_argument, NULL, CHIP},
        {"mac", required_argument, NULL, MAC},
        {"fault", required_argument, NULL, FAULT},
        {"fault-once", required_argument, NULL, FAULT_ONCE},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool good = true;
    *o = (options){.board = "native", .mac = "000000000000", .baud = 115200};
    for (int found; (found = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        switch (found) {
        case FD:
            good = parse_bytes(optarg, &o->fd) && good;
            o->has_fd = true;
            break;
        case TTY:
            o->tty = optarg;
            break;
        case CONSOLE:
            o->console = true;
            break;
        case MLPERF:
            good = parse_bytes(optarg, &o->digits) && good;
            o->mlperf = true;
            break;
        case WIRED:
            o->wired = true;
            break;
        case SELFTEST:
            o->selftest = true;
            break;
        case BAUD:
            good = parse_bytes(optarg, &o->baud) && good;
            break;
        case RX_WINDOW:
            good = parse_bytes(optarg, &o->rx_window) && good;
            break;
        case MAX_FRAME:
            good = parse_bytes(optarg, &o->max_frame) && good;
            break;
        case BOARD:
            o->board = optarg;
            break;
        case CHIP:
            o->chip = optarg;
            break;
        case MAC:
            o->mac = optarg;
            good = is_mac(optarg) && good;
            break;
        case FAULT:
            good = faults_add(optarg) && good;
            break;
        case FAULT_ONCE:
            o->once_path = optarg;
            break;
        case 'h':
            exit(usage(stdout, argv[0]));
        default:
            good = false;
        }
    }
    int lines = (o->has_fd ? 1 : 0) + (o->tty != NULL ? 1 : 0) + (o->console ? 1 : 0);
    bool by_itself = o->selftest && !o->wired;
    return good && optind == argc && lines == (by_itself ? 0 : 1) &&
           (o->mlperf ? 1 : 0) + (o->console ? 1 : 0) + (o->wired ? 1 : 0) + (by_itself ? 1 : 0) <= 1;
}
