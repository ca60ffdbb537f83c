"""One command on a database that no service is running on: decided and committed, nothing is sent.

For what a person decides about the books themselves. The venue is not asked and hears nothing; the
next start goes on from what was committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from actors import messages as msg
from actors.capital_plan import CapitalPlan
from actors.capital_requests import Wish, moved_at_venue, named
from actors.config import Config
from actors.earlier_sessions import clock_floor_us
from actors.engine import Engine, EngineSettings
from actors.fold import folded
from actors.guards.desk import GuardDesk
from actors.lock import DatabaseLock
from actors.registry import Books
from actors.runtime.clock import SystemClock
from actors.runtime.ids import IdSource
from actors.settings import rules_from, truth_path
from actors.venues.sim.transfers import transfer_in_record
from actors.world import Rules, World
from fsm.mode import ModeState
from fsm.requests import VenueRequest
from fsm.vocabulary import TradingMode
from storage.journal import JournalReader


class _NoVenue:
    """Nobody is connected: what would be sent is asked again by the next start."""

    name = "none"

    def send(self, request: VenueRequest) -> None:
        """Nothing leaves."""


def carry_out(database: Path, command: object, config: Config | None = None) -> dict[str, object]:
    """Ask the books to carry a command out; the answer is the one a service would have given.

    Raises BlockingIOError when another process holds the database, and what opening one raises.
    """
    with _alone(database):
        engine, answers = _engine(database, config)
        try:
            return _asked(engine, command, answers)
        finally:
            engine.close()


def book(database: Path, wish: Wish, config: Config) -> dict[str, object]:
    """Book capital: moved at the simulated venue's own record first, where there is one.

    Raises BlockingIOError when another process holds the database, Refused, and ValueError when
    the venue has less than is taken.
    """
    with _alone(database):
        engine, answers = _engine(database, config)
        try:
            plan = engine.books.account.plan(wish, engine.world)
            if plan is None:
                return {"accepted": True, "changed": False}
            record, amounts = truth_path(config, database), moved_at_venue(plan)
            if plan.breaches and not wish.accept_breaches:
                amounts = {}  # it will be refused: nothing moves
            if amounts and record.exists() and not config.venue.socket:
                transfer_in_record(record, plan.event.ref, amounts)
            answer = _asked(engine, named(wish, plan), answers)
            return answer | {"plan": plan.document()}
        finally:
            engine.close()


def planned(database: Path, wish: Wish, config: Config) -> CapitalPlan | None:
    """What booking it would do, without writing anything: also on a copy that cannot be written.

    None when it is booked already. Raises Refused, Busy.
    """
    with closing(JournalReader.open(database)) as reader:
        books = Books(World(rules=rules_from(config), ids=IdSource("")), None)
        folded(reader, books, database)
        books.reader = reader
        desk = GuardDesk(books.world, books.latches)
        books.account.breaches = desk.breaches
        books.world.is_recorded = reader.has_dedup_key
        books.world.recorded_event = reader.event_of
        books.world.now_us = SystemClock().now_us()
        return books.account.plan(wish, books.world)


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    lock = DatabaseLock(database)
    if not lock.acquire({"database": str(database)}):
        raise BlockingIOError(f"{database}: another process writes to it")
    try:
        yield
    finally:
        lock.release()


def _engine(database: Path, config: Config | None) -> tuple[Engine, list[dict[str, object]]]:
    clock = SystemClock()
    clock.not_before(clock_floor_us(database, clock.now_us()))
    settings = EngineSettings(
        database=database,
        mode=TradingMode.PAPER,
        rules=Rules() if config is None else rules_from(config),
        instruments=(),
    )
    engine = Engine(settings, clock, _NoVenue())
    answers: list[dict[str, object]] = []
    engine.world.mode = ModeState.OBSERVING  # whatever follows from it, nothing may leave
    engine.world.now_us = clock.now_us()
    engine.journal_inline()
    engine.release.answer = lambda token, answer: answers.append(answer)
    return engine, answers


def _asked(engine: Engine, command: object, answers: list[dict[str, object]]) -> dict[str, object]:
    engine.inbox.command(msg.Ask(command, "offline"))
    while engine.dispatcher.has_work() and engine.dispatcher.run_turn():
        pass
    engine.writer.project_all()
    return answers[0]
