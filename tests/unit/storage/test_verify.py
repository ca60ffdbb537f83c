"""`verify`: a good journal passes, and each kind of lie is found where it stands."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings

from fsm import events as ev
from fsm.order import OrderState
from fsm.position import PositionState
from storage.codec import encode
from storage.journal import GENESIS, Head, chain, head_path, write_head
from storage.schema import SchemaTooNew
from storage.verify import verify
from storage.writer import JournalWriter
from tests.unit.storage.lives import lives
from tests.unit.storage.stories import Story, batches, long_story, write


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "good.db"
    writer = JournalWriter(path)
    write(writer, long_story().turns)
    writer.close()
    return path


def rewritten(path: Path, change: Callable[[list[ev.Event]], None]) -> None:
    """Change events and make the chain, the head and nothing else fit: only a law can tell."""
    conn = sqlite3.connect(path, isolation_level=None)
    from storage.journal import JournalReader

    recorded = list(JournalReader(conn).events())
    told = [r.event for r in recorded]
    change(told)
    previous = GENESIS
    conn.execute("BEGIN")
    for at, event in zip(recorded, told, strict=True):
        payload, kind = encode(event), type(event).__name__
        previous = chain(previous, at.seq, at.turn, at.at_us, event.stream, kind, payload)
        conn.execute(
            "UPDATE journal SET stream = ?, type = ?, payload = ?, hash = ? WHERE seq = ?",
            (event.stream, kind, payload.decode(), previous, at.seq),
        )
    conn.execute("COMMIT")
    conn.close()
    write_head(path, Head(recorded[-1].seq, previous))


def find(events: list[ev.Event], cls: type, number: int = 0) -> int:
    """The index of the nth event of a class."""
    return [i for i, event in enumerate(events) if type(event) is cls][number]


def evolve(cls: type, number: int = 0, **fields: Any) -> Callable[[list[ev.Event]], int]:
    def change(events: list[ev.Event]) -> int:
        at = find(events, cls, number)
        events[at] = attrs.evolve(events[at], **fields)
        return at + 1

    return change


def swap(cls: type, number: int, other: type, other_number: int) -> Callable[[list[ev.Event]], int]:
    def change(events: list[ev.Event]) -> int:
        a, b = find(events, cls, number), find(events, other, other_number)
        events[a], events[b] = events[b], events[a]
        return min(a, b) + 1

    return change


def test_a_good_journal_passes_and_says_what_was_looked_at(database: Path) -> None:
    report = verify(database)
    assert () == report.problems
    assert report.ok
    assert len(long_story().events) == report.events == report.head_seq
    assert report.events == report.checks["chain"] == report.checks["projections"]
    assert 7 == report.checks["orders"]
    assert {"fills": 7, "voids": 1, "signals": 1, "sessions": 1}.items() <= report.checks.items()


def test_an_empty_database_passes(tmp_path: Path) -> None:
    JournalWriter(tmp_path / "new.db").close()
    report = verify(tmp_path / "new.db")
    assert (0, ()) == (report.events, report.problems)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(story=lives())
def test_every_legal_life_passes(tmp_path_factory: pytest.TempPathFactory, story: Story) -> None:
    path = tmp_path_factory.mktemp("life") / "a.db"
    writer = JournalWriter(path)
    write(writer, story.turns)
    writer.close()
    assert () == verify(path).problems


LIES: dict[str, tuple[Callable[[list[ev.Event]], int], str]] = {
    "sent before its intent": (swap(ev.OrderIntended, 0, ev.OrderSent, 0), "never intended (L1)"),
    "intended twice": (evolve(ev.OrderIntended, 2, client_order_id="A"), "second time"),
    "sent twice": (evolve(ev.OrderSent, 1, client_order_id="A"), "sent a second time"),
    "booked twice": (evolve(ev.OrderFilled, 1, trade_id="T1"), "booked a second time (L5)"),
    "a wrong running fill": (evolve(ev.OrderFilled, 1, filled_qty=Decimal(11)), "sum to 10"),
    "a wrong void": (evolve(ev.OrderFillVoided, 0, filled_qty=Decimal(1)), "sum to 0"),
    "a void of nothing": (evolve(ev.OrderFillVoided, 0, trade_id="T99"), "not booked"),
    "a settlement of nothing": (evolve(ev.OrderFillSettled, 0, trade_id="T99"), "never booked"),
    "an illegal step": (
        evolve(ev.OrderAcknowledged, 0, state=OrderState.CANCELED),
        "does not lead from SUBMITTED to CANCELED",
    ),
    "a fill that leaves the wrong state": (
        evolve(ev.OrderFilled, 0, state=OrderState.WORKING),
        "does not lead from WORKING to WORKING",
    ),
    "a wrong position quantity": (evolve(ev.PositionChanged, 1, qty=Decimal(9)), "sum to 10"),
    "a wrong realized": (
        evolve(ev.PositionChanged, 2, realized_pnl=Decimal(7)),
        "realized says 7",
    ),
    "wrong fees": (evolve(ev.PositionChanged, 0, fees=Decimal(7)), "fees says 7"),
    "a position closed by an entry": (
        evolve(ev.PositionChanged, 0, state=PositionState.CANCELLED_BY_ENGINE),
        "does not lead from ENTRY to CANCELLED_BY_ENGINE",
    ),
    "a fill without its position change": (
        evolve(ev.PositionChanged, 0, trade_id="T9"),
        "(assertion 3)",
    ),
    "a signal decided twice": (evolve(ev.SignalDecided, 0, signal_id="g2"), "never raised"),
    "an end without a start": (evolve(ev.SessionEnded, 0, session_id="s9"), "never started"),
    "an end before its start": (evolve(ev.SessionEnded, 0, ended_at_us=1), "before it started"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_that_the_chain_cannot_see_is_reported_with_its_seq(
    database: Path, name: str
) -> None:
    change, text = LIES[name]
    where: list[int] = []
    rewritten(database, lambda events: where.append(change(events)))
    laws = [line for line in verify(database).problems if line.startswith("seq ")]
    told = [line for line in laws if text in line]
    assert told, laws
    if name != "a fill without its position change":
        assert int(told[0].split()[1].rstrip(":")) in (where[0], where[0] + 1)
    else:
        assert told[0].startswith(f"seq {where[0] - 1}:")


def test_a_dead_order_that_comes_back_is_reported(database: Path) -> None:
    def revive(events: list[ev.Event]) -> None:
        at = find(events, ev.OrderMoved, 3)
        assert "C" == getattr(events[at], "client_order_id", None)
        events[at + 1] = ev.OrderAcknowledged(
            client_order_id="C", position_id="p/C", state=OrderState.WORKING, venue_order_id=None
        )

    rewritten(database, revive)
    assert any("came back from CANCELED" in line for line in verify(database).problems)


def test_a_signal_that_nobody_decided_is_reported_where_it_was_raised(tmp_path: Path) -> None:
    story = Story.begun()
    story.signal("g1")
    del story.turns[-1][1]
    writer = JournalWriter(tmp_path / "a.db")
    write(writer, story.turns)
    writer.close()
    assert ("seq 5: signal g1 was never decided (assertion 1)",) == verify(
        tmp_path / "a.db"
    ).problems


def test_a_fill_without_its_dedup_key_and_a_key_without_its_event_are_reported(
    database: Path,
) -> None:
    with sqlite3.connect(database) as conn:
        conn.execute("DELETE FROM dedup_keys WHERE key LIKE '%|fill|T1|%'")
        conn.execute("INSERT INTO dedup_keys VALUES ('stray', 999)")
    conn.close()
    problems = verify(database).problems
    assert any("trade T1 of order A has no dedup key (L5)" in line for line in problems)
    assert any("'stray' belongs to seq 999" in line for line in problems)


def test_time_and_turns_that_run_backwards_are_reported(tmp_path: Path) -> None:
    first, second = batches(Story.begun().turns[:2])
    writer = JournalWriter(tmp_path / "a.db")
    writer.commit([attrs.evolve(first, turn=5), attrs.evolve(second, at_us=1)])
    writer.close()
    problems = verify(tmp_path / "a.db").problems
    assert any(line.startswith("seq 2: turn 2 after turn 5") for line in problems)
    assert any(line.startswith("seq 2: its time goes back") for line in problems)


def test_a_changed_row_a_changed_table_and_a_bad_head_are_three_different_findings(
    database: Path,
) -> None:
    with sqlite3.connect(database) as conn:
        conn.execute("UPDATE fills SET price = '9' WHERE trade_id = 'T1'")
        conn.execute("DELETE FROM positions WHERE position_id = 'p/G'")
    conn.close()
    problems = verify(database).problems
    assert (
        "projections: fills A/T1: price is '9', the journal says '1.29'",
        "projections: positions p/G: missing, the journal has it",
    ) == problems
    with sqlite3.connect(database) as conn:
        conn.execute("UPDATE journal SET payload = replace(payload, '1.29', '1.28') WHERE seq = 12")
    conn.close()
    assert any("breaks at seq" in line for line in verify(database).problems)
    head_path(database).write_text("nonsense")
    assert any("unreadable head" in line for line in verify(database).problems)


def test_verify_works_beside_a_writer_whose_projections_lag(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "a.db")
    write(writer, long_story().turns)
    writer.project(7)
    writer.keep_head(force=True)
    report = verify(tmp_path / "a.db")
    assert ((), 7) == (report.problems, report.checks["projections"])
    assert report.events - 7 == report.checks["projection_lag"]
    writer.close()


def test_a_file_that_is_no_database_is_a_finding_and_a_missing_one_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database" * 1000)
    assert "cannot be read" in verify(tmp_path / "a.db").problems[0]
    with pytest.raises(FileNotFoundError, match="no database at"):
        verify(tmp_path / "b.db")


def test_a_newer_schema_is_refused(database: Path) -> None:
    with sqlite3.connect(database) as conn:
        conn.execute("PRAGMA user_version = 99")
    conn.close()
    with pytest.raises(SchemaTooNew, match="schema 99"):
        verify(database)
