"""What each board of a run is doing, and what it has been handed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_tinyml.campaign.run import Campaign


def board_rows(campaign: Campaign, restarts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return a row per board, in their order.

    Args:
        campaign: started or not.
        restarts: how often each had to be started again, by name.
    """
    held = campaign.queue.held()
    return [
        {
            "name": board.name,
            "chip": None if (identity := campaign.bench.identities.get(board.name)) is None else identity.chip,
            "state": _state(campaign, board.name),
            "answered": work.answered if (work := campaign.works.get(board.name)) is not None else 0,
            "held": held[board.name].count if board.name in held else 0,
            # A whole second: the rest of the row changes less often than a clock.
            "lease_s": round(held[board.name].left_s) if board.name in held else None,
            "restarts": restarts.get(board.name, 0),
        }
        for board in campaign.bench.boards
    ]


def _state(campaign: Campaign, name: str) -> str:
    """Return one word: ``lost``, ``absent``, ``ready``, ``restarting``, ``streaming`` or ``done``."""
    if name in campaign.bench.lost:
        return "lost"
    if name not in campaign.bench.identities:
        return "absent"
    work = campaign.works.get(name)
    if work is None:
        return "ready"
    if campaign.queue.finished:
        return "done"
    return "streaming" if work.is_open else "restarting"
