"""Facts for what has ended: passivated, folded back, in flight; quarantined and restored (L5)."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from pathlib import Path

import pytest

from actors import messages as msg
from fsm import events as ev
from fsm import facts
from fsm.facts import Absent
from fsm.mode import ControlLevel
from fsm.order import OrderState
from fsm.position import PositionState
from fsm.requests import Cancel, QueryOrder, Submit
from fsm.vocabulary import ExitReason, FillStatus
from storage.writer import JournalWriter, TurnBatch
from tests.unit.engine.handmade import Bench, fill

D = Decimal
S = OrderState


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class HeldJournal:
    """Commits only when a test lets it: turns stay in flight."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.writer = bench, bench.engine.writer
        self.waiting: deque[TurnBatch] = deque()
        bench.engine.dispatcher.journal = self
        bench.engine.dispatcher._in_flight_max = 99

    @property
    def head(self) -> object:
        return self.writer.head

    def append(self, batch: TurnBatch) -> None:
        self.waiting.append(batch)

    def commit(self, turns: int = 1) -> None:
        for _ in range(turns):
            batch = self.waiting.popleft()
            self.writer.commit([batch])
            self.bench.engine.turn_durable(batch.turn)

    def commit_all(self) -> None:
        while self.waiting:
            self.commit()
            self.bench.simulation.settle()


def turns(bench: Bench, *messages: object) -> None:
    """Each message in a turn of its own."""
    for message in messages:
        bench.say(message)  # type: ignore[arg-type]


def test_a_late_fill_whose_commit_is_in_flight_survives_the_passivation_of_its_order(
    bench: Bench,
) -> None:
    """The order ended in one turn, the late fill came in the next; the first became durable, the
    order was forgotten, folded back without the fill, and its duplicate was booked again."""
    bench.place(stop=D("0.5"))
    bench.accept()
    journal = HeldJournal(bench)
    turns(bench, facts.OrderCanceled(client_order_id="a"), fill("late", "4"))
    journal.commit()
    turns(bench, fill("late", "4"))
    journal.commit_all()

    assert D(4) == bench.position().qty
    assert 1 == len(bench.events(ev.OrderFilled))
    bench.proven()


