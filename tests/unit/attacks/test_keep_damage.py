"""A damaged file: every command says so in one line, and none that all is well."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.backup_folder import default_folder
from tests.unit.cli.conftest import Hold, database, history, hold

__all__ = ["database", "history", "hold"]

READS = (
    ("status",),
    ("orders",),
    ("fills",),
    ("account",),
    ("sessions",),
    ("events",),
    ("capital", "show"),
)


def _overwritten(at: int, size: int) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        raw = bytearray(file.read_bytes())
        raw[at : at + size] = b"\0" * size
        file.write_bytes(raw)

    return damage


def _cut(size: int) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        with file.open("r+b") as opened:
            opened.truncate(size)

    return damage


WHOLLY_UNREADABLE = {
    "a broken magic number": _overwritten(4, 1),
    "a lost first page": _overwritten(100, 3_900),
    "cut after the first page": _cut(4_096),
    "cut in the first page": _cut(50),
    "cut to nothing": _cut(0),
}


def _a_row_changed(file: Path) -> None:
    conn = sqlite3.connect(file)
    conn.execute("UPDATE journal SET at_us = at_us + 1 WHERE seq = 9")
    conn.commit()
    conn.close()


@pytest.mark.parametrize("kind", WHOLLY_UNREADABLE)
def test_what_cannot_be_opened_any_more_is_damage_and_not_a_wrong_name(
    hold: Hold, database: Path, kind: str
) -> None:
    folder = default_folder(database)
    assert 0 == hold("backup", folder, "--db", database).code
    WHOLLY_UNREADABLE[kind](database)
    for command in READS:
        told = hold(*command, "--db", database)
        assert 3 == told.code, (command, told.err)
        assert "restore a backup" in told.error
    for command in (("backup", "b.db"), ("rebuild",)):
        told = hold(*command, "--db", database)
        assert 3 == told.code, (command, told.err)
        assert f"best backup is {folder}" in told.error
    report = hold("verify", "--db", database, "--json")
    assert 3 == report.code
    assert (True, 1) == (report.document["damaged"], len(report.document["problems"]))
    assert str(folder) in report.document["way_out"]


def test_the_doctor_looks_at_every_row_of_the_chain(hold: Hold, database: Path) -> None:
    assert 0 == hold("doctor", "--db", database).code
    _a_row_changed(database)
    told = hold("doctor", "--db", database)
    assert 1 == told.code
    assert "the hash chain breaks at seq" in told.out
    assert "way out" in told.out


def test_broken_pages_are_told_without_the_heading_of_sqlite(hold: Hold, database: Path) -> None:
    raw = bytearray(database.read_bytes())
    raw[54] = 2  # of the largest root page's number
    database.write_bytes(raw)
    for command in ("verify", "doctor"):
        told = hold(command, "--db", database)
        assert told.code
        assert "in database main" not in told.out
        assert "rootpage" in told.out, told.out


def test_a_file_that_never_was_ours_is_a_wrong_name(hold: Hold, tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear sir\n" * 100)
    for command in (*READS, ("verify",), ("backup", "b.db"), ("rebuild",)):
        assert 4 == hold(*command, "--db", letter).code
