"""One writer a database on this machine: an advisory lock that dies with its holders.

A stale holder cannot be left behind, because the kernel drops the lock at any end, `kill -9`
included. The engine's writer process holds it too: after a kill of the engine it commits what it
had been sent, and only then may somebody else write. What the file says of the holder is for
people.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from actors.runtime.clock import elapsed_s

WRITER_LEFT = (
    "the service that held it is gone, but its writer process still has the lock and does not "
    "finish (a disk that hangs?): end that process (storage.writer_process), then start again"
)
_PAUSE_S = 0.02
#: Somebody may only be looking who holds it (`holder`).
_LOOKING_S = 0.2
#: The holder is gone and its writer is at its last commits: milliseconds, unless the disk hangs.
_FINISHING_S = 10.0


def the_file(database: Path | str) -> Path:
    """The file that is meant, where a symbolic link was named.

    Lock, head, log and socket lie beside the file under its own name: under the link's they would
    be there twice, and two services could write to one database.
    """
    path = Path(database)
    return path.resolve() if path.is_symlink() else path


class DatabaseLock:
    """The lock beside a database; hold it for as long as the process writes."""

    def __init__(self, database: Path | str) -> None:
        self.path = Path(f"{the_file(database)}.lock")
        self._fd: int | None = None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open file whose last end gives the lock up: for a process that writes for us."""
        return () if self._fd is None else (self._fd,)

    def acquire(self, about: dict[str, Any] | None = None) -> bool:
        """Take the lock; False when another process holds it. Raises OSError on a bad path."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        started = elapsed_s()
        while not _taken(fd):
            patience_s = _FINISHING_S if _holder_is_gone(fd) else _LOOKING_S
            if elapsed_s() - started > patience_s:
                os.close(fd)
                return False
            time.sleep(_PAUSE_S)
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
            return _about(fd)
        else:
            return None
        finally:
            os.close(fd)

    def holder_is_gone(self) -> bool:
        """Whether the process that took the lock has ended, so that only its writer holds it."""
        try:
            fd = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return _holder_is_gone(fd)
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


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _about(fd: int) -> dict[str, Any]:
    """What the file says; empty when it says nothing that can be read."""
    try:
        found = json.loads(os.pread(fd, 4096, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _holder_is_gone(fd: int) -> bool:
    """Whether the process that took the lock has ended, so that only its writer still has it."""
    pid = _about(fd).get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
