"""Backups beside a real service: made while it trades, killed with it, and gone back to."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from storage.backup import examined
from storage.backup_folder import SCHEDULED, backups_in, default_folder
from storage.verify import verify
from tests.unit.cli.test_run import Process, finish, holdfast, start

PATIENCE_S = 60


def wait_for_backups(database: Path, count: int, service: Process) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(backups_in([default_folder(database)], database)) < count:
        assert service.poll() is None, service.communicate()
        assert time.monotonic() < deadline, "no backup was made"
        time.sleep(0.02)


@pytest.mark.slow
def test_backups_are_made_while_it_trades_and_each_is_a_place_to_go_back_to(
    tmp_path: Path,
) -> None:
    database = tmp_path / "holdfast.db"
    service = start(tmp_path, "run", "--for", "60s", HOLDFAST_BACKUP__INTERVAL_S="0.5")
    wait_for_backups(database, 3, service)
    code, out, err = holdfast(tmp_path, "backup", "mine.db", "--json")
    assert 0 == code, err
    assert json.loads(out)["venue_record"]
    code, out, err = holdfast(tmp_path, "status", "--json")
    told = json.loads(out)["journal"]["backup"]
    assert told["last_seq"] > 0
    assert told["failed"] is None
    refused, _, said = holdfast(tmp_path, "restore", "mine.db", "--confirm")
    assert 3 == refused
    assert "stop it first" in said
    service.kill()  # in the middle of a backup as often as not
    finish(service)
    made = backups_in([default_folder(database)], database)
    assert {SCHEDULED} == {kept.reason for kept in made}
    for kept in made:
        assert kept.seq == examined(kept.path).head.seq
        assert () == verify(kept.path).problems
    code, _, err = holdfast(tmp_path, "run", "--for", "2s")
    assert 0 == code, err
    for backup in (made[-1].path, tmp_path / "mine.db"):
        code, _, err = holdfast(tmp_path, "restore", str(backup), "--confirm")
        assert 0 == code, err
        code, out, err = holdfast(tmp_path, "run", "--for", "2s", "--json")
        assert 0 == code, err
        assert "ok" == json.loads(out)["truth"]
        assert () == verify(database).problems


@pytest.mark.slow
def test_a_venue_that_knows_more_than_the_restored_books_is_told(tmp_path: Path) -> None:
    """Nothing is adopted in silence: what cannot be explained is a divergence."""
    database = tmp_path / "holdfast.db"
    assert 0 == holdfast(tmp_path, "run", "--for", "3s")[0]
    assert 0 == holdfast(tmp_path, "backup", "early.db")[0]
    before = verify(tmp_path / "early.db").head_seq
    code, out, err = holdfast(tmp_path, "run", "--for", "5s", "--json")
    assert 0 == code, err
    assert json.loads(out)["fills"] > 0
    code, _, err = holdfast(tmp_path, "restore", "early.db", "--confirm", "--keep-venue")
    assert 0 == code, err
    code, out, err = holdfast(tmp_path, "run", "--for", "3s", "--json")
    summary = json.loads(out)
    assert "halt" == summary["truth"]
    assert code in (1, 3), err
    assert before < verify(database).head_seq


@pytest.mark.slow
def test_a_service_without_snapshots_and_backups_is_a_whole_one(tmp_path: Path) -> None:
    """Whoever has nothing to do beside the service has not died."""
    code, out, err = holdfast(
        tmp_path,
        "run", "--for", "12s",
        HOLDFAST_JOURNAL__SNAPSHOT_EVENTS="0",
        HOLDFAST_BACKUP__INTERVAL_S="0",
    )  # fmt: skip
    assert 0 == code, err
    assert "ended: duration_elapsed" in out
    assert "service/" not in err
    assert not default_folder(tmp_path / "holdfast.db").exists()
