"""Looks at every page of a database in a process of its own, beside a running service.

`python -P -m storage.page_check DATABASE`: exit 0 when they hold together, 3 with one line on
standard error when not. Half a second for a million events.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

from storage.chain_check import DAMAGED
from storage.journal import JournalDamaged, connect_readonly

#: SQLite puts it above what it finds; it says nothing.
_HEADING = "*** in database"


def command(database: Path) -> list[str]:
    """What to run."""
    return [sys.executable, "-P", "-m", "storage.page_check", str(database)]


def broken_pages(conn: sqlite3.Connection, lines_max: int) -> list[str]:
    """What does not hold together, a line each; empty when all does. Raises sqlite3.Error."""
    found: list[str] = []
    for (told,) in conn.execute(f"PRAGMA quick_check({lines_max})"):
        found += [" ".join(line.split()) for line in told.splitlines() if _HEADING not in line]
    return [] if found == ["ok"] else found[:lines_max]


def check_pages(database: Path) -> None:
    """Raises JournalDamaged when pages do not hold together, and as `connect_readonly`."""
    conn = connect_readonly(database)
    try:
        lines = broken_pages(conn, 3)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as problem:
        lines = [str(problem)]
    finally:
        conn.close()
    if lines:
        raise JournalDamaged(f"{database}: {'; '.join(lines)}")


def main(arguments: list[str]) -> int:
    """Look, and say what is broken."""
    os.nice(5)
    try:
        check_pages(Path(arguments[0]))
    except JournalDamaged as damage:
        print(damage, file=sys.stderr)
        return DAMAGED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
