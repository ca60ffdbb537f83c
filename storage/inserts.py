"""Multi-row INSERTs in a few fixed sizes, and what a full disk looks like.

One statement of many rows keeps the interpreter lock once; `executemany` takes it a row (a busy
event loop beside it then slows it by two orders of magnitude).
"""

from __future__ import annotations

import errno
import sqlite3
from functools import cache

_ROWS_A_STATEMENT = (512, 128, 32, 8, 4, 2, 1)
_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def insert(
    conn: sqlite3.Connection, into: str, width: int, flat: list[object], verb: str = "INSERT"
) -> None:
    """Multi-row INSERTs in a few fixed sizes, so that their statements stay prepared."""
    start, total = 0, len(flat) // width
    for size in _ROWS_A_STATEMENT:
        while total - start >= size:
            sql = _statement(verb, into, width, size)
            conn.execute(sql, flat[start * width : (start + size) * width])
            start += size


@cache
def _statement(verb: str, into: str, width: int, size: int) -> str:
    values = ",".join(["(" + ",".join("?" * width) + ")"] * size)
    return f"{verb} INTO {into} VALUES {values}"


def disk_is_full(problem: BaseException) -> bool:
    """Whether giving space back may cure it."""
    if isinstance(problem, sqlite3.Error):
        return getattr(problem, "sqlite_errorname", "") in ("SQLITE_FULL", "SQLITE_IOERR_WRITE")
    return isinstance(problem, OSError) and problem.errno in _FULL_ERRNOS
