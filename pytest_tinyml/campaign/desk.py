"""Which boards are meant by the names on a command line: kinds of boards, and boards of ``tinyml-boards.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_tinyml.campaign.choices import check_choices, require
from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_tinyml.boards.base import BoardKind
    from pytest_tinyml.boards.boardmap import BoardMap
    from pytest_tinyml.boards.registry import Registry

_PLACES: Final = ("port", "port_serial_number", "port_location", "port_mac")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A board that was asked for.

    Attributes:
        kind: of board.
        id: of the board in the file; empty for any of its kind.
        link: how samples shall travel; None for the kind's first.
        options: board-specific settings.
        device: see `BoardRequest.device`.
    """

    kind: BoardKind
    id: str
    link: str | None
    options: Mapping[str, str]
    device: Mapping[str, str]


def asked_boards(
    registry: Registry,
    desk: BoardMap,
    names: Sequence[str],
    *,
    link: str | None,
    clock: str | None,
    count: int,
    options: Mapping[str, str],
    device: Mapping[str, str],
) -> list[Asked]:
    """Look boards up, and put together what the file and the command line say of each; the latter wins.

    Raises:
        UnknownNameError: no such board, link, clock or option.
        UsageError: a board cannot be used on this computer, or is asked to be in two places or several.
    """
    found: list[Asked] = []
    for name in names:
        kind, board = desk.kind(name, registry), desk.get(name)
        if board is None:
            asked = Asked(kind=kind, id="", link=link, options=options, device=device)
        else:
            twice = [key for key in _PLACES if key in device]
            if twice:
                msg = f"board {name!r} is where {desk.path} says: --{twice[0].replace('_', '-')} is not for it"
                raise UsageError(msg)
            if count > 1:
                msg = f"board {name!r} of {desk.path} is one board: --tinyml-count {count} is not for it"
                raise UsageError(msg)
            asked = Asked(
                kind=kind,
                id=name,
                link=link or board.link,
                options={**board.options, **options},
                device=desk.device(name, device),
            )
        require(kind, asked.device)
        check_choices(kind, link=asked.link, clock=clock, options=asked.options)
        found.append(asked)
    return found
