"""The queue of leases: order, expiry, late answers, strikes, and many holders at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pytest_tinyml.links.workqueue import Held, WorkQueue
from tests.unit.simulated import FakeTime

if TYPE_CHECKING:
    from collections.abc import Iterable


def make_queue(ids: Iterable[int], lease_s: float = 10.0) -> tuple[WorkQueue, FakeTime]:
    """Return a queue and the clock that its leases end by."""
    clock = FakeTime()
    return WorkQueue(ids, lease_s=lease_s, clock=clock.monotonic), clock


def test_leases_are_in_order_and_exclusive() -> None:
    """Two holders get different samples, in order; then nothing is free, though nothing is finished."""
    queue, _ = make_queue(range(5))
    assert (queue.lease("a", 2), queue.lease("b", 9), queue.lease("a", 1)) == ([0, 1], [2, 3, 4], [])
    assert (len(queue), queue.finished) == (5, False)


def test_finished_when_all_are_answered() -> None:
    """The queue is finished with the last answer, whoever gives it, and stays so."""
    queue, _ = make_queue(range(3))
    queue.lease("a", 3)
    states = []
    for ids in ([0, 1], [2, 2, 0]):
        queue.complete(ids)
        states.append(queue.finished)
    assert states == [False, True]
    assert queue.wait(60.0)


def test_an_empty_queue_is_finished() -> None:
    """Nothing to do is done."""
    assert WorkQueue(()).finished


def test_an_expired_lease_goes_to_whoever_asks_next() -> None:
    """A holder that does not answer in time loses its samples, to the front of the queue and in order."""
    queue, clock = make_queue(range(6))
    queue.lease("a", 3)
    clock.now += 10.0
    assert queue.lease("b", 1) == [3]
    clock.now += 0.1
    assert queue.lease("b", 9) == [0, 1, 2, 4, 5]


def test_it_says_who_has_what() -> None:
    """Each holder's leases are counted, with the time that is left of the first of them, which is never negative."""
    queue, clock = make_queue(range(6))
    assert {} == queue.held()
    queue.lease("a", 2)
    clock.now += 4.0
    queue.lease("a", 1)
    queue.lease("b", 1)
    assert {"a": Held(count=3, left_s=6.0), "b": Held(count=1, left_s=10.0)} == queue.held()
    queue.complete([0, 1])
    clock.now += 20.0
    assert {"a": Held(count=1, left_s=0.0), "b": Held(count=1, left_s=0.0)} == queue.held()


def test_renewed_leases_do_not_expire() -> None:
    """A sign of life extends a holder's own leases and nobody else's."""
    queue, clock = make_queue(range(4))
    queue.lease("a", 2)
    queue.lease("b", 2)
    clock.now += 9.0
    queue.renew("a")
    clock.now += 2.0
    assert queue.lease("c", 9) == [2, 3]


def test_a_late_answer_takes_the_sample_off_the_queue() -> None:
    """An answer after the lease's end counts, whether the sample is free again or with somebody else."""
    queue, clock = make_queue(range(3))
    queue.lease("a", 3)
    clock.now += 11.0
    assert queue.lease("b", 1) == [0]
    queue.complete([0, 1])
    assert queue.lease("b", 9) == [2]
    queue.complete([0, 2])
    assert queue.finished


def test_release_gives_everything_back_in_order() -> None:
    """What a dead holder had is free again at once, before everything else."""
    queue, _ = make_queue(range(6))
    queue.lease("a", 3)
    queue.lease("b", 1)
    queue.complete([1])
    queue.release("a")
    assert queue.lease("b", 9) == [0, 2, 4, 5]


def test_what_is_blamed_gets_a_strike_and_comes_first() -> None:
    """The next to take a sample gets the one that the holder died of, each time."""
    queue, _ = make_queue(range(4))
    assert queue.lease("a", 3) == [0, 1, 2]
    queue.complete([0])
    queue.release("a", blame=2)
    assert queue.lease("a", 1) == [2]
    queue.release("a", blame=2)
    assert (queue.strikes(1), queue.strikes(2)) == (0, 2)
    assert queue.lease("a", 9) == [2, 1, 3]


