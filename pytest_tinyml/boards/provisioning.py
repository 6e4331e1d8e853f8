"""What a board has to be told before it can pull: the network, and the server. Secrets go over the console only."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pytest_tinyml.errors import BoardError, UsageError

if TYPE_CHECKING:
    from pytest_tinyml.boards.espconsole import Commands
    from pytest_tinyml.links.http import ImageServer

SSID: Final = "TINYML_WIFI_SSID"
PASSWORD: Final = "TINYML_WIFI_PASSWORD"  # noqa: S105 - a variable's name
_ANSWER_S: Final = 5.0
_JOIN_S: Final = 25.0
"""The board gives up after 20 s (firmware/HTTP.md, section 4)."""
_KEPT_S: Final = 10.0
_POLL_S: Final = 0.5
_STOP_S: Final = 1.0


def wifi_from_environment() -> tuple[str, str] | None:
    """Return SSID and password (empty for an open network); None if there is no SSID."""
    name = os.environ.get(SSID, "")
    return (name, os.environ.get(PASSWORD, "")) if name else None


def own_network(commands: Commands, timeout_s: float = _KEPT_S) -> str | None:
    """Wait until a board that was just started is in a network without having been told one: kept, wired, or a host's.

    Returns:
        The board's address in it, empty if the firmware is too old to say; None if there is no network.
    """
    deadline = time.monotonic() + timeout_s
    while (status := commands.status(_ANSWER_S)).get("network") != "up":
        if time.monotonic() > deadline:
            return None
        time.sleep(_POLL_S)
    return status.get("address", "").strip("-")


def no_network() -> UsageError:
    """Make the error for a board that nobody has told of a network."""
    return UsageError(
        f"the board has to know the Wi-Fi: set {SSID} and {PASSWORD} in the environment (2.4 GHz; without a password "
        "the network is open). A board on which 'tinyml save' was done keeps its network and needs neither"
    )


def join_network(commands: Commands) -> str:
    """Let the board join the network; returns its address, empty if only the board knows it (see `own_network`).

    Raises:
        UsageError: no network was named, and the board keeps none.
        BoardError: it cannot join; with its words and what to look at.
    """
    wifi = wifi_from_environment()
    if wifi is None:
        address = own_network(commands)
        if address is None:
            raise no_network()
        return address
    name, password = wifi
    try:
        return commands.ask("wifi", name, *([password] if password else []), timeout_s=_JOIN_S)
    except BoardError as error:
        error.message = f"{error.message}; {SSID} is {name!r}: is it in range, at 2.4 GHz, and {PASSWORD} right?"
        error.args = (error.message,)
        raise


def point_to_server(commands: Commands, server: ImageServer, host: str, index: int) -> None:
    """Tell the board where to pull from, and the token.

    Raises:
        BoardError: it refuses.
    """
    commands.ask("server", host, str(server.port), str(index), server.token, timeout_s=_ANSWER_S)


def stop_pulling(commands: Commands) -> None:
    """Tell the board that it is done; one that does not answer is done as well."""
    with suppress(BoardError, OSError):
        commands.ask("stop", timeout_s=_STOP_S)
