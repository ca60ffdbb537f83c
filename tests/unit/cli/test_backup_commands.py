"""backup and restore, as a person and a script use them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import attrs
import pytest

from actors.lock import DatabaseLock
from storage.backup_folder import backups_in, default_folder
from storage.journal import head_path, restore_marker
from storage.restore import staged
from storage.schema import SCHEMA_VERSION
from storage.writer import JournalWriter
from tests.unit.cli.conftest import Hold
from tests.unit.storage.stories import batches
from tests.unit.storage.test_writer import alerts

READS = ("status", "orders", "positions", "fills", "account", "sessions", "guards", "verify")


def _write(database: Path, sql: str) -> None:
    conn = sqlite3.connect(database)
    conn.execute(sql)
    conn.commit()
    conn.close()


def grown(database: Path) -> None:
    """Something happens after the backup."""
    writer = JournalWriter(database)
    (batch,) = batches([alerts(5)], writer.head.seq, writer.head.turn)
    writer.commit([attrs.evolve(batch, at_us=batch.at_us + 10**12)])
    writer.project_all()
    writer.close()


def test_a_backup_is_made_and_read_by_every_command(
    hold: Hold, database: Path, tmp_path: Path
) -> None:
    made = hold("backup", tmp_path / "b.db", "--db", database, "--json")
    assert 0 == made.code
    document = made.document
    head = json.loads(head_path(database).read_text())
    assert (head["seq"], head["hash"]) == (document["seq"], document["hash"])
    assert (str(tmp_path / "b.db"), "manual") == (document["file"], document["reason"])
    for command in READS:
        read = hold(command, "--db", document["file"], "--json")
        assert (0, "") == (read.code, read.err), command
    assert hold("account", "--db", database).out == hold("account", "--db", document["file"]).out


def test_a_backup_into_a_folder_is_named_by_time_and_seq(
    hold: Hold, database: Path, tmp_path: Path
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for folder in (shelf, default_folder(database)):  # the latter is made
        made = hold("backup", folder, "--db", database, "--json").document
        (found,) = backups_in([folder], database)
        assert (made["seq"], "manual") == (found.seq, found.reason)
    status = hold("status", "--db", database, "--json").document["journal"]["backup"]
    assert (made["seq"], str(default_folder(database)), None) == (
        status["last_seq"],
        status["folder"],
        status["failed"],
    )
    assert f"up to seq {made['seq']}" in hold("status", "--db", database).out


def test_what_backup_refuses(hold: Hold, database: Path, tmp_path: Path) -> None:
    before = database.read_bytes()
    taken = tmp_path / "taken"
    taken.write_text("mine")
    link = tmp_path / "link.db"
    link.symlink_to(database)
    foreign = tmp_path / "foreign.db"
    _write(foreign, "CREATE TABLE recipes (a)")
    newer = tmp_path / "newer.db"
    newer.write_bytes(before)
    _write(newer, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    broken = tmp_path / "broken.db"
    broken.write_bytes(before)
    _write(broken, "UPDATE journal SET at_us = at_us + 1 WHERE seq = 9")
    free = tmp_path / "free.db"
    for code, source, target, says in (
        (3, database, taken, "is not replaced"),
        (2, database, database, "the database itself"),
        (2, database, link, "the database itself"),
        (2, database, head_path(database), "the database itself"),
        (4, database, tmp_path / "none" / "b.db", "no such folder"),
        (4, tmp_path / "none.db", free, "no such database"),
        (4, foreign, free, "not a holdfast database"),
        (3, newer, free, "newer holdfast"),
        (3, broken, free, "seq 9; there is no backup in"),
    ):
        outcome = hold("backup", target, "--db", source)
        assert (code, True) == (outcome.code, says in outcome.error), outcome.err
    assert "mine" == taken.read_text()
    assert before == database.read_bytes()
    assert not free.exists()


def test_a_broken_configuration_does_not_keep_from_a_backup(
    hold: Hold, database: Path, tmp_path: Path
) -> None:
    Path("holdfast.toml").write_text("nonsense")
    made = hold("backup", tmp_path / "b.db", "--db", database, "--json")
    assert 0 == made.code
    assert "defaults" in made.err
    assert (
        2 == hold("backup", tmp_path / "c.db", "--db", database, "--config", "holdfast.toml").code
    )


# ----------------------------------------------------------------------------------------- restore


@pytest.fixture
def kept(hold: Hold, database: Path, tmp_path: Path) -> Path:
    """A backup of a database that went on after it."""
    kept = tmp_path / "kept.db"
    assert 0 == hold("backup", kept, "--db", database).code
    grown(database)
    return kept


def test_without_confirm_nothing_happens_but_an_answer(
    hold: Hold, database: Path, kept: Path
) -> None:
    files = {path: path.read_bytes() for path in database.parent.iterdir() if path.is_file()}
    outcome = hold("restore", kept, "--db", database, "--json")
    assert 3 == outcome.code
    document = outcome.document
    assert document["restored"] is False
    assert document["source"]["seq"] + 1 == document["would_lose"]["from_seq"]
    assert document["source"]["seq"] + 5 == document["would_lose"]["to_seq"]
    assert document["would_lose"]["from_at"] <= document["would_lose"]["to_at"]
    lines = hold("restore", kept, "--db", database)
    assert 3 == lines.code
    assert "Would be lost" in lines.out
    assert "--confirm" in lines.err
    for path, content in files.items():
        assert path.suffix == ".lock" or content == path.read_bytes(), path


def test_with_confirm_the_backup_is_in_place_and_the_rest_is_kept(
    hold: Hold, database: Path, kept: Path
) -> None:
    document = hold("restore", kept, "--db", database, "--confirm", "--json").document
    assert document["restored"] is True
    verified = hold("verify", "--db", database, "--json").document
    assert (True, document["source"]["seq"]) == (verified["ok"], verified["head_seq"])
    before = hold("verify", "--db", document["kept_as"], "--json").document
    assert (True, document["source"]["seq"] + 5) == (before["ok"], before["head_seq"])
    back = hold("restore", document["kept_as"], "--db", database, "--confirm")
    assert 0 == back.code
    assert "restored up to seq" in back.out


def test_a_new_place_needs_no_confirmation(hold: Hold, kept: Path, tmp_path: Path) -> None:
    outcome = hold("restore", kept, "--db", tmp_path / "new.db", "--json")
    assert (0, None) == (outcome.code, outcome.document["would_lose"])
    assert 0 == hold("verify", "--db", tmp_path / "new.db").code
    head_only = tmp_path / "lost.db"
    head_path(head_only).write_bytes(head_path(kept).read_bytes())
    assert 3 == hold("restore", kept, "--db", head_only).code
    assert 0 == hold("restore", kept, "--db", head_only, "--confirm").code


def test_what_restore_refuses(hold: Hold, database: Path, kept: Path, tmp_path: Path) -> None:
    before = database.read_bytes()
    newer = tmp_path / "newer.db"
    newer.write_bytes(before)
    _write(newer, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    broken = tmp_path / "broken.db"
    broken.write_bytes(kept.read_bytes())
    _write(broken, "DELETE FROM journal WHERE seq > 50")
    for code, source, says in (
        (4, tmp_path / "none.db", "no such database"),
        (4, tmp_path, "a directory"),
        (3, newer, "newer holdfast"),
        (3, broken, "which it does not hold"),
        (2, database, "the database itself"),
    ):
        outcome = hold("restore", source, "--db", database, "--confirm")
        assert (code, True) == (outcome.code, says in outcome.error), outcome.err
    assert 2 == hold("restore", "--db", database).code
    assert before == database.read_bytes()


def test_restore_is_refused_while_a_service_holds_the_database(
    hold: Hold, database: Path, kept: Path
) -> None:
    lock = DatabaseLock(database)
    assert lock.acquire({"who": "the service"})
    try:
        outcome = hold("restore", kept, "--db", database, "--confirm")
    finally:
        lock.release()
    assert 3 == outcome.code
    assert "stop it first" in outcome.error
    assert 0 == hold("restore", kept, "--db", database, "--confirm").code


def test_a_restore_that_was_cut_off_is_told_and_finished(
    hold: Hold, database: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(database: Path) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        nothing = [lambda database: False] * 2  # is one pending? asked before anything is done
        calls = iter([*nothing, killed])
        patch.setattr("storage.restore.finish_restore", lambda database: next(calls)(database))
        assert 130 == hold("restore", kept, "--db", database, "--confirm").code
    assert restore_marker(database).exists()
    assert staged(database).exists()
    for command in READS:
        refused = hold(command, "--db", database)
        assert 3 == refused.code
        assert "a restore was cut off" in refused.error
    assert 1 == hold("doctor", "--db", database).code
    assert 0 == hold("restore", "--db", database).code
    assert 0 == hold("verify", "--db", database).code


# ------------------------------------------------------------------------------------- the way out


def test_verify_and_doctor_name_the_best_backup_and_what_it_costs(
    hold: Hold, database: Path
) -> None:
    made = hold("backup", default_folder(database), "--db", database, "--json").document
    grown(database)
    _write(database, "UPDATE journal SET payload = replace(payload, 'N', 'M') WHERE seq > 100")
    outcome = hold("verify", "--db", database, "--json")
    assert 3 == outcome.code
    way_out = outcome.document["way_out"]
    command = f"holdfast restore {made['file']} --db {database} --confirm"
    assert command in way_out
    assert made["made_at"] in way_out
    assert f"seq {made['seq'] + 1:,}..{made['seq'] + 5:,}" in way_out
    head_path(database).write_text("nonsense")
    checks = {c["name"]: c for c in hold("doctor", "--db", database, "--json").document["checks"]}
    assert command in checks["way out"]["detail"]
    assert 0 == hold(*command.split()[1:]).code
    assert 0 == hold("verify", "--db", database).code


def test_without_a_backup_that_is_said(hold: Hold, database: Path) -> None:
    _write(database, "DELETE FROM journal WHERE seq = 10")
    assert "there is no backup in" in hold("verify", "--db", database).out


def test_the_doctor_tells_how_old_the_newest_is(hold: Hold, database: Path) -> None:
    def line(name: str) -> tuple[str, str]:
        checks = hold("doctor", "--db", database, "--json").document["checks"]
        (found,) = [check for check in checks if check["name"] == name]
        return found["state"], found["detail"]

    assert "warn" == line("backups")[0]
    folder = default_folder(database)
    made = Path(hold("backup", folder, "--db", database, "--json").document["file"])
    state, detail = line("backups")
    assert "ok" == state
    assert "seconds old" in detail
    state, detail = line("backup disk")
    assert "warn" == state
    assert "own disk" in detail
    stamp = made.name.split("-")[1]
    made.rename(made.with_name(made.name.replace(stamp, "20200101T000000Z")))
    state, detail = line("backups")
    assert "warn" == state
    assert "days old" in detail
