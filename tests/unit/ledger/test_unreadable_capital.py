"""A capital event that nobody can read stops everything that would go on without it (L8, N06)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from fsm import events as ev
from fsm.vocabulary import Side
from storage.capital import CapitalUnreadable
from storage.writer import JournalWriter
from tests.unit.cli.conftest import Hold, hold  # noqa: F401
from tests.unit.ledger.rigs import D, rebuilt
from tests.unit.storage.stories import Story, write

BAD = {
    "no price": (
        ev.CapitalRecorded(kind="deposit", asset="XRP", amount=D(10)),
        "deposit of 10 XRP has no price",
    ),
    "a price of zero": (
        ev.CapitalRecorded(kind="withdrawal", asset="XRP", amount=D(-10), price=D(0)),
        "withdrawal of -10 XRP has no price",
    ),
    "a realignment without a price": (
        ev.CapitalRecorded(kind="realignment", asset="FET", amount=D(-1)),
        "realignment of -1 FET has no price",
    ),
    "an unknown kind": (
        ev.CapitalRecorded(kind="gift", asset="RLUSD", amount=D(10)),
        "unknown kind 'gift'",
    ),
    "no asset": (
        ev.CapitalRecorded(kind="deposit", asset="", amount=D(10)),
        "deposit of 10 ''",
    ),
    "no amount": (
        ev.CapitalRecorded(kind="deposit", asset="RLUSD", amount=D("NaN")),
        "deposit of NaN 'RLUSD'",
    ),
}
EVENTS = pytest.mark.parametrize("name", BAD)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Opening balances and a fill; the tables are caught up."""
    path = tmp_path / "crafted.db"
    story = Story.begun(RLUSD="100", XRP="50")
    story.working("A", Side.BUY, "10", price="1.3")
    story.fill("A", "10", "1.3", fee="0.1")
    _write(path, story)
    return path


def _write(path: Path, story: Story) -> None:
    writer = JournalWriter(path)
    write(writer, story.turns)
    writer.project_all()
    writer.close()


def crafted(database: Path, name: str) -> str:
    """The bad event as the last one; its seq."""
    story = Story()
    story.tell(BAD[name][0])
    _write(database, story)
    with sqlite3.connect(database) as conn:
        seq: int = conn.execute("SELECT max(seq) FROM journal").fetchone()[0]
    conn.close()
    return f"seq {seq}"


@EVENTS
def test_the_fold_stops_at_it_and_says_what_is_missing(database: Path, name: str) -> None:
    seq = crafted(database, name)
    with pytest.raises(CapitalUnreadable) as stopped:
        rebuilt(database)
    assert str(stopped.value).startswith(f"{seq}: ")
    assert BAD[name][1] in str(stopped.value)


@EVENTS
@pytest.mark.parametrize(
    "command",
    [("status",), ("account",), ("rebuild",), ("capital", "deposit", "RLUSD", "5", "--dry-run")],
    ids=" ".join,
)
def test_every_command_that_folds_says_so_in_one_line(
    hold: Hold,  # noqa: F811
    database: Path,
    name: str,
    command: tuple[str, ...],
) -> None:
    seq = crafted(database, name)
    outcome = hold(*command, "--db", database)
    assert 3 == outcome.code
    assert seq in outcome.error
    assert BAD[name][1] in outcome.error


def test_a_run_does_not_start_on_it(hold: Hold, database: Path) -> None:  # noqa: F811
    seq = crafted(database, "no price")
    outcome = hold("run", "--db", database, "--for", "1s", "--speed", "max")
    assert 3 == outcome.code
    assert f"{seq}: capital event cannot be read: deposit of 10 XRP has no price" in outcome.error


def test_a_rebuild_leaves_the_tables_as_they_are(hold: Hold, database: Path) -> None:  # noqa: F811
    crafted(database, "no price")
    with sqlite3.connect(database) as conn:
        before = list(conn.execute("SELECT * FROM fills"))
    assert 3 == hold("rebuild", "--db", database).code
    assert before == list(conn.execute("SELECT * FROM fills")) != []
    conn.close()


@EVENTS
def test_verify_names_it_and_that_no_rebuild_helps(
    hold: Hold,  # noqa: F811
    database: Path,
    name: str,
) -> None:
    assert [] == hold("verify", "--db", database, "--json").document["problems"]
    seq = crafted(database, name)
    outcome = hold("verify", "--db", database, "--json")
    assert (3, True) == (outcome.code, outcome.document["damaged"])
    (problem,) = outcome.document["problems"]
    assert problem.startswith(f"{seq}: capital event cannot be read: ")
    assert BAD[name][1] in problem


def test_verify_finds_a_value_that_is_not_amount_times_price(
    hold: Hold,  # noqa: F811
    database: Path,
) -> None:
    story = Story()
    story.tell(
        ev.CapitalRecorded(kind="deposit", asset="XRP", amount=D(10), price=D(2), value=D(30))
    )
    _write(database, story)
    problems = hold("verify", "--db", database, "--json").document["problems"]
    assert ["deposit of 10 XRP is worth 20, not 30"] == [p.partition(": ")[2] for p in problems]


def test_a_rebuild_tells_what_capital_events_did_to_the_balances(
    hold: Hold,  # noqa: F811
    database: Path,
) -> None:
    story = Story()
    story.tell(ev.CapitalRecorded(kind="deposit", asset="XRP", amount=D(10), price=D("1.2")))
    story.tell(ev.CapitalRecorded(kind="withdrawal", asset="XRP", amount=D(-4), price=D("1.3")))
    _write(database, story)
    capital = hold("rebuild", "--db", database, "--json").document["capital"]
    assert {"boundary": 0, "events": 2, "deltas": {"RLUSD": "0", "XRP": "6"}} == capital
    assert "capital events after seq 0: 2" in hold("rebuild", "--db", database).out
