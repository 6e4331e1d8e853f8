"""The parts of results.json that are about the firmware: what it takes of the part, and how it was made."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_tinyml.boards.base import BuildFacts
    from pytest_tinyml.campaign.run import Campaign
    from pytest_tinyml.records import Identity


def memory_facts(campaign: Campaign, identity: Identity | None) -> dict[str, Any]:
    """Return the bytes that the board reports, and those that the linker counted."""
    facts = _facts(campaign)
    # The fullest of several boards' stacks.
    unused = [
        counters["least_free_stack"] for counters in campaign.bench.counters.values() if "least_free_stack" in counters
    ]
    return {
        "arena_bytes": None if identity is None else identity.arena_used,
        "arena_capacity_bytes": None if identity is None else identity.arena_capacity,
        "flash_bytes": None if identity is None else identity.flash_bytes,
        "ram_bytes": None if identity is None else identity.ram_bytes,
        "stack_bytes": facts.stack_bytes if facts is not None and facts.stack_bytes else None,
        "stack_unused_bytes": min(unused, default=None),
        "memories": [] if facts is None else [asdict(memory) for memory in facts.memories],
    }


def build_facts(campaign: Campaign) -> dict[str, Any] | None:
    """Return the compiler and what computes each operator; None for a board that did not build its firmware."""
    facts = _facts(campaign)
    if facts is None:
        return None
    used = [asdict(use) for use in facts.kernels_used]
    return {"compiler": facts.compiler, "kernels": facts.kernels, "kernels_used": used}


def _facts(campaign: Campaign) -> BuildFacts | None:
    facts: BuildFacts | None = getattr(campaign.bench.boards[0], "facts", None)
    return facts
