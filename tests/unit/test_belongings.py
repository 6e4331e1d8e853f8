"""What the board contract looks at to say that a board left nothing behind."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from pytest_tinyml.contractsetup import Belongings

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc, and no such test")


def nothing() -> None:
    """End at once."""


def test_what_is_left_is_named(tmp_path: Path) -> None:
    """A thread, a child and an open file, each by what it is."""
    gc.collect()  # what an earlier test has forgotten to close is not to be closed meanwhile
    before = Belongings.now()
    assert before.more_than(before) == []
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait, name="forgotten")
    thread.start()
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        with (tmp_path / "file").open("w", encoding="utf-8"):
            after = Belongings.now()
    finally:
        go_on.set()
        thread.join()
        child.communicate(timeout=60)
    assert after.more_than(before) == [
        "thread 'forgotten'",
        f"child process {child.pid}",
        "2 file descriptors",  # the file's, and that of the pipe to the child
    ]


def test_a_second_thread_of_a_name_is_one_more() -> None:
    """Threads are counted, so that one cannot hide behind another of its name."""
    one = Belongings(3, Counter(worker=1), frozenset())
    two = Belongings(3, Counter(worker=2), frozenset())
    assert two.more_than(one) == ["thread 'worker'"]
    assert one.more_than(two) == []


def test_what_went_belonged_to_somebody_else() -> None:
    """A thread of an earlier test that ends late says nothing about the board."""
    before = Belongings(9, Counter(worker=1), frozenset({7}))
    assert Belongings(8, Counter(), frozenset()).more_than(before) == []


def test_threads_that_end_meanwhile() -> None:
    """The operating system's lists change while they are read."""
    before = Belongings.now()
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        for _ in range(200):
            threads = [threading.Thread(target=nothing) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert Belongings.now().children - before.children == {child.pid}
    finally:
        child.communicate(timeout=60)


def test_a_child_whose_thread_ended() -> None:
    """It is a child of the process all the same."""
    children: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        children.append(subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE))

    before = Belongings.now()
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    try:
        assert Belongings.now().children - before.children == {children[0].pid}
    finally:
        children[0].communicate(timeout=60)
