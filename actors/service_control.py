"""What the control socket understands, and how answers find their way back after the commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio
from attrs import define, field

from actors import messages as msg
from actors.control_requests import BadRequest, command_of
from actors.engine import Engine
from actors.runtime.lanes import LaneFull

_ANSWER_TIMEOUT_S = 10.0


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
            command = command_of(request)
            self._check(command)
        except ValueError as problem:
            return {"ok": False, "error": str(problem)}
        waiting = Waiting()
        try:
            self.engine.inbox.command(msg.Ask(command, waiting))
        except LaneFull as full:
            return {"ok": False, "error": str(full)}
        with trio.move_on_after(_ANSWER_TIMEOUT_S):
            await waiting.done.wait()
        if not waiting.answer:
            return {"ok": False, "error": "no commit within 10 s: see `holdfast status`"}
        return {"ok": bool(waiting.answer.get("accepted")), **waiting.answer}

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
