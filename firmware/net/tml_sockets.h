/* BSD sockets, from whoever brings them; to be included before anything else. ESP-IDF has lwIP's under the POSIX names;
 * define TML_SOCKETS_LWIP for an lwIP without a C library that does (lwipopts.h: LWIP_SOCKET, LWIP_DNS,
 * LWIP_COMPAT_SOCKETS, LWIP_POSIX_SOCKETS_IO_NAMES).
 */
#ifndef TML_SOCKETS_H
#define TML_SOCKETS_H

#if defined(__linux__) && !defined(_GNU_SOURCE) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L /* getaddrinfo, in a program that asks for plain C11 */
#endif

#include <errno.h>

#ifdef TML_SOCKETS_LWIP
#include <lwip/netdb.h>
#include <lwip/sockets.h>
#else
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#ifdef ESP_PLATFORM /* its C library has poll() here only */
#include <sys/poll.h>
#else
#include <poll.h>
#endif
#include <sys/socket.h>
#include <unistd.h>
#endif

/* A connection that is lost shall be an error, not a signal. lwIP knows the flag's name, and refuses it in sendmsg. */
#if defined(__linux__) && !defined(TML_SOCKETS_LWIP)
#define TML_SEND_FLAGS MSG_NOSIGNAL
#else
#define TML_SEND_FLAGS 0
#endif

#endif
