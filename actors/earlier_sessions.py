"""What a database already holds, and whether a session at this time may follow it.

Time in a journal never goes back. A replay of older data therefore resumes a replay that was cut
off, follows one that ended before it, or takes the place of finished ones, which are set aside
under another name: nothing is lost, and the same command gives the same journal again.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from attrs import frozen

from storage.journal import JournalReader
from storage.schema import version_of

REPLAY_HOLDER = "replay"
_BESIDE = ("", "-wal", "-shm", ".head", ".spill", ".ballast", ".snapshot")
_CLOCK_BEHIND_MAX_US = 300 * 1_000_000


class TimeGoesBack(Exception):
    """A session may not be written before the time of what is there: says what to do instead."""


@frozen(slots=True)
class Earlier:
    """The sessions of a database: when the last event was, and how the last one ended."""

    last_at_us: int = 0
    last_session: str = ""
    clean: bool = True
    all_replays: bool = True

    @property
    def is_empty(self) -> bool:
        """Nothing was ever journaled."""
        return self.last_at_us == 0


def earlier_sessions(database: Path) -> Earlier:
    """Read it from the journal itself. A missing or empty database holds nothing."""
    if not database.exists() or database.stat().st_size == 0:
        return Earlier()
    reader = JournalReader.open(database)
    try:
        if version_of(reader.conn) == 0:
            return Earlier()
        last = reader.conn.execute("SELECT at_us FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        if last is None:
            return Earlier()
        rows = reader.conn.execute(
            "SELECT type, payload FROM journal WHERE stream GLOB 'session/*' ORDER BY seq"
        ).fetchall()
    finally:
        reader.close()
    events = [(kind, json.loads(payload)) for kind, payload in rows]
    started = [payload for kind, payload in events if kind == "SessionStarted"]
    return Earlier(
        last_at_us=last[0],
        last_session=started[-1]["session_id"] if started else "",
        clean=bool(events) and events[-1][0] == "SessionEnded" and bool(events[-1][1]["clean"]),
        all_replays=all(payload["holder"] == REPLAY_HOLDER for payload in started),
    )


def resume_point(database: Path, venue_record: Path, first_us: int) -> tuple[int, str]:
    """From which event time on a replay goes, and what to tell about it (empty: nothing).

    Raises TimeGoesBack when older data would follow newer records of a real-time session.
    """
    earlier = earlier_sessions(database)
    if earlier.is_empty or earlier.last_at_us <= first_us:
        return 0, ""
    if not earlier.all_replays:
        raise TimeGoesBack(
            f"{database}: holds sessions that are younger than the data; replay it into a database "
            "of its own with --db"
        )
    if not earlier.clean:
        return earlier.last_at_us, f"{database}: goes on where the last replay was cut off"
    aside = _free_name(database, earlier.last_session)
    _fold_wal_in(database)
    # The database itself goes last: a kill in between finds it finished, and goes on from there.
    for ending in (*_BESIDE[1:], ""):
        _rename(Path(f"{venue_record}{ending}"), Path(f"{aside}.venue{ending}"))
        _rename(Path(f"{database}{ending}"), Path(f"{aside}{ending}"))
    return 0, f"the finished replay is kept as {aside}"


def _free_name(database: Path, session: str) -> Path:
    """Same input and seed give the same session id: what is kept already is never replaced."""
    number, aside = 1, database.with_name(f"{database.stem}-{session}{database.suffix}")
    while aside.exists():
        number += 1
        aside = database.with_name(f"{database.stem}-{session}-{number}{database.suffix}")
    return aside


def _fold_wal_in(database: Path) -> None:
    """Nothing of a finished journal stays in a second file while it is renamed."""
    conn = sqlite3.connect(database)
    try:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        conn.close()


def _rename(source: Path, target: Path) -> None:
    if source.exists():
        source.rename(target)


def clock_floor_us(database: Path, wall_us: int) -> int:
    """The earliest time a real-time session may begin at, where the wall clock is a little behind
    the journal. Raises TimeGoesBack when it is behind by minutes."""
    last_us = earlier_sessions(database).last_at_us
    if last_us - wall_us > _CLOCK_BEHIND_MAX_US:
        raise TimeGoesBack(
            f"{database}: its last event is {(last_us - wall_us) // 1_000_000} s ahead of this "
            "machine's clock; set the clock, or name another database with --db"
        )
    return last_us
