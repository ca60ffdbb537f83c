"""What a turn has to do with the guards: their ticks, what they hear, people's words, the gate.

At the start's gate every guard is asked once, and what stands is told, in the turn that opens it
and before the mode is: nothing leaves while it is above a cap (L8).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import evolve

from actors import messages as msg
from actors.effects import SetTimer
from actors.entities.door import losses_refused
from actors.guards.desk import GuardDesk
from actors.guards.drawdown import Drawdown
from actors.guards.wallet_truth import WalletTruth
from actors.quarantine import Quarantine
from actors.registry import Books
from actors.runtime.actor import Decision, Refused
from actors.runtime.dispatcher import Turn

_QUARANTINED = "quarantine/"


class Host(Protocol):
    """What this needs of the system around it."""

    books: Books
    guards: GuardDesk
    isolation: Quarantine
    asked: object | None
    """The command that is waiting for an answer."""

    def decide(self, actor: Any, message: object, turn: Turn) -> None:
        """Let an actor decide."""

    def record(self, decision: Decision, turn: Turn) -> None:
        """Record a decision in this turn."""

    def follow(self, message: object) -> None:
        """Take this message in the same turn, behind those that wait."""


class GuardTurns:
    """Routes of messages to and about guards."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def _desk(self) -> GuardDesk:
        return self._host.guards

    def start(self, turn: Turn) -> None:
        """Begin to tick."""
        if self._desk.guards:
            delay_us = self._host.books.world.rules.guard_interval_us
            turn.effects.append(SetTimer("guards/tick", delay_us, msg.GuardTick()))

    def tick(self, message: msg.GuardTick, turn: Turn) -> None:
        """Every guard looks."""
        delay_us = self._host.books.world.rules.guard_interval_us
        turn.effects.append(SetTimer("guards/tick", delay_us, message))
        self._ask_all(message, turn)

    def _ask_all(self, message: object, turn: Turn) -> None:
        for guard in list(self._desk.guards.values()):
            self._host.decide(guard, message, turn)

    def hear(self, message: Any, turn: Turn) -> None:
        """Those hear of it that want to."""
        kind = type(message.event if isinstance(message, msg.ForGuards) else message)
        for name in self._desk.hearers.get(kind, ()):
            self._host.decide(self._desk.guards[name], message, turn)

    # ---------------------------------------------------------------------------- the gate

    def books_match(self, message: msg.BooksMatch, turn: Turn) -> None:
        """The gate opens, after everything that the guards have to say."""
        mode = self._host.books.mode
        if mode.books_verified or message.guards_asked:
            self._host.decide(mode, message, turn)
            return
        self._at_gate(turn)
        self._host.follow(evolve(message, guards_asked=True))

    def divergence(self, message: msg.Divergence, turn: Turn) -> None:
        """The gate refuses, or the operator has accepted the difference: then others stand too."""
        self._host.decide(self._host.books.mode, message, turn)
        if message.accepted:
            self._at_gate(turn)

    def _at_gate(self, turn: Turn) -> None:
        for wish in self._desk.standing():
            self._host.follow(wish)
        self._ask_all(msg.AtGate(), turn)

    # --------------------------------------------------------------------- sources and people

    def degrade(self, message: msg.Degrade, turn: Turn) -> None:
        """A source that has a guard goes through it: latch, row and alert are the guard's."""
        books = self._host.books
        if message.source == WalletTruth.name and not books.world.rules.wallet_truth_degrades:
            self._host.record(Decision.ignore("wallet truth: off"), turn)
            return
        self._host.decide(self._desk.degrading(message) or books.mode, message, turn)

    def recover(self, message: msg.Recover, turn: Turn) -> None:
        """A source is well again, or a person says so; a guard opens its own latch."""
        address = message.source.removeprefix(_QUARANTINED)
        if message.who and address != message.source and address in self._host.isolation.held:
            self._again(address, message, turn)
            return
        guard, told = self._desk.recovering(message) or (self._host.books.mode, message)
        if self._host.asked is message:
            self._host.asked = told  # a refusal is for whoever asked
        self._host.decide(guard, told, turn)

    def _again(self, address: str, word: msg.Recover, turn: Turn) -> None:
        """A person wants an actor to leave quarantine: it does when it no longer raises."""
        self._host.isolation.try_again(address, turn, word)
        if address in self._host.isolation.held:
            raise Refused(f"{address} stays in quarantine: it raised again; see the log")

    def reset(self, message: msg.ResetGuard, turn: Turn) -> None:
        """A person opens a latch; a guard in quarantine is begun anew first."""
        guard = self._desk.guards.get(message.guard)
        if guard is None:
            self._host.record(self._desk.opened_while_off(message), turn)
            return
        if guard.address in self._host.isolation.held:
            source = f"{_QUARANTINED}{guard.address}"
            self._again(guard.address, msg.Recover(source, message.who, message.why), turn)
            guard = self._desk.guards[message.guard]
            if not guard.latch.tripped and not guard.latch.off:
                return  # begun anew, and nothing else to open
        self._host.decide(guard, message, turn)

    def note(self, command: object) -> dict[str, str]:
        """What a person has to know who opened a latch: that entries are refused all the same."""
        opened = command.guard if isinstance(command, msg.ResetGuard) else ""
        if isinstance(command, msg.Recover):
            opened = command.source
        refused = "; ".join(losses_refused(self._host.books.world))
        if opened != Drawdown.name or not refused:
            return {}
        return {"note": f"the door still refuses every entry ({refused})"}

    def begin_anew(self, name: str, message: object, turn: Turn) -> None:
        """A guard that raised, with empty windows; it is given the message."""
        guard = self._desk.renewed(name)
        if guard is not None:
            self._host.decide(guard, message, turn)


#: Which messages it takes, and where.
GUARD_MESSAGES: dict[type, Callable[[GuardTurns, Any, Turn], None]] = {
    msg.GuardTick: GuardTurns.tick,
    msg.Degrade: GuardTurns.degrade,
    msg.Recover: GuardTurns.recover,
    msg.ResetGuard: GuardTurns.reset,
    msg.BooksMatch: GuardTurns.books_match,
    msg.Divergence: GuardTurns.divergence,
}
