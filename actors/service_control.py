"""What the control socket understands, and how answers find their way back after the commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio
from attrs import define, field

from actors import messages as msg
from actors.engine import Engine
from actors.runtime.lanes import LaneFull
from fsm.mode import ControlLevel
from fsm.vocabulary import ExitReason

_ANSWER_TIMEOUT_S = 10.0


class BadRequest(ValueError):
    """The request cannot be understood; the message says what is missing."""


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
            command = _command(request)
        except (BadRequest, ValueError) as problem:
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

    def answered(self, token: object, answer: dict[str, object]) -> None:
        """The command's turn is durable (or it was refused)."""
        if isinstance(token, Waiting):
            token.answer = dict(answer)
            token.done.set()


def _command(request: dict[str, Any]) -> object:
    name, who, why = request.get("command"), request.get("who", "operator"), request.get("why", "")
    if name == "control":
        level = ControlLevel(request.get("level", ""))
        return msg.SetControl(level, who, why)
    if name == "resume":
        return msg.Resume(who, why)
    if name == "exit":
        return msg.RequestExit(_text(request, "position"), ExitReason.OPERATOR, f"{who}: {why}")
    if name == "cancel":
        return msg.CancelOrder(_text(request, "order"), f"{who}: {why}")
    raise BadRequest(f"no command {name!r}: live, stop, control, resume, exit, cancel")


def _text(request: dict[str, Any], key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"the request needs {key!r}")
    return value
