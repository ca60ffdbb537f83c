"""One writer a database on this machine: an advisory lock that dies with its process.

A stale holder cannot be left behind, because the kernel drops the lock at any end, `kill -9`
included. What the file says of the holder is for people.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

_TRIES, _PAUSE_S = 10, 0.02


class DatabaseLock:
    """The lock beside a database; hold it for as long as the process writes."""

    def __init__(self, database: Path | str) -> None:
        self.path = Path(f"{database}.lock")
        self._fd: int | None = None

    def acquire(self, about: dict[str, Any] | None = None) -> bool:
        """Take the lock; False when another process holds it. Raises OSError on a bad path."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        for _ in range(_TRIES):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_PAUSE_S)  # somebody may only be looking who holds it (`holder`)
        else:
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.write(fd, json.dumps({"pid": os.getpid(), **(about or {})}).encode())
        self._fd = fd
        return True

    def holder(self) -> dict[str, Any] | None:
        """What the holder says of itself; None when nobody holds the lock."""
        try:
            fd = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            data = os.read(fd, 4096)
            try:
                found: dict[str, Any] = json.loads(data)
            except ValueError:
                found = {}
            return found
        else:
            return None
        finally:
            os.close(fd)

    def is_held(self) -> bool:
        """Whether the lock still is the file's: not when somebody removed or replaced it."""
        if self._fd is None:
            return False
        try:
            return os.fstat(self._fd).st_ino == os.stat(self.path).st_ino
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the lock up."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