def test_nobody_is_blamed_without_a_lease() -> None:
    """A holder that had nothing cannot have died of a sample, nor one of somebody else's."""
    queue, _ = make_queue(range(2))
    queue.release("a", blame=0)
    queue.lease("b", 1)
    queue.release("a", blame=0)
    assert queue.strikes(0) == 0


def test_stop_ends_waiting_and_leasing() -> None:
    """After `stop` nothing is handed out, the queue counts as finished, and waiters wake."""
    queue, _ = make_queue(range(2))
    woken = threading.Event()

    def wait() -> None:
        queue.wait(60.0)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    queue.stop()
    assert woken.wait(10.0)
    thread.join()
    assert (queue.lease("a", 1), queue.finished) == ([], True)


def test_many_holders_answer_everything_once() -> None:
    """Eight threads, some of which die and come back, finish 4,000 samples, and none is leased to two at a time."""
    queue = WorkQueue(range(4000), lease_s=60.0)
    answered: list[int] = []
    held: set[int] = set()
    twice: list[int] = []
    guard = threading.Lock()

    def work(name: str, dies_every: int) -> None:
        turns = 0
        while not queue.finished:
            ids = queue.lease(name, 17)
            with guard:
                twice.extend(held.intersection(ids))
                held.update(ids)
            turns += 1
            done = ids[:5] if turns % dies_every == 0 else ids
            with guard:
                answered.extend(done)
                held.difference_update(ids)
            queue.complete(done)
            if len(done) < len(ids):
                queue.release(name, blame=ids[5])
            if not ids:
                queue.wait(0.01)

    threads = [threading.Thread(target=work, args=(f"board {k}", k + 2), daemon=True) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
        assert not thread.is_alive()
    assert twice == []
    assert sorted(answered) == list(range(4000))


class QueueMachine(RuleBasedStateMachine):
    """Any sequence of calls: no sample is ever lost, and none that is answered comes back."""

    def __init__(self) -> None:
        """Begin with twelve samples."""
        super().__init__()
        self.queue, self.clock = make_queue(range(12), lease_s=5.0)
        self.answered: set[int] = set()
        self.seen: dict[str, list[int]] = {"a": [], "b": []}

    @rule(holder=st.sampled_from("ab"), count=st.integers(0, 5))
    def lease(self, holder: str, count: int) -> None:
        """Take some; nothing that is answered, and nothing twice."""
        ids = self.queue.lease(holder, count)
        assert len(ids) == len(set(ids)) <= count
        assert self.answered.isdisjoint(ids)
        self.seen[holder] += ids

    @rule(holder=st.sampled_from("ab"), count=st.integers(0, 4))
    def answer(self, holder: str, count: int) -> None:
        """Answer the oldest that this holder has ever had, late or not."""
        ids, self.seen[holder] = self.seen[holder][:count], self.seen[holder][count:]
        self.queue.complete(ids)
        self.answered.update(ids)

    @rule(holder=st.sampled_from("ab"), blame=st.booleans())
    def die(self, holder: str, blame: bool) -> None:
        """Lose all leases."""
        self.queue.release(holder, blame=self.seen[holder][0] if blame and self.seen[holder] else None)

    @rule(seconds=st.sampled_from([1.0, 6.0]))
    def pass_time(self, seconds: float) -> None:
        """Let leases grow old."""
        self.clock.now += seconds

    @rule(holder=st.sampled_from("ab"))
    def renew(self, holder: str) -> None:
        """Show a sign of life."""
        self.queue.renew(holder)

    @invariant()
    def nothing_is_lost(self) -> None:
        """What is not answered is still to be done."""
        assert len(self.queue) == 12 - len(self.answered)
        assert self.queue.finished == (len(self.answered) == 12)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=30)
