"""Actors that raised: their messages are journaled and kept until they are folded again (L5, L8).

What an actor could not process is one `MessageUnprocessed` event; the system degrades, and when all
that the actor did is durable it is folded anew and takes its messages once more, a few times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from actors import messages as msg
from actors.effects import Notify
from actors.message_groups import ASKED_AGAIN, HEARD_IN_QUARANTINE, cooked, raw
from actors.registry import Books
from actors.runtime.actor import Decision
from actors.runtime.dispatcher import Turn
from fsm import events as ev

_RESTORES_MAX = 3


class Host(Protocol):
    """What the quarantine needs of the system around it."""

    books: Books

    def record(self, decision: Decision, turn: Turn) -> None:
        """Record a decision in this turn."""

    def follow(self, message: object) -> None:
        """Take this message in the same turn."""

    def step(self, message: object, turn: Turn) -> None:
        """Take this message now."""

    def to_guard(self, name: str, message: object, turn: Turn) -> None:
        """Begin this guard anew and give it the message, which the others have seen."""

    def count(self, name: str) -> None:
        """Move a counter."""


class Quarantine:
    """Who is in it, and with which messages."""

    def __init__(self, host: Host, tell: Callable[[object], None]) -> None:
        self._host, self._tell = host, tell
        self.held: dict[str, list[object]] = {}
        self._restores: dict[str, int] = {}
        self._kept: list[object] = []
        self._touched_in: dict[str, int] = {}
        self._durable_turn = 0

    def intercepts(self, address: str, message: object, turn: Turn) -> bool:
        """Whether the message is not for its actor now: it is kept, or will be said again."""
        held = self.held.get(address)
        if held is None or isinstance(message, HEARD_IN_QUARANTINE):
            return False
        if isinstance(message, ASKED_AGAIN):
            self._host.count("skipped_in_quarantine")
        else:
            held.append(message)
            self._unprocessed(address, message, "in quarantine", turn)
        return True

    def touched(self, stream: str, turn: Turn) -> None:
        """An actor in quarantine decided something in this turn."""
        self._touched_in[stream] = turn.number

    def enter(self, address: str, message: object, error: str, turn: Turn) -> None:
        """The actor raised over this message: keep it, say so, degrade."""
        held = self.held.get(address)
        if held is not None and (isinstance(message, ASKED_AGAIN) or message in held):
            self._host.count("skipped_in_quarantine")
            return
        self.held.setdefault(address, []).append(message)
        self._unprocessed(address, message, error, turn)
        self._touched_in[address] = turn.number
        turn.effects.append(
            Notify(
                ev.AlertRaised(
                    severity="critical", token="ACTOR_QUARANTINED", text=f"{address}: {error}"
                )
            )
        )
        if address == "mode":  # it cannot be asked: `World.permitted` and this close what it would
            orders = tuple(self._host.books.world.orders)
            self._host.follow(msg.Sweep("The mode raised, entry cancel", orders))
        else:
            self._host.follow(msg.Degrade(f"quarantine/{address}", error))

    def _unprocessed(self, address: str, message: object, error: str, turn: Turn) -> None:
        if any(message is kept for kept in self._kept):
            return  # it is in the journal already: another copy would be delivered twice
        self._host.count("unprocessed")
        event = ev.MessageUnprocessed(
            actor=address, message=type(message).__name__, payload=raw(message), error=error
        )
        self._host.record(Decision(events=[event]), turn)

    def try_again(self, address: str, turn: Turn, word: msg.Recover) -> None:
        """A person says that it may try once more, however often it did; `word` is theirs."""
        self._restores.pop(address, None)
        self.restore(address, turn, word)

    def restore(self, address: str, turn: Turn, word: msg.Recover | None = None) -> None:
        """Fold the actor anew from what is durable and give it its messages once more."""
        books = self._host.books
        kind, _, name = address.partition("/")
        known: dict[str, Any] = {"order": books.world.orders, "position": books.world.positions}
        entity = known.get(kind, {}).get(name)
        if entity is not None and entity.turn > self._durable_turn:
            self._touched_in[address] = entity.turn  # a fold now would lose what it did
            return
        held = self.held.pop(address, [])
        self._restores[address] = self._restores.get(address, 0) + 1
        if kind == "order":
            books.refold_order(name)
        elif kind == "position":
            books.refold_position(name)
        elif kind == "reconciler":
            books.reconciler.start_over()
            scope = "orders" if books.mode.books_verified else "start"
            self._host.follow(msg.PassDue(scope))
        self._kept = held
        for kept in held:
            if kind == "guard":
                self._host.to_guard(name, kept, turn)
            else:
                self._host.step(kept, turn)
        self._kept = []
        if address not in self.held:
            if kind != "guard":  # one that raises now and then would never come to an end
                self._restores.pop(address, None)
            self._host.record(Decision(events=[ev.ActorRestored(actor=address)]), turn)
            self._host.follow(word or msg.Recover(f"quarantine/{address}"))

    def deliver_unprocessed(self) -> None:
        """What an actor could not process before the restart is given to it again."""
        for address, kept in list(self._host.books.unprocessed.items()):
            self.held[address] = [m for m in (cooked(item) for item in kept) if m is not None]
            self._tell(msg.RestoreActor(address))

    def durable(self, turn: Turn) -> None:
        """Give quarantined actors another chance where it is safe now."""
        # A turn without events is let go behind those before it, and its number is used again.
        self._durable_turn = turn.number if turn.events else turn.number - 1
        for address in self.held:
            if self._restorable(address, turn.number):
                self._tell(msg.RestoreActor(address))

    def _restorable(self, address: str, durable_turn: int) -> bool:
        """All that the actor did is durable, so that a fold finds it, and it may try once more."""
        touched = self._touched_in.get(address)
        if touched is None or touched > durable_turn:
            return False
        del self._touched_in[address]
        return self._restores.get(address, 0) < _RESTORES_MAX
