"""One queue of sample ids that any number of boards draw from.

A lease is a batch of ids handed to one holder for a time. What is not answered before the lease ends goes back to the
front of the queue and to whoever asks next: sharding and fault handling are the same mechanism.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a holder has at the moment: number of ids, and seconds until the first of them is offered to others."""

    count: int
    left_s: float


class WorkQueue:
    """A thread-safe queue of sample ids with leases.

    Args:
        ids: the samples to do, in the order in which they should be done.
        lease_s: seconds after which an unanswered id is offered to others.
        clock: monotonic seconds; replaced in tests.
    """

    def __init__(
        self, ids: Iterable[int], *, lease_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Queue the ids."""
        self._pending: deque[int] = deque(ids)
        self._lease_s = lease_s
        self._clock = clock
        self._leased: dict[int, tuple[str, float]] = {}
        self._strikes: Counter[int] = Counter()
        self._changed = threading.Condition()
        self._stopped = False

    def lease(self, holder: str, count: int) -> list[int]:
        """Hand at most `count` ids to `holder`; an empty list means that nothing is free at the moment."""
        with self._changed:
            self._expire()
            if self._stopped:
                return []
            taken = [self._pending.popleft() for _ in range(min(count, len(self._pending)))]
            until = self._clock() + self._lease_s
            for sample in taken:
                self._leased[sample] = (holder, until)
            return taken

    def renew(self, holder: str) -> None:
        """Extend all leases of `holder`: it has shown a sign of life."""
        with self._changed:
            until = self._clock() + self._lease_s
            for sample, (owner, _) in self._leased.items():
                if owner == holder:
                    self._leased[sample] = (holder, until)

    def complete(self, ids: Iterable[int]) -> None:
        """Take answered ids off the queue, whoever had them."""
        with self._changed:
            late = [sample for sample in ids if self._leased.pop(sample, None) is None]
            if late:
                # Answered after its lease had ended: it may be waiting for somebody else by now.
                gone = set(late)
                self._pending = deque(sample for sample in self._pending if sample not in gone)
            self._changed.notify_all()

    def release(self, holder: str, *, blame: int | None = None) -> None:
        """Put everything that `holder` had back to the front, in order, what is blamed first.

        Args:
            holder: who lost its leases.
            blame: the id that it was working on when it died, which gets a strike.
        """
        with self._changed:
            lost = [sample for sample, (owner, _) in self._leased.items() if owner == holder]
            for sample in lost:
                del self._leased[sample]
            if blame in lost:
                lost.sort(key=lambda sample: sample != blame)
                self._strikes[blame] += 1
            self._pending.extendleft(reversed(lost))
            self._changed.notify_all()

    def put_back(self, ids: Iterable[int]) -> None:
        """Queue ids again, at the front, that were completed too soon; their strikes are forgotten."""
        with self._changed:
            back = list(ids)
            for sample in back:
                del self._strikes[sample]
            self._pending.extendleft(reversed(back))
            self._changed.notify_all()

    def held(self) -> dict[str, Held]:
        """Return what is leased, by holder."""
        with self._changed:
            leases = list(self._leased.values())
        now = self._clock()
        ends: dict[str, list[float]] = {}
        for holder, until in leases:
            ends.setdefault(holder, []).append(until)
        return {who: Held(count=len(times), left_s=max(0.0, min(times) - now)) for who, times in ends.items()}

    def strikes(self, sample: int) -> int:
        """Return how many holders died working on `sample`."""
        return self._strikes[sample]

    def stop(self) -> None:
        """Hand out nothing more and wake everybody who waits."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait until something changes (at most `timeout_s` seconds) and return `finished`."""
        with self._changed:
            if not self._finished():
                self._changed.wait(timeout_s)
            return self._finished()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do, or the queue was stopped."""
        with self._changed:
            return self._finished()

    def __len__(self) -> int:
        """Return the number of ids not yet answered, leased ones included."""
        with self._changed:
            return len(self._pending) + len(self._leased)

    def _finished(self) -> bool:
        return self._stopped or not (self._pending or self._leased)

    def _expire(self) -> None:
        now = self._clock()
        late = [sample for sample, (_, until) in self._leased.items() if until < now]
        for sample in late:
            del self._leased[sample]
        self._pending.extendleft(reversed(late))
