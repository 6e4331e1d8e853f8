"""The stream of batches on lossy links in memory: whatever is lost, damaged or repeated, no result is wrong."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_tinyml.errors import BoardError, WireError
from pytest_tinyml.links.damage import DAMAGES, DamagedLink, at_frames
from tests.unit.simulated import LOSSY, SimulatedLink, make_link, make_work, right_scores, stream

if TYPE_CHECKING:
    from collections.abc import Callable


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    rates=st.tuples(st.sampled_from([0.0, 0.02, 0.2, 0.6]), st.sampled_from([0.0, 0.02, 0.2, 0.6])),
    window=st.sampled_from([(64, 128), (128, 256), (200, 1000)]),
    chunk=st.sampled_from([1, 13, 64, 1000]),
    each=st.booleans(),
    packed=st.booleans(),
)
def test_no_noise_makes_a_wrong_result(
    seed: int, rates: tuple[float, float], window: tuple[int, int], chunk: int, each: bool, packed: bool
) -> None:
    """Whatever is lost, damaged or repeated: right scores or a bounded error, and never more than the window."""
    noise = random.Random(seed)  # noqa: S311 - a reproducible one

    def damage(rate: float) -> Callable[[int, bytes], bytes]:
        def change(number: int, frame: bytes) -> bytes:
            if number == 1 or noise.random() >= rate:
                return frame
            return noise.choice(list(DAMAGES.values()))(frame)

        return change

    end, work = make_link(max_frame=window[0], rx_window=window[1]), make_work(60)
    end.chunk, end.packed = chunk, packed
    link = DamagedLink(end, to_board=damage(rates[0]), from_board=damage(rates[1]))
    with mock.patch("pytest_tinyml.boards.device._RESULT_S", -1.0 if each else 1.0):
        try:
            stream(end, work, link=link, patience=replace(LOSSY, timeout_s=10.0))
        except (BoardError, WireError):
            pass
        else:
            assert sorted(work.scores) == list(range(60))
    expected = right_scores(60)
    assert work.scores == {k: expected[k] for k in work.scores}
    assert [row for k, row in work.repeats if row != expected[k]] == []
    if not rates[0]:
        assert end.overruns == 0


@settings(max_examples=40)
@given(
    to_board=st.frozensets(st.integers(4, 30), max_size=3),
    from_board=st.frozensets(st.integers(4, 30), max_size=3),
    damages=st.tuples(*2 * [st.sampled_from(sorted(set(DAMAGES) - {"repeat"}))]),
    each=st.booleans(),
)
def test_a_few_losses_are_made_good(
    to_board: frozenset[int], from_board: frozenset[int], damages: tuple[str, str], each: bool
) -> None:
    """A few damaged frames in the middle cost time and nothing else, and the window is kept meanwhile."""
    end, work = make_link(max_frame=64, rx_window=150), make_work(120)
    link = DamagedLink(
        end, to_board=at_frames(DAMAGES[damages[0]], to_board), from_board=at_frames(DAMAGES[damages[1]], from_board)
    )
    with mock.patch("pytest_tinyml.boards.device._RESULT_S", -1.0 if each else 1.0):
        stream(end, work, link=link)
    assert work.scores == right_scores(120)
    # A frame that lost its end stays in the receiver until the next one ends; the host cannot know.
    assert end.overruns == 0 or (damages[0] == "merge" and to_board)


class NoisyLink:
    """A link whose bytes are flipped, dropped and doubled in both directions, after the greeting."""

    name = "noisy"

    def __init__(self, inner: SimulatedLink, seed: int, rate: float) -> None:
        """Let `rate` of the bytes be spoilt."""
        self.packed = inner.packed
        self._inner, self._rate, self._noise = inner, rate, random.Random(seed)  # noqa: S311 - a reproducible one
        self._queued = b""
        self._quiet = 400

    def _spoil(self, data: bytes) -> bytes:
        cells = []
        for byte in data:
            if self._quiet > 0 or self._noise.random() >= self._rate:
                cells.append(bytes((byte,)))
            else:
                cells.append(
                    self._noise.choice((b"", bytes((byte, byte)), bytes((byte ^ 1 << self._noise.randrange(8),))))
                )
            self._quiet -= 1
        return b"".join(cells)

    def exchange(self, out: memoryview, timeout_s: float) -> tuple[int, bytes]:
        """See `Link.exchange`."""
        self._queued += self._spoil(bytes(out))
        sent, received = self._inner.exchange(memoryview(self._queued), timeout_s)
        self._queued = self._queued[sent:]
        return len(out), self._spoil(received)

    def close(self) -> None:
        """See `Link.close`."""
        self._inner.close()


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    rate=st.sampled_from([1e-4, 1e-3, 5e-3]),
    window=st.sampled_from([(64, 128), (200, 1000), (2000, 8000)]),
    chunk=st.sampled_from([13, 64, 1000]),
    packed=st.booleans(),
)
def test_spoilt_bytes_are_made_good(seed: int, rate: float, window: tuple[int, int], chunk: int, packed: bool) -> None:
    """Bytes that are flipped, dropped or doubled cost time: every sample is answered, and rightly."""
    end, work = make_link(max_frame=window[0], rx_window=window[1]), make_work(400)
    end.chunk, end.packed = chunk, packed
    stream(end, work, link=NoisyLink(end, seed, rate))
    expected = right_scores(400)
    assert work.scores == expected
    assert [row for k, row in work.repeats if row != expected[k]] == []


@pytest.mark.parametrize(("lost", "told"), [(5, 10), (60, 41)])
def test_many_losses_are_counted_instead_of_described(lost: int, told: int) -> None:
    """Twenty complaints and twenty repetitions are described; behind that, one note says how many there were."""
    end, work = make_link(max_frame=64, rx_window=150), make_work(600)
    numbers = frozenset(range(10, 10 + 2 * lost, 2))
    stream(end, work, link=DamagedLink(end, to_board=at_frames(DAMAGES["corrupt"], numbers)))
    assert work.scores == right_scores(600)
    assert len(work.notes) == told
    assert [text for kind, text in work.notes if kind == "losses"] == (
        [f"{lost} damaged frames and {lost} requests sent again in all"] if lost > 20 else []
    )
