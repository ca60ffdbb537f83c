"""Commands that read a database which an older version left: they show what the journal says."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from actors.cli import database
from actors.cli.main import main
from tests.unit.storage.test_schema import older_tables

COMMANDS = ("status", "orders", "positions", "fills", "account", "sessions", "guards")


@pytest.mark.parametrize("command", COMMANDS)
def test_its_tables_are_made_anew_in_a_copy_and_the_file_is_left_alone(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = older_tables(tmp_path / "old.db", 4)
    before = path.read_bytes()
    assert 0 == main([command, "--db", str(path), "--json"])
    json.loads(capsys.readouterr().out)
    assert 0 == main([command, "--db", str(path)])
    assert before == path.read_bytes()


def test_one_that_is_too_large_for_a_copy_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = older_tables(tmp_path / "old.db", 4)
    monkeypatch.setattr(database, "_COPY_BYTES_MAX", 0)
    assert 4 == main(["fills", "--db", str(path)])
    assert "holdfast rebuild" in capsys.readouterr().err


def test_a_rebuild_brings_it_up_to_date(tmp_path: Path) -> None:
    path = older_tables(tmp_path / "old.db", 4)
    assert 0 == main(["rebuild", "--db", str(path)])
    assert 0 == main(["verify", "--db", str(path)])
    conn = sqlite3.connect(path)
    (known,) = conn.execute("SELECT count(slippage_quote) FROM fills").fetchone()
    conn.close()
    assert known > 0
