"""One command on a database that no service is running on: decided and committed, nothing is sent.

For what a person decides about the books themselves. The venue is not asked and hears nothing; the
next start goes on from what was committed.
"""

from __future__ import annotations

from pathlib import Path

from actors import messages as msg
from actors.earlier_sessions import clock_floor_us
from actors.engine import Engine, EngineSettings
from actors.lock import DatabaseLock
from actors.runtime.clock import SystemClock
from actors.world import Rules
from fsm.mode import ModeState
from fsm.requests import VenueRequest
from fsm.vocabulary import TradingMode


class _NoVenue:
    """Nobody is connected: what would be sent is asked again by the next start."""

    name = "none"

    def send(self, request: VenueRequest) -> None:
        """Nothing leaves."""


def carry_out(database: Path, command: object) -> dict[str, object]:
    """Ask the books to carry a command out; the answer is the one a service would have given.

    Raises BlockingIOError when another process holds the database, and what opening one raises.
    """
    lock = DatabaseLock(database)
    if not lock.acquire({"database": str(database)}):
        raise BlockingIOError(f"{database}: another process writes to it")
    try:
        return _carried_out(database, command)
    finally:
        lock.release()


def _carried_out(database: Path, command: object) -> dict[str, object]:
    clock = SystemClock()
    clock.not_before(clock_floor_us(database, clock.now_us()))
    settings = EngineSettings(
        database=database, mode=TradingMode.PAPER, rules=Rules(), instruments=()
    )
    engine = Engine(settings, clock, _NoVenue())
    answers: list[dict[str, object]] = []
    engine.world.mode = ModeState.OBSERVING  # whatever follows from it, nothing may leave
    engine.journal_inline()
    engine.release.answer = lambda token, answer: answers.append(answer)
    try:
        engine.inbox.command(msg.Ask(command, "offline"))
        while engine.dispatcher.has_work() and engine.dispatcher.run_turn():
            pass
        engine.writer.project_all()
    finally:
        engine.close()
    return answers[0]
