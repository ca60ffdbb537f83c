"""What to do about a damaged or rolled-back database: which backup, and what it would cost.

Reads whole backups, so it is asked only when something is wrong.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import frozen

from fsm.timestamps import SECOND_US, iso_utc
from storage.backup import Examined
from storage.backup_folder import backups_in, best_backup
from storage.copying import pinned
from storage.journal import JournalDamaged, read_head
from storage.schema import SchemaTooNew

_UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))


@frozen
class _Present:
    """What can still be read of a database, and what is known to have been acknowledged."""

    last_seq: int = 0
    last_at_us: int = 0
    hashes: dict[int, str] | None = None


def way_out(database: Path, folders: Sequence[Path]) -> str:
    """One sentence: the best backup, what going back to it would lose, and the command.

    Never raises: what cannot be read is not told.
    """
    try:
        seqs = [kept.seq for kept in backups_in(folders, database)]
        present = _present(database, seqs)
        best = best_backup(folders, database, present.hashes)
    except OSError as problem:
        return f"its backups cannot be read ({problem}); keep a copy of the files"
    if best is None:
        looked = " and ".join(dict.fromkeys(map(str, folders)))
        count = f"none of the {len(seqs)} backups" if seqs else "there is no backup"
        end = "is whole" if seqs else "to restore"
        return f"{count} in {looked} {end}; keep a copy of the files, then run `holdfast verify`"
    return (
        f"the best backup is {best.path} ({_made(best)}, up to seq {best.head.seq:,}): "
        f"`holdfast restore {best.path} --db {database} --confirm` puts it in place and "
        f"{_lost(best, present)}"
    )


def _made(best: Examined) -> str:
    return f"made {best.manifest.made_at}" if best.manifest is not None else "of unknown date"


def _lost(best: Examined, present: _Present) -> str:
    if present.last_seq <= best.head.seq:
        return "loses nothing that can still be read"
    text = f"loses seq {best.head.seq + 1:,}..{present.last_seq:,}"
    span_us = present.last_at_us - best.last_at_us
    return f"{text} ({span(span_us)})" if span_us > 0 and present.last_at_us else text


def span(span_us: int) -> str:
    """`12 minutes`: a length of time as people say it."""
    seconds = span_us // SECOND_US
    for unit_s, name in _UNITS:
        if seconds >= 2 * unit_s or unit_s == 1:
            return f"{seconds // unit_s} {name}"
    raise AssertionError("unreachable: a second is the smallest unit")


def _present(database: Path, seqs: Iterable[int]) -> _Present:
    acknowledged = 0
    try:
        kept = read_head(database)
        acknowledged = kept.seq if kept is not None else 0
    except JournalDamaged:
        pass  # that may be what is wrong; the journal itself says how far it goes
    try:
        with pinned(database) as conn:
            row = conn.execute(
                "SELECT seq, at_us FROM journal ORDER BY seq DESC LIMIT 1"
            ).fetchone()
            found: dict[int, str] = {}
            for seq in seqs:
                held = conn.execute("SELECT hash FROM journal WHERE seq = ?", (seq,)).fetchone()
                if held is not None:
                    found[seq] = bytes(held[0]).hex()
    except (FileNotFoundError, JournalDamaged, SchemaTooNew, sqlite3.Error):
        return _Present(acknowledged)
    last, at_us = row if row is not None else (0, 0)
    return _Present(max(last, acknowledged), at_us, found)


def age(made_at_us: int, now_us: int) -> str:
    """How old a backup is, with its date."""
    return f"{span(max(now_us - made_at_us, 0))} old, of {iso_utc(made_at_us)}"
