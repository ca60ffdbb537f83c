"""The tables say what the journal says, however they came to be."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from fsm import events as ev
from fsm.events import Recorded
from fsm.order import OrderState, OrderTrigger
from fsm.vocabulary import FillStatus, Side
from storage.projections import ProjectionRefused, Projector, compare, rebuild
from storage.schema import create_projections
from storage.writer import JournalWriter
from tests.unit.storage.lives import lives
from tests.unit.storage.stories import Story, batches, long_story, write


def recorded(story: Story) -> list[Recorded]:
    out: list[Recorded] = []
    for batch in batches(story.turns):
        for seq, event in enumerate(batch.events, batch.first_seq):
            out.append(Recorded(seq, batch.turn, batch.at_us, event.stream, event))
    return out


def tables() -> Projector:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    create_projections(Database(conn))
    return Projector(conn)


@pytest.fixture
def writer(tmp_path: Path) -> JournalWriter:
    writer = JournalWriter(tmp_path / "a.db")
    write(writer, long_story().turns)
    return writer


def one(conn: sqlite3.Connection, sql: str) -> tuple[object, ...]:
    row: tuple[object, ...] = conn.execute(sql).fetchone()
    return row


@settings(max_examples=30, deadline=None)
@given(story=lives(), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_the_tables_do_not_depend_on_how_events_were_grouped(
    story: Story, sizes: list[int]
) -> None:
    events = recorded(story)
    at_once, in_pieces = tables(), tables()
    assert len(events) == at_once.apply(events)
    at, turn = 0, 0
    while at < len(events):
        step = sizes[turn % len(sizes)]
        in_pieces.apply(events[at : at + step])
        at, turn = at + step, turn + 1
    assert (None, None) == (at_once.failed, in_pieces.failed)
    assert [] == compare(in_pieces.conn, at_once.conn)
    at_once.conn.close()
    in_pieces.conn.close()


def test_applied_caught_up_and_rebuilt_tables_are_identical(writer: JournalWriter) -> None:
    writer.project(10)  # from memory
    writer._pending_projection.clear()
    writer.project(10)  # from the journal
    writer.project_all()
    expected = tables()
    expected.apply(recorded(long_story()))
    assert [] == compare(writer.conn, expected.conn)
    assert len(long_story().events) == rebuild(writer.conn)
    assert [] == compare(writer.conn, expected.conn)
    expected.conn.close()
    writer.close()


def test_a_person_finds_in_the_tables_what_happened(writer: JournalWriter) -> None:
    writer.project_all()
    conn = writer.conn
    order = "SELECT state, filled_qty, avg_price, provisional_qty, venue_order_id FROM orders "
    filled = str(OrderState.FILLED)
    assert (filled, "10", "1.296", "0", "V-A") == one(conn, order + "WHERE client_order_id = 'A'")
    flags = "SELECT flags, cancel_reason FROM orders WHERE client_order_id = "
    assert ('["engine_cancel","voided_fill"]', "as the story goes") == one(conn, flags + "'C'")
    assert ('["held","held_pending_review"]', None) == one(conn, flags + "'H'")
    fill = "SELECT status, price, fee_asset FROM fills WHERE trade_id = "
    assert (str(FillStatus.SETTLED), "1.3", "XRP") == one(conn, fill + "'T2'")
    assert (str(FillStatus.VOIDED), "1.2", "RLUSD") == one(conn, fill + "'T4'")
    position = "SELECT state, qty, realized_pnl, fees FROM positions WHERE position_id = 'p/A'"
    assert ("CLOSED", "0", "1.14", "0.066") == one(conn, position)
    session = "SELECT orders, fills, positions_closed, ticks, halt_reason FROM sessions"
    assert (7, 7, 3, 7, "duration_elapsed") == one(conn, session)
    decision = "SELECT approved, rule FROM decisions WHERE signal_id = 'g1'"
    assert (0, "max_position_usd") == one(conn, decision)
    kinds = [row[0] for row in conn.execute("SELECT kind FROM capital_events ORDER BY seq")]
    assert ["opening"] * 3 + ["funding"] == kinds
    writer.close()


def test_tables_left_behind_by_a_kill_are_caught_up_at_the_next_start(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "a.db")
    write(writer, long_story().turns)
    writer.project(5)
    writer.conn.close()  # committed, never projected, never closed
    writer = JournalWriter(tmp_path / "a.db")
    assert (5, writer.head.seq - 5) == (writer.projector.seq, writer.projection_lag)
    writer.project_all()
    expected = tables()
    expected.apply(recorded(long_story()))
    assert [] == compare(writer.conn, expected.conn)
    expected.conn.close()
    writer.close()


def test_a_projector_that_dies_in_the_middle_leaves_its_tables_as_they_were(
    writer: JournalWriter,
) -> None:
    writer.project(5)
    orders = one(writer.conn, "SELECT count(*) FROM fills")
    writer.conn.execute(
        "CREATE TRIGGER no BEFORE INSERT ON fills BEGIN SELECT RAISE(ABORT, 'x'); END"
    )
    writer.project_all()
    assert isinstance(writer.projector.failed, sqlite3.IntegrityError)
    assert (orders, 5) == (one(writer.conn, "SELECT count(*) FROM fills"), writer.projector.seq)
    write(writer, [[ev.ActorRestored(actor="order/A")]])  # the journal goes on
    assert 0 == writer.project(100)
    writer.conn.execute("DROP TRIGGER no")
    assert writer.head.seq == rebuild(writer.conn)
    writer.close()


def test_rebuild_says_which_row_it_could_not_make(writer: JournalWriter) -> None:
    sent = ev.OrderSent(client_order_id="ghost", state=OrderState.SUBMITTED)
    write(writer, [[sent]])
    with pytest.raises(ProjectionRefused, match="orders: ghost has no row to change"):
        rebuild(writer.conn)
    writer.close()


@pytest.mark.parametrize("together", [True, False])
def test_a_second_row_for_one_event_is_refused_however_it_is_grouped(together: bool) -> None:
    story = Story.begun()
    story.working("A", Side.BUY, "10")
    story.fill("A", "1")
    events = recorded(story)
    again = Recorded(len(events) + 1, 99, events[-1].at_us, events[-2].stream, events[-2].event)
    projector = tables()
    if together:
        projector.apply([*events, again])
    else:
        projector.apply(events)
        projector.apply([again])
    assert isinstance(projector.failed, (ProjectionRefused, sqlite3.IntegrityError))
    projector.conn.close()


def test_counters_go_to_the_session_that_began_last_even_after_the_clock_was_set_back(
    tmp_path: Path,
) -> None:
    writer = JournalWriter(tmp_path / "a.db")
    story = Story.begun()
    story.session("s2", started_at_us=5)
    write(writer, story.turns)
    writer.close()
    writer = JournalWriter(tmp_path / "a.db")
    assert "s2" == writer.projector.session_id
    writer.close()


def test_differences_are_named_by_table_row_and_column() -> None:
    one_, other = tables(), tables()
    story = Story.begun()
    story.working("A", Side.BUY, "10")
    one_.apply(recorded(story))
    story.moved("A", OrderTrigger.CANCEL_REQUESTED)
    story.intend("B", Side.BUY, "1")
    other.apply(recorded(story))
    lines = compare(one_.conn, other.conn)
    assert "orders A: state is 'WORKING', the journal says 'CANCEL_PENDING'" in lines
    assert "orders B: missing, the journal has it" in lines
    assert "positions p/B: not in the journal" in compare(other.conn, one_.conn)
    one_.conn.close()
    other.conn.close()