def test_what_has_ended_leaves_memory_and_comes_back_for_a_moment_only(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    bench.fill("x1", "10", bench.exits()[0].client_order_id)
    assert ({}, {}) == (bench.engine.world.orders, bench.engine.world.positions)

    bench.fill("t1", "10")
    bench.say(facts.OrderAccepted(venue_order_id="V-a"))
    assert {} == bench.engine.world.orders


def test_an_entry_that_the_engine_took_back_leaves_no_position_behind(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.tell(msg.Degrade("test"))
    assert PositionState.CANCELLED_BY_ENGINE is bench.position().state
    bench.say(facts.OrderCanceled(client_order_id="a"))

    assert ({}, {}) == (bench.engine.world.orders, bench.engine.world.positions)


def test_a_late_fill_while_degraded_is_taken_straight_out(bench: Bench) -> None:
    bench.place(stop=D("0.5"))
    bench.accept()
    bench.tell(msg.Degrade("test"))
    bench.say(facts.OrderCanceled(client_order_id="a"))
    bench.fill("late", "4")

    assert [D(4)] == [exit_.qty for exit_ in bench.exits()]
    assert PositionState.EXIT_PENDING is bench.position().state
    bench.proven()


@pytest.mark.parametrize("level", [ControlLevel.FLATTEN, ControlLevel.EMERGENCY])
def test_a_fill_that_beats_the_cancel_of_the_kill_switch_is_taken_out(
    bench: Bench, level: ControlLevel
) -> None:
    bench.place(stop=D("0.5"))
    bench.accept()
    bench.do(msg.SetControl(level, "operator", "now"))
    bench.fill("late", "4")

    assert "ACTIVE" == bench.mode
    assert [D(4)] == [exit_.qty for exit_ in bench.exits()]
    assert str(level) == bench.position().exit_reason
    bench.proven()


def test_under_pause_a_late_fill_stays_under_its_stop_and_keeps_its_expiry(bench: Bench) -> None:
    bench.place(stop=D("0.5"), expires_in_us=30_000_000)
    bench.accept()
    bench.do(msg.SetControl(ControlLevel.PAUSE, "operator", "now"))
    bench.fill("late", "4")
    assert [] == bench.exits()
    assert PositionState.MONITORING is bench.position().state

    bench.wait(31)
    assert ExitReason.EXPIRY is bench.position().exit_reason
    assert 1 == len(bench.exits())


def test_the_same_settlement_twice_is_booked_once_and_stops_no_journal(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.fill("t1", "10", status=FillStatus.PROVISIONAL)
    settled = facts.FillSettled(trade_id="t1", client_order_id="a")
    stated = facts.FillSettled(trade_id="t1", client_order_id="a", realized_pnl=D(3))
    turns(bench, settled, settled, stated, stated, settled)

    assert bench.engine.dispatcher.failed is None
    assert 2 == len(bench.events(ev.OrderFillSettled))
    bench.proven()


def test_a_settlement_does_not_bring_a_voided_fill_back(bench: Bench) -> None:
    bench.place()
    bench.accept()
    void = facts.FillVoided(trade_id="t1", client_order_id="a")
    settled = facts.FillSettled(trade_id="t1", client_order_id="a")
    turns(bench, fill("t1", "10", status=FillStatus.PROVISIONAL), void, settled, void)

    assert D(0) == bench.order().filled_qty
    assert 1 == len(bench.events(ev.OrderFillVoided))
    bench.proven()


def test_a_halt_in_the_moment_of_sending_finds_the_order_sent_and_cancels_it(bench: Bench) -> None:
    """`Halt` lay in the lane before `SentOut`: the order was marked, its cancel withheld because
    nothing had left, and `SentOut` was illegal from there on."""
    journal = HeldJournal(bench)
    bench.place()
    bench.engine.inbox.tell_local(msg.Halt("disk_full"))
    journal.commit()
    bench.simulation.settle()
    journal.commit_all()

    assert S.CANCELLED_BY_ENGINE is bench.order().state
    assert bench.order().request_left
    assert 1 == bench.cancels()
    assert {} == bench.engine.system.quarantine
    bench.proven()


def test_an_order_cancelled_before_its_intent_was_durable_never_leaves(bench: Bench) -> None:
    journal = HeldJournal(bench)
    bench.place()
    bench.tell(msg.Halt("test"))
    journal.commit_all()

    assert [] == bench.submits()
    assert 0 == bench.cancels()
    assert S.CANCELED is bench.order().state
    bench.proven()


def test_a_fact_with_a_foreign_client_id_is_found_by_the_venues_id(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.say(fill("t1", "10", "x-cut-off", venue_order_id="V-a"))

    assert D(10) == bench.position().qty


def test_a_fact_of_nobody_changes_nothing_and_is_recorded_once(bench: Bench) -> None:
    bench.place()
    bench.accept()
    turns(bench, fill("t1", "10", "somebody"), fill("t1", "10", "somebody"))

    assert D(0) == bench.position().qty
    assert 1 == len(bench.events(ev.FactUnresolved))


def test_a_fill_before_its_acknowledgement_by_venue_id_is_booked_when_the_id_is_known(
    bench: Bench,
) -> None:
    bench.place()
    bench.say(facts.OrderFill(trade_id="t1", qty=D(10), price=D(1), venue_order_id="V-a"))
    assert D(0) == bench.position().qty
    bench.accept()

    assert D(10) == bench.position().qty
    bench.proven()


# ---------------------------------------------------------------------------------- quarantine


def crash(bench: Bench, address: str, kind: type, times: int = 1) -> None:
    left = [times]

    def before(actor: str, message: object) -> None:
        if actor == address and isinstance(message, kind) and left[0]:
            left[0] -= 1
            raise RuntimeError("a defect")

    bench.engine.system.before_decide = before


def test_a_fill_over_which_the_order_crashed_is_booked_after_the_restore(bench: Bench) -> None:
    bench.place()
    bench.accept()
    crash(bench, "order/a", facts.OrderFill)
    bench.say(fill("t1", "4"), fill("t2", "6"))

    assert D(10) == bench.position().qty
    assert "ACTIVE" == bench.mode
    assert 1 == len(bench.events(ev.ActorRestored))
    bench.proven()


def test_a_position_that_crashed_again_and_again_counts_each_fill_once_after_a_restart(
    bench: Bench,
) -> None:
    bench.place()
    bench.accept()
    crash(bench, "position/a", msg.FillForPosition, times=99)
    bench.fill("t1", "4")
    bench.fill("t2", "6")
    assert "position/a" in bench.engine.system.quarantine
    assert "DEGRADED" == bench.mode
    bench.restart()

    assert D(10) == bench.position().qty
    assert {} == bench.engine.system.quarantine
    bench.restart()
    assert D(10) == bench.position().qty


def test_a_restore_at_the_start_keeps_the_doubt_of_that_same_turn(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    exit_id = bench.exits()[0].client_order_id
    crash(bench, f"order/{exit_id}", facts.CancelRefused, times=99)
    bench.say(facts.CancelRefused(client_order_id=exit_id))
    assert S.SUBMITTED is bench.order(exit_id).state
    bench.venue.open = None
    bench.restart()

    assert {} == bench.engine.system.quarantine
    assert S.UNKNOWN is bench.order(exit_id).state
    bench.proven()


def test_a_restore_waits_for_what_the_quarantined_actor_still_decided(bench: Bench) -> None:
    bench.place()
    bench.accept()
    journal = HeldJournal(bench)
    crash(bench, "order/a", facts.OrderFill)
    bench.fill("t1", "4")
    bench.do(msg.CancelOrder("a", "operator"))
    journal.commit()
    bench.simulation.settle()
    assert bench.order().state in (S.CANCEL_PENDING, S.CANCELLED_BY_ENGINE)
    journal.commit_all()

    assert bench.order().state in (S.CANCEL_PENDING, S.CANCELLED_BY_ENGINE)
    assert D(4) == bench.order().filled_qty
    bench.proven()


def test_a_quarantined_position_still_stops_out_and_quotes_write_no_rows(bench: Bench) -> None:
    bench.place(stop=D("0.9"))
    bench.accept()
    bench.fill("t1", "4")
    crash(bench, "position/a", msg.FillForPosition, times=99)
    bench.fill("t2", "6")
    bench.quote("0.8", "0.81")
    assert 1 == len(bench.exits())

    crash(bench, "position/a", object, times=99)
    rows = len(bench.events(ev.MessageUnprocessed))
    for _ in range(5):
        bench.quote("0.7", "0.71")
    assert rows == len(bench.events(ev.MessageUnprocessed))


def test_the_kill_switch_works_while_the_mode_actor_is_in_quarantine(bench: Bench) -> None:
    bench.place()
    bench.accept()
    crash(bench, "mode", msg.Recover, times=99)
    bench.tell(msg.Recover("x"))
    assert "mode" in bench.engine.system.quarantine
    bench.do(msg.SetControl(ControlLevel.EMERGENCY, "operator", "now"))

    assert ControlLevel.EMERGENCY is bench.engine.world.control
    assert 1 == bench.cancels()


def test_a_command_that_could_not_be_processed_is_not_called_accepted(bench: Bench) -> None:
    bench.place()
    bench.accept()
    crash(bench, "order/a", msg.CancelOrder)
    bench.do(msg.CancelOrder("a", "operator"))

    assert False is bench.answers[-1]["accepted"]


def test_a_broken_reconciler_begins_anew(bench: Bench) -> None:
    bench.venue.silent = True
    bench.tell(msg.PassDue("orders"))
    assert bench.engine.books.reconciler.current is not None
    crash(bench, "reconciler", msg.QueryTimedOut)
    bench.venue.silent = False
    bench.wait(20)

    passes = bench.engine.books.reconciler.passes
    bench.wait(20)
    assert passes < bench.engine.books.reconciler.passes
    assert "ACTIVE" == bench.mode


# ----------------------------------------------------------------------------- journal failure


def fail_commits(writer: JournalWriter) -> None:
    def fails() -> None:
        raise OSError(5, "I/O error")

    writer.before_commit = fails


def test_a_failed_commit_lets_nothing_leave_but_cancels_that_were_spilled_first(
    bench: Bench,
) -> None:
    bench.place()
    bench.accept()
    fail_commits(bench.engine.writer)
    bench.place("b")

    assert "HALTED" == bench.mode
    assert ["a"] == [request.client_order_id for request in bench.submits()]
    assert (1, 0) == (bench.cancels("a"), bench.cancels("b"))
    assert False is bench.answers[-1]["accepted"]
    bench.restart()
    assert S.CANCELLED_BY_ENGINE is bench.order().state
    assert bench.engine.books.order("b") is None
    bench.proven()


def test_an_order_that_left_in_the_very_moment_of_the_failure_is_cancelled_too(
    bench: Bench,
) -> None:
    """Its request was out, the message that says so was still in the lane."""
    fail_after = iter((False, True, True, True, True))

    def fails() -> None:
        if next(fail_after):
            raise OSError(5, "I/O error")

    bench.engine.writer.before_commit = fails
    bench.place()

    assert 1 == len(bench.submits())
    assert 1 == bench.cancels("a")


def test_the_operator_may_cancel_an_exit_without_a_journal(bench: Bench) -> None:
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    exit_id = bench.exits()[0].client_order_id
    bench.accept(exit_id)
    fail_commits(bench.engine.writer)
    bench.do(msg.CancelOrder(exit_id, "operator"))

    assert 1 == bench.cancels(exit_id)
    assert False is bench.answers[-1]["accepted"]
    bench.do(msg.CancelOrder(exit_id, "again"))
    assert 2 == len(bench.submits())


def test_without_a_place_for_the_spill_not_even_cancels_leave(bench: Bench) -> None:
    bench.place()
    bench.accept()
    fail_commits(bench.engine.writer)
    bench.engine.release.database = bench.folder / "missing" / "x.db"
    bench.tell(msg.Halt("test"))

    assert 0 == bench.cancels()


def test_alerts_are_raised_also_by_turns_that_are_discarded(bench: Bench) -> None:
    bench.place()
    fail_commits(bench.engine.writer)
    bench.tell(msg.Halt("test"))

    assert "HALTED" in [alert.token for alert in bench.engine.release.alerts]


def test_an_absence_that_is_older_than_the_acknowledgement_cancels_nothing(bench: Bench) -> None:
    """The cancel overtook the submit; the venue looked the order up before the submit came, and
    its answer arrives behind the acknowledgement."""
    bench.venue.silent = True
    bench.place()
    bench.tell(msg.Degrade("test"))
    bench.say(facts.CancelRefused(client_order_id="a", reason="no such order"))
    asked = [q for q in bench.venue.sent if not isinstance(q, (Submit, Cancel))]
    for query in asked[-2:]:
        bench.say(bench.venue._answer(query))
    lookup = bench.venue.sent[-1]
    assert isinstance(lookup, QueryOrder)
    bench.accept()
    bench.say(
        facts.OrderAnswer(
            request_id=lookup.request_id, client_order_id="a", result=Absent("no such order")
        )
    )
    assert "CANCELLED_BY_ENGINE" == bench.order().state
    assert D(10) == bench.engine.world.ledger.reserved["USD"]
    bench.proven()
