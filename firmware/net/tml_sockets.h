/* BSD sockets, from whoever brings them. ESP-IDF has lwIP's under the POSIX names; define TML_SOCKETS_LWIP for an lwIP
 * without a C library that does (lwipopts.h: LWIP_SOCKET, LWIP_DNS, LWIP_COMPAT_SOCKETS, LWIP_POSIX_SOCKETS_IO_NAMES).
 */
#ifndef TML_SOCKETS_H
#define TML_SOCKETS_H

#include <errno.h>

#ifdef TML_SOCKETS_LWIP
#include <lwip/netdb.h>
#include <lwip/sockets.h>
#else
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

#ifndef MSG_NOSIGNAL /* a C library without signals */
#define MSG_NOSIGNAL 0
#endif

#endif
