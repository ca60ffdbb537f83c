"""`holdfast run` as a process: what it refuses to touch, to believe, or to write over."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.test_run import holdfast, quotes, replay


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def last_hash(database: Path) -> str:
    conn = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        row = conn.execute("SELECT hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        return bytes(row[0]).hex()
    finally:
        conn.close()


# ------------------------------------------------------------------------ files it must not touch


def test_the_database_of_another_program_is_refused_and_keeps_every_byte(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    conn = sqlite3.connect(foreign)
    conn.execute("CREATE TABLE recipes (name)")
    conn.execute("INSERT INTO recipes VALUES ('bread')")
    conn.commit()
    conn.close()
    before = foreign.read_bytes()
    code, out, err = holdfast(tmp_path, "run", "--db", "foreign.db", "--for", "1s")

    assert (4, "") == (code, out), err
    assert 1 == len(err.strip().splitlines()), err
    assert "another program" in err
    assert "--db" in err
    assert before == foreign.read_bytes()
    for ending in ("-wal", "-shm", ".head", ".ballast"):
        assert not Path(f"{foreign}{ending}").exists()


@pytest.mark.parametrize("left", [None, b""], ids=["missing", "empty"])
@pytest.mark.parametrize("how", ["service", "replay"])
def test_a_head_without_its_journal_is_refused_and_no_new_journal_takes_its_place(
    tmp_path: Path, left: bytes | None, how: str
) -> None:
    quotes(tmp_path)
    head = json.dumps({"seq": 830, "hash": "ab" * 32})
    (tmp_path / "lost.db.head").write_text(head)
    if left is not None:
        (tmp_path / "lost.db").write_bytes(left)
    kind = ("--for", "1s") if how == "service" else ("--data", "quotes.csv", "--speed", "max")
    code, out, err = holdfast(tmp_path, "run", "--db", "lost.db", *kind)

    assert (3, "") == (code, out), err
    assert 1 == len(err.strip().splitlines()), err
    assert "830" in err
    assert head == (tmp_path / "lost.db.head").read_text()
    after = contents(tmp_path)
    assert left == after.get("lost.db")
    assert not {"lost.db-wal", "lost.db-shm", "lost.db.ballast"} & set(after)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--speed", "nan"), "--speed nan"),
        (("--speed", "inf"), "--speed inf"),
        (("--data", "quotes.csv", "--speed", "nan"), "--speed nan"),
        (("--speed", "5"), "--data"),
        (("--mode", "backtest"), "backtest"),
    ],
)
def test_a_speed_or_a_mode_that_means_nothing_is_refused_before_anything_is_written(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    quotes(tmp_path)
    before = contents(tmp_path)
    code, out, err = holdfast(tmp_path, "run", "--for", "1s", *arguments)

    assert (2, "") == (code, out), err
    assert 1 == len(err.strip().splitlines()), err
    assert words in err
    assert before == contents(tmp_path)


# --------------------------------------------------------------------- what it must not repeat


def test_the_summary_does_not_repeat_the_ok_of_the_session_before_when_the_venue_forgot(
    tmp_path: Path,
) -> None:
    quotes(tmp_path)
    first = replay(tmp_path)
    assert "ok" == first["truth"]
    assert first["fills"] > 0
    for path in tmp_path.glob("holdfast.db.venue*"):
        path.unlink()
    quotes(tmp_path, start_ms=1_700_000_100_000)
    code, out, _ = holdfast(
        tmp_path, "run", "--data", "quotes.csv", "--speed", "max", "--json", "--for", "1s"
    )
    second = json.loads(out)

    assert (1, "halt") == (code, second["truth"]), "a session that ends wrong does not end with 0"
    assert second["truth_deltas"]


# -------------------------------------------------------------------- what it must not write over


@pytest.mark.slow
def test_replays_of_one_file_with_settings_a_b_a_on_one_database_keep_all_three_journals(
    tmp_path: Path,
) -> None:
    """The session's id comes from input and seed: two settings gave two journals one name."""
    quotes(tmp_path)

    def run(latency_ms: str) -> dict[str, Any]:
        code, out, err = holdfast(
            tmp_path,
            *("run", "--data", "quotes.csv", "--speed", "max", "--json", "--db", "a.db"),
            HOLDFAST_VENUE__LATENCY_MS=latency_ms,
        )
        assert 0 == code, err
        document: dict[str, Any] = json.loads(out)
        return document

    first, second, third = run("20"), run("30"), run("20")
    assert first["session"] == second["session"], "otherwise this test shows nothing"
    assert first["journal"] == third["journal"] != second["journal"]

    kept = sorted(tmp_path.glob("a*.db"))
    assert 3 == len(kept)
    expected = [run["journal"]["hash"] for run in (first, second, third)]
    assert sorted(expected) == sorted(last_hash(path) for path in kept)
    for path in kept:
        assert json.loads(Path(f"{path}.head").read_text())["hash"] == last_hash(path)
        assert 0 == holdfast(tmp_path, "verify", "--db", path.name)[0]


@pytest.mark.slow
def test_replays_with_seeds_a_b_a_on_one_database_keep_all_three_journals(tmp_path: Path) -> None:
    quotes(tmp_path)
    runs = [replay(tmp_path, "--db", "a.db", "--seed", seed) for seed in ("1", "2", "1")]
    kept = sorted(tmp_path.glob("a*.db"))

    expected = [run["journal"]["hash"] for run in runs]
    assert sorted(expected) == sorted(last_hash(path) for path in kept)
    assert expected[0] == expected[2] != expected[1]
