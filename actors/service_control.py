"""What the control socket understands, and how answers find their way back after the commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio
from attrs import define, field

from actors import messages as msg
from actors.capital_plan import Busy, CapitalPlan
from actors.capital_requests import Transfers, Wish, moved_at_venue, named, wish_of
from actors.control_requests import BadRequest, command_of
from actors.engine import Engine
from actors.runtime.actor import Refused
from actors.runtime.lanes import LaneFull

_ANSWER_TIMEOUT_S = 10.0
#: How long a capital command waits for a moment without orders in flight, and how often it looks.
_BUSY_TIMEOUT_S, _BUSY_LOOK_S = 5.0, 0.05


@define(slots=True)
class Waiting:
    """Somebody at the socket waits for a command's commit."""

    done: trio.Event = field(factory=trio.Event)
    answer: dict[str, Any] = field(factory=dict)


@define(slots=True)
class ControlHandler:
    """Turns requests into commands on the control lane."""

    engine: Engine
    stop: Callable[[str], None]

    async def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request; a command is answered after its commit."""
        name = request.get("command")
        if name == "live":
            return {
                "ok": True,
                "document": self.engine.document(everything=bool(request.get("all"))),
            }
        if name == "stop":
            self.stop("operator_stop")
            return {"ok": True}
        try:
            if name == "capital":
                return await self._capital(request)
            command = command_of(request)
            self._check(command)
        except ValueError as problem:
            return {"ok": False, "error": str(problem)}
        return await self._asked(command)

    async def _asked(self, command: object) -> dict[str, Any]:
        """Give the engine a command; the answer is the one of its commit."""
        waiting = Waiting()
        try:
            self.engine.inbox.command(msg.Ask(command, waiting))
        except LaneFull as full:
            return {"ok": False, "accepted": False, "error": str(full)}
        with trio.move_on_after(_ANSWER_TIMEOUT_S):
            await waiting.done.wait()
        if not waiting.answer:
            return {"ok": False, "error": "no commit within 10 s: see `holdfast status`"}
        return {"ok": bool(waiting.answer.get("accepted")), **waiting.answer}

    async def _capital(self, request: dict[str, Any]) -> dict[str, Any]:
        """Plan it, move the funds at a venue of ours, book it. While orders of the asset are in
        flight it waits for a moment without any. Raises ValueError."""
        wish = wish_of(request)
        try:
            plan = await self._planned(wish)
        except Refused as refusal:
            return {"ok": False, "error": str(refusal)}
        if plan is None:
            return {"ok": True, "accepted": True, "changed": False}
        document = {"plan": plan.document()}
        if request.get("dry_run"):
            return {"ok": True, "changed": False, **document}
        venue: Transfers | None = getattr(self.engine.gateway, "transfers", None)
        amounts = moved_at_venue(plan)
        if plan.breaches and not wish.accept_breaches:
            venue = None  # it will be refused: nothing moves
        if venue is not None and amounts:
            venue.transfer(plan.event.ref, amounts)
        answer = await self._asked(named(wish, plan))
        refused = answer.get("accepted") is False and not answer.get("kept")
        if venue is not None and amounts and refused:
            # Refused for good. What is kept, or without an answer, may be booked yet.
            venue.take_back(plan.event.ref, amounts)
        return answer | document

    async def _planned(self, wish: Wish) -> CapitalPlan | None:
        """The plan, as soon as nothing is in flight. Raises Refused."""
        deadline = trio.current_time() + _BUSY_TIMEOUT_S
        while True:
            try:
                return self.engine.books.account.plan(wish, self.engine.world)
            except Busy:
                if trio.current_time() >= deadline:
                    raise
            await trio.sleep(_BUSY_LOOK_S)

    def _check(self, command: object) -> None:
        """A source that does not stand cannot recover: say which do."""
        if isinstance(command, msg.Recover):
            standing = self.engine.books.mode.sources
            if command.source not in standing:
                names = ", ".join(standing) or "none"
                raise BadRequest(f"{command.source!r} does not stand; standing: {names}")

    def answered(self, token: object, answer: dict[str, object]) -> None:
        """The command's turn is durable (or it was refused)."""
        if isinstance(token, Waiting):
            token.answer = dict(answer)
            token.done.set()
