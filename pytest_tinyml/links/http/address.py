"""Which of this computer's addresses a board can reach."""

from __future__ import annotations

import socket

from pytest_tinyml.errors import UsageError

_DISCARD_PORT = 9


def address_facing(peer: str) -> str:
    """Return the address of the interface that the route to `peer` leaves through; no packet is sent.

    Args:
        peer: name or address of a board, or of anything in its network.

    Raises:
        UsageError: there is no route to it, or no such name.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(peer, _DISCARD_PORT, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # Connecting a datagram socket only looks the route up.
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        msg = f"no route to {peer!r}: {error}; name this computer's address in the board's network with --tinyml-host"
        raise UsageError(msg) from error
