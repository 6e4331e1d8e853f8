"""Which processes there are: what the tests ask of Linux's /proc, which changes while it is read."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess


def is_running(pid: int) -> bool:
    """Whether a process runs: one that has ended and that nobody has waited for (a zombie) does not."""
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def session_members(session: int) -> list[int]:
    """Return the ids of the live processes of a session (zombies are dead)."""
    listed = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]
    stats = ((pid, _stat(pid)) for pid in listed)
    return [pid for pid, fields in stats if fields and int(fields[3]) == session and fields[0] != "Z"]


def end_session(process: subprocess.Popen[str]) -> None:
    """Kill a spawned pytest with everything that it started in its session."""
    for pid in session_members(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _stat(pid: int) -> list[str]:
    """Return a process's fields behind its name (proc(5): state, parent, group, session, ...), or none if it ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not there, or (ESRCH) ended between opening and reading
        return []
    return text.rpartition(")")[2].split()
