"""Runs a program, and ends it when whoever asked for it is gone: ``keeper.py CONTROL FDS COMMAND...``.

A program that computes for ever, as an emulator does whose firmware hangs, does not notice that its parent has died.
This one waits for both: the end of the program, whose end it then repeats, and the end of file on CONTROL, the reading
end of a pipe of which the parent alone has the writing end. FDS are the descriptors that are for the program alone,
separated by commas. (Linux's PR_SET_PDEATHSIG is no way: it fires when the *thread* that forked ends.)

Started with ``python -I -S``, so that it is there in hundredths of a second: imports stay few.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys

ENDED_IT = 121
"""The exit status that says that the program had to be ended; how it ended by itself is never lost by that."""


def keep(control: int, fds: list[int], command: list[str]) -> int:
    """Run `command` and return its exit status as `os.waitstatus_to_exitcode` says it, or `ENDED_IT`."""
    os.set_inheritable(control, False)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # an emulator that aborts shall not fill the disk
    pid = os.fork()
    if pid == 0:
        try:
            os.execvp(command[0], command)  # noqa: S606 - an argument list, no shell
        except OSError as error:
            os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(127)
    for fd in fds:
        # The line ends with the program, not with us.
        os.close(fd)
    child = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(child, select.POLLIN)
    ended = child in dict(poll.poll())
    if not ended:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return ENDED_IT if code == -signal.SIGKILL and not ended else code


if __name__ == "__main__":
    given = [int(fd) for fd in sys.argv[2].split(",") if fd]
    status = keep(int(sys.argv[1]), given, sys.argv[3:])
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status not in {signal.SIGKILL, signal.SIGSTOP} else None
        os.kill(os.getpid(), -status)
    sys.exit(status)
