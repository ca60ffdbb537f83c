"""What is looked at before a database is opened for trading, and how what is wrong is told.

Every way in which that fails is one line with its exit code; damage comes with the way out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger

from actors.damage import way_out
from actors.earlier_sessions import TimeGoesBack
from actors.upkeep import PAGES_AT_ONCE_BYTES_MAX
from storage import page_check
from storage.backup import BackupFailed
from storage.capital import CapitalUnreadable
from storage.journal import (
    JournalDamaged,
    check_before_writing,
    read_head,
    restore_marker,
)
from storage.restore import finish_restore
from storage.schema import ForeignDatabase, SchemaTooNew

T = TypeVar("T")


class LaunchError(Exception):
    """A run that cannot begin: one line, and its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class AlreadyRunning(LaunchError):
    """Another process writes to the database; this one may only observe."""

    def __init__(self, holder: Mapping[str, Any]) -> None:
        self.holder = holder
        super().__init__(f"process {holder.get('pid', '?')} runs on this database", 0)


def opened(database: Path, folders: Sequence[Path], open_: Callable[[], T]) -> T:
    """Do something with a database. Raises LaunchError for whatever is wrong with it."""
    try:
        return open_()
    except (TimeGoesBack, SchemaTooNew, CapitalUnreadable) as problem:
        raise LaunchError(str(problem), 3) from problem
    except JournalDamaged as problem:
        raise damaged(database, folders, problem) from problem
    except (ForeignDatabase, BackupFailed) as problem:
        raise LaunchError(str(problem), 4) from problem
    except (sqlite3.Error, OSError) as problem:
        if is_damage(database, problem):
            raise damaged(database, folders, problem) from problem
        raise LaunchError(
            f"{database}: cannot be opened ({problem}); name another place with --db, or run "
            "`holdfast doctor`",
            4,
        ) from problem


def is_damage(database: Path, problem: BaseException) -> bool:
    """Whether SQLite says that a file of ours is broken; it says the same of what never was one."""
    if not isinstance(problem, sqlite3.DatabaseError):
        return False
    if "malformed" in str(problem):
        return True
    try:
        kept = read_head(database)
    except JournalDamaged:
        return True
    return "not a database" in str(problem) and kept is not None and kept.seq > 0


def damaged(database: Path, folders: Sequence[Path], problem: BaseException) -> LaunchError:
    """Which file, what is wrong, which backup to restore, and what that would lose."""
    text = str(problem)
    if not text.startswith(str(database)):
        text = f"{database}: {text}"
    return LaunchError(f"{text}; {way_out(database, folders)}", 3)


def finish_what_was_begun(database: Path) -> bool:
    """Finish a restore that was cut off; the caller holds the lock. Raises as `finish_restore`."""
    done = finish_restore(database)
    if done:
        logger.warning("RESTORE_FINISHED {}: a restore that was cut off is complete", database)
    return done


def restore_is_pending(database: Path) -> bool:
    """Whether a restore was cut off here."""
    return restore_marker(database).exists()


def check_pages(database: Path) -> None:
    """The integrity gate of a start (N03), for a file that is not too large to wait for.

    Raises JournalDamaged.
    """
    check_before_writing(database)
    if database.exists() and 0 < database.stat().st_size <= PAGES_AT_ONCE_BYTES_MAX:
        page_check.check_pages(database)
