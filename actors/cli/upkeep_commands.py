"""`holdfast verify`, `rebuild` and `doctor`: is it whole, make it whole, is the machine fit."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from actors.cli.options import (
    CHECK_FAILED,
    DONE,
    HERE,
    REFUSED,
    UNAVAILABLE,
    CommandFailed,
    Json,
    Place,
)

if TYPE_CHECKING:
    from storage.verify import VerifyReport

_NEXT = {
    DONE: "everything holds",
    CHECK_FAILED: "tables or laws do not hold: run `holdfast rebuild`, then verify again",
    REFUSED: "the record is damaged",
}


def verify(*, json: Json = False, place: Place = HERE) -> int:
    """Hash chain, head, tables equal the journal, and the laws over the whole journal.

    Exit code 1 when tables or laws do not hold, 3 when the record itself is damaged.
    """
    from actors.cli import output
    from actors.cli.database import Damaged, best_way_out, open_database
    from storage.verify import nothing_readable
    from storage.verify import verify as check

    path = place.database()
    try:
        open_database(path).close()
        report = _with_snapshot(check(path), path)
    except Damaged as damage:
        report = nothing_readable(damage.problem)
    code = DONE if report.ok else REFUSED if _damaged(report, path) else CHECK_FAILED
    advice = best_way_out(place, path) if code == REFUSED else None
    if json:
        output.print_json(
            {
                "ok": report.ok,
                "damaged": code == REFUSED,
                "events": report.events,
                "head_seq": report.head_seq,
                "head_hash": report.head_hash,
                "problems": list(report.problems),
                "checks": report.checks,
                "way_out": advice,
            }
        )
        return code
    fields: list[tuple[str, object]] = [
        ("events", report.events),
        ("head", f"{report.head_seq} {report.head_hash}"),
    ]
    output.print_fields(f"{path}: {_NEXT[code]}", [*fields, *report.checks.items()])
    for problem in report.problems:
        print(f"  problem  {problem}")
    if advice:
        print(f"  way out  {advice}")
    return code


def _with_snapshot(report: VerifyReport, path: Path) -> VerifyReport:
    """The snapshot for the next start is checked too, where the journal itself holds."""
    from actors.fold import snapshot_difference
    from actors.snapshot import snapshot_seq
    from storage.journal import JournalReader

    if not report.ok or not snapshot_seq(path):
        return report
    reader = JournalReader.open(path)
    try:
        problem = snapshot_difference(reader, path)
    finally:
        reader.close()
    return evolve(
        report,
        checks={**report.checks, "snapshot": snapshot_seq(path)},
        problems=(*report.problems, *([problem] if problem else [])),
    )


def _damaged(report: VerifyReport, path: Path) -> bool:
    """The chain, the head, the pages, or capital that nobody can read: what no rebuild cures."""
    from storage.capital import UNREADABLE

    if any(UNREADABLE in problem for problem in report.problems):
        return True
    record = ("journal: ", "database file: ", "the database cannot be read", str(path))
    return any(problem.startswith(record) for problem in report.problems)


def rebuild(*, json: Json = False, place: Place = HERE) -> int:
    """Drop every table that is derived from the journal and fold it anew.

    Refused while a service holds the database, and when the journal is damaged or holds a capital
    event that cannot be read: the tables stay as they are then.
    """
    from actors.cli import output
    from actors.cli.database import best_way_out, open_intact
    from actors.lock import DatabaseLock
    from actors.opening import is_damage

    path = place.database()
    open_intact(path, place)
    lock = DatabaseLock(path)
    if not lock.acquire():
        holder = lock.holder() or {}
        who = ", ".join(f"{key} {value}" for key, value in holder.items())
        raise CommandFailed(
            f"{path}: a service holds it ({who or 'unknown'}); stop it first, or rebuild a copy",
            REFUSED,
        )
    try:
        document = _rebuild(path)
    except sqlite3.Error as problem:
        if is_damage(path, problem):
            raise CommandFailed(
                f"{path}: {problem}; {best_way_out(place, path)}", REFUSED
            ) from None
        raise CommandFailed(
            f"{path}: cannot be written: {problem}; look at its permissions and the disk",
            UNAVAILABLE,
        ) from problem
    finally:
        lock.release()
    if json:
        output.print_json(document)
    else:
        rows = document["rows"].items()
        output.print_fields(f"{path}: {document['events']} events folded", rows)
        capital = document["capital"]
        title = f"capital events after seq {capital['boundary']}: {capital['events']}"
        output.print_fields(title, capital["deltas"].items())
    return DONE


def _rebuild(path: Path) -> dict[str, Any]:
    from actors.fold import folded
    from actors.registry import Books
    from actors.runtime.ids import IdSource
    from actors.world import Rules, World
    from fsm.money import plain
    from storage.backup_folder import back_up_before_migration
    from storage.journal import JournalReader, check_head
    from storage.projections import ProjectionRefused
    from storage.projections import rebuild as fold_anew
    from storage.schema import PROJECTIONS, migrate
    from storage.writer import open_writing_connection

    reader = JournalReader.open(path)
    try:
        check_head(reader, path)
        # Whatever stops the fold stops it here, before a table is dropped.
        delta = folded(reader, Books(World(rules=Rules(), ids=IdSource("")), None)).capital
    finally:
        reader.close()
    back_up_before_migration(path)
    conn = open_writing_connection(path)
    try:
        migrate(conn, str(path))
        events = fold_anew(conn)
        counts = {
            table: conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in PROJECTIONS
        }
    except ProjectionRefused as problem:
        raise CommandFailed(
            f"{path}: the tables stop before an event that does not fit: {problem}; "
            "run `holdfast verify`",
            CHECK_FAILED,
        ) from problem
    finally:
        conn.close()
    capital = {
        "boundary": delta.boundary,
        "events": delta.events,
        "deltas": {asset: plain(amount) for asset, amount in delta.deltas.items()},
    }
    return {"database": str(path), "events": events, "rows": counts, "capital": capital}


def doctor(*, json: Json = False, place: Place = HERE) -> int:
    """Clock, disk, file system, SQLite, permissions, integrity, configuration, venue.

    Exit code 1 when a check fails; a warning does not fail.
    """
    from actors.cli import output
    from actors.doctor import examine

    checks = examine(place.db, place.config)
    failed = any(check.state == "fail" for check in checks)
    if json:
        output.print_json(
            {
                "ok": not failed,
                "checks": [
                    {"name": check.name, "state": check.state, "detail": check.detail}
                    for check in checks
                ],
            }
        )
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            print(f"{check.state:<4}  {check.name:<{width}}  {check.detail}")
    return CHECK_FAILED if failed else DONE
