"""The summary at the end of a session."""

from __future__ import annotations

from pytest_tinyml.report.terminal import _told_once


def test_the_same_words_of_several_tests_are_told_once() -> None:
    """A sample that failed fails every test that needs it; the reason stands there once, in the order of the first."""
    problems = [
        "test_samples[0]: #17 failed: pc 0",
        "test_room: too warm",
        "test_accuracy: #17 failed: pc 0",
        "incomplete: 3",
    ]
    expected = ["test_samples[0], test_accuracy: #17 failed: pc 0", "test_room: too warm", "incomplete: 3"]
    assert expected == _told_once(problems)
