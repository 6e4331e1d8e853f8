"""What is said of a board that cannot be asked what it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_tinyml.records import Clock, Identity

if TYPE_CHECKING:
    from pytest_tinyml.records import Encoding, Model


def unverified(
    model: Model,
    *,
    board: str,
    engine: str,
    encoding: Encoding,
    chip: str = "unknown chip",
    firmware_version: str = "",
    name: str = "",
    tick_hz: int = 0,
) -> Identity:
    """Return an identity that claims nothing but the tensors of the model that was asked for.

    Args:
        model: that was asked for.
        board: name of the kind.
        engine: likewise.
        encoding: how samples travel.
        chip: what is known of it.
        firmware_version: what it says of that.
        name: what it says that its model is.
        tick_hz: of its wall clock; 0 if it has none.
    """
    return Identity(
        clock=Clock.WALL,
        tick_hz=tick_hz,
        encodings=frozenset({encoding}),
        rx_window=0,
        max_frame=0,
        arena_used=0,
        arena_capacity=0,
        flash_bytes=0,
        ram_bytes=0,
        firmware_sha256="",
        model_sha256="",
        input=model.input,
        output=model.output,
        firmware_version=firmware_version,
        board=board,
        chip=chip,
        engine=engine,
        model=name,
        preprocess="",
    )
