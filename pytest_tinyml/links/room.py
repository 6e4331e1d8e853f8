"""What fits one message to a board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tinyml import wire
from pytest_tinyml.errors import UsageError

if TYPE_CHECKING:
    from pytest_tinyml.records import Identity

BATCH_BYTES = 4
"""What an INFER needs beside its samples (PROTOCOL.md, section 3)."""
SAMPLE_BYTES = 6
"""What each sample needs beside its data."""


def sample_room(max_frame: int) -> int:
    """Return the bytes of the largest encoded sample that an INFER or CANARY in one frame of this size holds."""
    return wire.max_payload_size(max_frame) - BATCH_BYTES - SAMPLE_BYTES


def check_fits(sample_bytes: int, identity: Identity) -> None:
    """Refuse a sample that no INFER or CANARY of this board can hold.

    Args:
        sample_bytes: of the encoded sample.
        identity: of the board.

    Raises:
        UsageError: with what it would take.
    """
    if sample_bytes > wire.MAX_SAMPLE_BYTES:
        msg = f"one sample is {sample_bytes} bytes, a message holds at most {wire.MAX_SAMPLE_BYTES} (PROTOCOL.md)"
        raise UsageError(msg)
    if sample_bytes > sample_room(identity.max_frame):
        msg = (
            f"one sample ({sample_bytes} bytes) does not fit a frame of this board ({identity.max_frame} bytes): "
            "its receive buffer is too small for this model"
        )
        raise UsageError(msg)
