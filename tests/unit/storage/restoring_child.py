"""Run by test_restore.py: makes a backup or restores one, and is killed at its nth step.

A step is a call that changes what a folder or a disk holds: `kill -9` comes before the call, or
right after it. A line on standard input is one attempt, in a process of its own; the line that
answers is its exit code, where 0 means that there were fewer steps than that.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage.backup import examined, make_backup
from storage.restore import restore

_STEPS = ("rename", "replace", "fsync", "fdatasync", "unlink", "link", "open")


def dies_at(last: int) -> None:
    """End this process at so many steps; odd ones die before the call, even ones after it."""
    count = 0

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **how: Any) -> Any:
            nonlocal count
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(*args, **how)
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return step

    for name in _STEPS:
        setattr(os, name, counting(getattr(os, name)))


def attempt(what: str, source: str, target: str, last: str) -> None:
    """`backup DATABASE FILE N` or `restore FILE DATABASE N`; the venue's record goes with both."""
    dies_at(int(last))
    if what == "backup":
        venue = Path(f"{source}.venue")
        make_backup(Path(source), Path(target), reason="scheduled", venue=venue)
    else:
        restore(examined(Path(source)), Path(target), Path(f"{target}.venue"))


def main() -> None:
    """Until standard input ends; a fork costs less than a start."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            attempt(*line.split())
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
