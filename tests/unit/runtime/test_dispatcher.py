"""Effects leave after their turn is durable, in order, and never after a failed commit (L1)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import define, field

from actors.effects import CancelTimer, Reply, SetTimer
from actors.runtime.clock import SimulatedClock
from actors.runtime.dispatcher import Dispatcher, Turn
from actors.runtime.lanes import Inbox
from actors.runtime.timers import TimerHeap
from fsm.events import AlertRaised
from storage.journal import GENESIS, Head
from storage.writer import JournalFailed, TurnBatch

EVENT = AlertRaised(severity="info", token="T", text="")


@define
class SlowJournal:
    """Keeps turns until a test says that they are durable."""

    batches: list[TurnBatch] = field(factory=list)
    fails: bool = False
    head: Head = field(factory=lambda: Head(0, GENESIS))

    def append(self, batch: TurnBatch) -> None:
        if self.fails:
            raise JournalFailed("full")
        self.batches.append(batch)


@define
class FakeCore:
    """Each message is (has an event, effects)."""

    log: list[object] = field(factory=list)
    on_release: Callable[[object], None] = lambda effect: None

    def handle(self, message: object, turn: Turn) -> None:
        with_event, effects = message  # type: ignore[misc]
        if with_event:
            turn.events.append(EVENT)
            turn.payloads.append(b"{}")
            turn.streams.append(EVENT.stream)
        turn.effects += effects

    def release(self, effect: object) -> None:
        self.log.append(effect.token)  # type: ignore[attr-defined]
        self.on_release(effect)

    def handed_over(self, turn: Turn) -> None:
        assert turn.events

    def durable(self, turn: Turn) -> None:
        self.log.append(("durable", turn.number))

    def discarded(self, turn: Turn) -> None:
        self.log.append(("discarded", turn.number))

    def journal_failed(self, failure: JournalFailed) -> None:
        self.log.append("journal_failed")


@define
class Rig:
    core: FakeCore = field(factory=FakeCore)
    journal: SlowJournal = field(factory=SlowJournal)
    clock: SimulatedClock = field(factory=lambda: SimulatedClock(1_000))
    inbox: Inbox = field(factory=lambda: Inbox(control_max=99, facts_max=99, market_max=99))
    timers: TimerHeap = field(factory=TimerHeap)
    dispatcher: Dispatcher = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.dispatcher = Dispatcher(
            self.core, self.clock, self.inbox, self.timers, head_seq=10, head_turn=3,
            messages_max=4, in_flight_max=2,
        )  # fmt: skip
        self.dispatcher.journal = self.journal

    def turn(self, *names: str, event: bool = True) -> None:
        for name in names:
            self.inbox.command((event, [Reply(name, {})]))
        assert self.dispatcher.run_turn()


def test_effects_wait_for_the_commit_and_leave_after_the_core_heard_of_it() -> None:
    rig = Rig()
    rig.turn("a", "b")
    assert [] == rig.core.log

    rig.dispatcher.on_durable(4)
    assert [("durable", 4), "a", "b"] == rig.core.log
    assert 0 == rig.dispatcher.in_flight


def test_a_turn_is_one_batch_with_consecutive_numbers() -> None:
    rig = Rig()
    rig.turn("a", "b")
    rig.turn("c")

    assert [(4, 11, 2), (5, 13, 1)] == [
        (b.turn, b.first_seq, len(b.events)) for b in rig.journal.batches
    ]


def test_group_commit_releases_turn_after_turn_in_their_order() -> None:
    rig = Rig()
    rig.turn("a")
    rig.turn("b")
    rig.dispatcher.on_durable(5)

    assert [("durable", 4), "a", ("durable", 5), "b"] == rig.core.log


def test_a_turn_without_events_waits_behind_those_in_flight() -> None:
    rig = Rig()
    rig.turn("a")
    rig.turn("quiet", event=False)
    assert [] == rig.core.log

    rig.dispatcher.on_durable(4)
    assert ["a", "quiet"] == [entry for entry in rig.core.log if isinstance(entry, str)]


def test_a_turn_without_events_leaves_at_once_when_nothing_is_in_flight() -> None:
    rig = Rig()
    rig.turn("quiet", event=False)

    assert "quiet" in rig.core.log
    assert [] == rig.journal.batches


def test_no_more_turns_start_than_may_be_in_flight() -> None:
    rig = Rig()
    rig.turn("a")
    assert rig.dispatcher.may_turn()
    rig.turn("b")
    assert not rig.dispatcher.may_turn()

    rig.dispatcher.on_durable(4)
    assert rig.dispatcher.may_turn()


def test_a_turn_takes_a_bounded_number_of_messages() -> None:
    rig = Rig()
    rig.turn(*"abcdef")

    assert 4 == len(rig.journal.batches[0].events)
    assert rig.dispatcher.has_work()
    assert rig.dispatcher.run_turn()
    assert not rig.dispatcher.run_turn()


def test_timers_are_armed_with_the_turn_and_come_before_the_lanes() -> None:
    rig = Rig()
    timer = SetTimer("k", 50, (True, [Reply("timer", {})]))
    rig.inbox.command((False, [timer]))
    rig.dispatcher.run_turn()
    assert not rig.dispatcher.has_work()

    rig.clock.move_to(1_050)
    assert rig.dispatcher.has_work()
    rig.turn("command")
    rig.dispatcher.on_durable(4)
    assert ["timer", "command"] == rig.core.log[-2:]


def test_a_timer_set_and_cancelled_in_one_turn_never_fires() -> None:
    rig = Rig()
    rig.inbox.command((False, [SetTimer("k", 0, "m"), CancelTimer("k")]))
    rig.dispatcher.run_turn()

    assert not rig.dispatcher.has_work()


def test_a_failed_journal_discards_what_is_in_flight_and_everything_later() -> None:
    rig = Rig()
    rig.turn("a")
    rig.turn("b")
    rig.dispatcher.on_journal_failed(JournalFailed("full"))
    rig.turn("c")
    rig.dispatcher.on_durable(99)

    assert [
        "journal_failed", ("discarded", 4), ("discarded", 5), ("discarded", 6),
    ] == rig.core.log  # fmt: skip
    assert 2 == len(rig.journal.batches)
    assert 3 == rig.dispatcher.statistics.discarded_turns


def test_a_turn_that_was_durable_before_the_failure_still_leaves() -> None:
    rig = Rig()
    rig.turn("a")
    rig.turn("b")
    rig.dispatcher.on_durable(4)
    rig.dispatcher.on_journal_failed(JournalFailed("full"))
    rig.dispatcher.on_journal_failed(JournalFailed("said twice"))

    assert [("durable", 4), "a", "journal_failed", ("discarded", 5)] == rig.core.log


def test_an_append_that_fails_at_once_releases_nothing() -> None:
    rig = Rig()
    rig.journal.fails = True
    rig.turn("a")

    assert ["journal_failed", ("discarded", 4)] == rig.core.log
    assert rig.dispatcher.failed is not None


def test_nothing_is_turned_without_a_journal() -> None:
    rig = Rig()
    rig.dispatcher.journal = None

    with pytest.raises(AssertionError, match="needs a journal"):
        rig.turn("a")
