"""verify, rebuild, doctor and config."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from actors.doctor import file_system_of
from actors.lock import DatabaseLock
from storage.journal import head_path
from tests.unit.cli.conftest import Hold


def _write(database: Path, sql: str) -> None:
    conn = sqlite3.connect(database)
    conn.execute(sql)
    conn.commit()
    conn.close()


def test_a_whole_database_verifies(hold: Hold, history: Path) -> None:
    outcome = hold("verify", "--db", history, "--json")
    report = outcome.document
    assert 0 == outcome.code
    assert report["ok"] is True
    assert [] == report["problems"]
    assert report["events"] == report["head_seq"] == report["checks"]["chain"]
    assert "everything holds" in hold("verify", "--db", history).out


def test_a_table_that_lies_is_a_failed_check(hold: Hold, database: Path) -> None:
    _write(database, "UPDATE orders SET filled_qty = '999'")
    outcome = hold("verify", "--db", database, "--json")
    assert 1 == outcome.code
    assert "filled_qty" in outcome.document["problems"][0]
    assert 0 == hold("rebuild", "--db", database).code
    assert 0 == hold("verify", "--db", database).code


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE journal SET payload = replace(payload, 'buy', 'sell') WHERE type = 'OrderIntended'",
        "DELETE FROM journal WHERE seq = 10",
        "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)",
    ],
)
def test_a_damaged_record_is_refused(hold: Hold, database: Path, damage: str) -> None:
    _write(database, damage)
    outcome = hold("verify", "--db", database, "--json")
    assert 3 == outcome.code
    assert outcome.document["damaged"] is True
    refused = hold("rebuild", "--db", database)
    assert 3 == refused.code
    assert refused.error


def test_rebuild_counts_what_it_made(hold: Hold, database: Path) -> None:
    before = hold("orders", "--all", "--db", database, "--json").document
    _write(database, "DELETE FROM orders")
    document = hold("rebuild", "--db", database, "--json").document
    assert len(before) == document["rows"]["orders"]
    assert before == hold("orders", "--all", "--db", database, "--json").document


def test_rebuild_is_refused_while_a_service_holds_the_database(hold: Hold, database: Path) -> None:
    lock = DatabaseLock(database)
    assert lock.acquire({"who": "the service"})
    try:
        outcome = hold("rebuild", "--db", database)
    finally:
        lock.release()
    assert 3 == outcome.code
    assert "the service" in outcome.error
    assert 0 == hold("rebuild", "--db", database).code


def test_rebuild_of_what_cannot_be_locked_is_unavailable(hold: Hold, database: Path) -> None:
    lock = Path(f"{database}.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    outcome = hold("rebuild", "--db", database)
    assert 4 == outcome.code
    assert str(lock) in outcome.error


# ------------------------------------------------------------------------------------ doctor


def _states(hold: Hold, *tokens: object) -> tuple[int, dict[str, str]]:
    outcome = hold("doctor", *tokens, "--json")
    return outcome.code, {check["name"]: check["state"] for check in outcome.document["checks"]}


def test_the_doctor_looks_at_everything(hold: Hold, database: Path) -> None:
    code, states = _states(hold, "--db", database)
    names = "configuration python sqlite disk integrity schema head clock venue database file"
    assert {"file system", "open files", "folder"} < set(states)
    assert set(names.split()) - {"database", "file"} <= set(states)
    assert (1 if "fail" in states.values() else 0) == code
    assert "ok" == states["integrity"] == states["head"] == states["clock"]
    assert len(states) == len(hold("doctor", "--db", database).out.splitlines())


def test_the_doctor_fails_on_what_is_wrong(hold: Hold, database: Path) -> None:
    Path("holdfast.toml").write_text('[venue]\nsocket = "nowhere.sock"\n')
    database.chmod(0o666)
    head_path(database).write_text("nonsense")
    Path(f"{database}.sock").touch(0o644)
    code, states = _states(hold, "--db", database)
    failed = {name for name, state in states.items() if state == "fail"}
    assert 1 == code
    assert {"venue", "database file", "head", "control socket"} <= failed


@pytest.mark.parametrize("text", ["[risk]\nx = 1\n", "nonsense"])
def test_the_doctor_reports_a_broken_configuration(hold: Hold, text: str) -> None:
    Path("holdfast.toml").write_text(text)
    code, states = _states(hold)
    assert (1, "fail") == (code, states["configuration"])


@pytest.mark.parametrize("content", [b"garbage" * 1000, b""])
def test_the_doctor_survives_what_is_no_database(
    hold: Hold, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "x.db").write_bytes(content)
    assert "fail" == _states(hold, "--db", tmp_path / "x.db")[1]["database"]
    assert "fail" == _states(hold, "--db", tmp_path)[1]["database"]
    assert "ok" == _states(hold, "--db", tmp_path / "none.db")[1]["database"]


def test_the_deepest_mount_names_the_file_system() -> None:
    mounts = (
        "/dev/sda1 / ext4 rw 0 0\nserver:/x /srv/data nfs4 rw 0 0\n/dev/b /srv/da xfs rw 0 0\n"
        "//nas/a /mnt/my\\040share cifs rw 0 0\nbroken\n"
    )
    assert "nfs4" == file_system_of(Path("/srv/data/a"), mounts)
    assert "ext4" == file_system_of(Path("/srv/database"), mounts)
    assert "cifs" == file_system_of(Path("/mnt/my share"), mounts)


# ------------------------------------------------------------------------------------ config


def test_config_shows_values_and_sources(hold: Hold) -> None:
    Path("holdfast.toml").write_text('[risk]\nstop_pct = "7"\n')
    rows = {row["key"]: row for row in hold("config", "show", "--json").document}
    assert ("7", "holdfast.toml:2") == (
        rows["risk.stop_pct"]["value"],
        rows["risk.stop_pct"]["source"],
    )
    assert "default" == rows["engine.seed"]["source"]


def test_config_explains_a_key(hold: Hold) -> None:
    document = hold("config", "explain", "risk.stop_pct", "--json").document
    assert {"key", "value", "source", "about", "type", "default", "range"} <= set(document)
    assert "HOLDFAST_RISK__STOP_PCT" == document["environment"]


@pytest.mark.parametrize(
    "text",
    [
        '[strategies.momentumm]\ninstrument = "BTC/USDT"\n',
        '[strategies.momentum]\ninstrument = "BTC/USDT"\nfastest = "1"\n',
        "[risk]\nstop_pct = true\n",
    ],
)
def test_config_check_names_what_is_wrong(hold: Hold, text: str) -> None:
    Path("holdfast.toml").write_text(text)
    outcome = hold("config", "check")
    assert 2 == outcome.code
    assert "holdfast.toml:" in outcome.error


def test_config_check_passes_the_defaults(hold: Hold) -> None:
    assert hold("config", "check", "--json").document["ok"] is True
