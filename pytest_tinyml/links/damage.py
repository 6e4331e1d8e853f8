"""A link that damages frames on purpose: the fault injection of `pytest_tinyml.contract`, usable in any test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_tinyml.links.base import Link

    Damage = Callable[[int, bytes], bytes]
    """Takes a frame's number (from 1) and the encoded frame, delimiter included; returns what travels in its place."""


def corrupt(frame: bytes) -> bytes:
    """Flip one bit in the middle, never into or out of a delimiter."""
    middle = (len(frame) - 1) // 2
    flipped = frame[middle] ^ 0x10 or 0x11
    return frame[:middle] + bytes((flipped,)) + frame[middle + 1 :]


def truncate(frame: bytes) -> bytes:
    """Lose the second half, but not the delimiter."""
    return frame[: len(frame) // 2] + b"\0"


def merge(frame: bytes) -> bytes:
    """Lose the delimiter, so that the frame runs into the next one."""
    return frame[:-1]


def drop(frame: bytes) -> bytes:
    """Lose the whole frame."""
    return frame[:0]


def repeat(frame: bytes) -> bytes:
    """Deliver the frame twice."""
    return frame + frame


DAMAGES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "corrupt": corrupt,
    "truncate": truncate,
    "merge": merge,
    "drop": drop,
    "repeat": repeat,
}


def at_frames(change: Callable[[bytes], bytes], numbers: frozenset[int]) -> Damage:
    """Apply a change to the frames of these numbers."""
    return lambda number, frame: change(frame) if number in numbers else frame


class DamagedLink:
    """A link around another one.

    Args:
        inner: carries what is left; closed by `close`.
        to_board: damages what the host sends.
        from_board: damages what the board sends.
    """

    def __init__(self, inner: Link, *, to_board: Damage | None = None, from_board: Damage | None = None) -> None:
        """Count frames from 1 in each direction."""
        self.name, self.packed = inner.name, inner.packed
        self._inner = inner
        self._out, self._in = _Cutter(to_board), _Cutter(from_board)
        self._queued = b""

    def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        """See `Link.exchange`; bytes are taken at once and wait here."""
        self._queued += self._out.feed(bytes(out))
        sent, received = self._inner.exchange(memoryview(self._queued), timeout_s)
        self._queued = self._queued[sent:]
        return len(out), self._in.feed(received)

    def close(self) -> None:
        """See `Link.close`."""
        self._inner.close()


class _Cutter:
    """Cuts a stream into frames and damages them; without damage it lets everything through at once."""

    def __init__(self, damage: Damage | None) -> None:
        self._damage = damage
        self._rest = b""
        self._count = 0

    def feed(self, data: bytes) -> bytes:
        """Take bytes; return what travels on."""
        if self._damage is None:
            return data
        *frames, self._rest = (self._rest + data).split(b"\0")
        passed: list[bytes] = []
        for frame in frames:
            if frame:
                self._count += 1
                passed.append(self._damage(self._count, frame + b"\0"))
            else:
                passed.append(b"\0")
        return b"".join(passed)
