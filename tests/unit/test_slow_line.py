"""Single requests on a line where an answer takes longer than the repetition of its request."""

from __future__ import annotations

import pytest

from pytest_tinyml.links.session import Patience
from pytest_tinyml.records import Encoding
from pytest_tinyml.wire import MessageType
from tests.unit.simulated import SlowLink, fake_time, make_link, scores_of
from tests.unit.test_session import PIXELS, greeted


@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.7, 4.0])
def test_a_slow_answer_is_not_a_lost_one(seconds: float) -> None:
    """Answers that take longer than `resend_s` are waited for, taken, and not asked for twice (4 KB at 9,600 baud)."""
    end = make_link()
    slow = SlowLink(end, lambda kind: seconds if kind is MessageType.CANARY_RESULT else 0.01)
    patience = Patience(timeout_s=10.0, resend_s=1.0)
    with fake_time(end.clock):
        session = greeted(end, link=slow, patience=patience)
        for _ in range(10):
            assert session.canary(Encoding.PIXELS, 4, PIXELS).scores == scores_of(PIXELS)
    assert end.device.inferred == 10


def test_a_slow_greeting_is_not_a_lost_one() -> None:
    """An IDENTITY that takes longer than HELLO's repetition (600 B at 9,600 baud) greets all the same."""
    end = make_link()
    slow = SlowLink(end, lambda _: 0.65)
    with fake_time(end.clock):
        session = greeted(end, link=slow, patience=Patience(timeout_s=10.0, resend_s=1.0))
        assert end.clock.now - 1000.0 <= 1.0
        assert session.canary(Encoding.PIXELS, 4, PIXELS).scores == scores_of(PIXELS)
    assert slow.replies <= 4
