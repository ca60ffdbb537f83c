"""`holdfast control`: the operator's levers on the running service, answered after its commit.

Works through the control socket beside the database. Claims nothing that the venue has not
confirmed: the answer is that the command is recorded, `holdfast status` shows what came of it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from cyclopts import Parameter

from actors.cli.options import DONE, HERE, REFUSED, UNAVAILABLE, CommandFailed, Json, Place

_ANSWER_S = 15.0


class Lever(StrEnum):
    """What the operator may ask for."""

    SHOW = "show"
    PAUSE = "pause"
    FLATTEN = "flatten"
    EMERGENCY = "emergency"
    RESUME = "resume"
    STOP = "stop"


_RECORDED = {
    Lever.PAUSE: "paused: no new entries; positions are watched and exits work",
    Lever.FLATTEN: "flatten: entries are taken back, every position is being left",
    Lever.EMERGENCY: "emergency: every entry is taken back, every position is being left",
    Lever.RESUME: "resumed",
    Lever.STOP: "the service is stopping",
}


def control(
    lever: Annotated[Lever, Parameter(help="What to do; `show` only looks.")] = Lever.SHOW,
    /,
    *,
    who: Annotated[str, Parameter(help="Who asks; recorded.")] = "operator",
    why: Annotated[str, Parameter(help="Why; recorded.")] = "",
    place: Place = HERE,
    json: Json = False,
) -> int:
    """Show or move the kill switch of the running service: pause, flatten, emergency, resume, stop.

    Exit code 3 when it is refused, 4 when no service answers.
    """
    from actors.cli.output import print_json
    from actors.runtime.control_socket import ControlUnavailable, ask

    path = place.database()
    request: dict[str, Any] = {"command": "control", "level": lever, "who": who, "why": why}
    if lever is Lever.SHOW:
        request = {"command": "live"}
    elif lever in (Lever.RESUME, Lever.STOP):
        request["command"] = lever
    try:
        answer = ask(path, request, timeout_s=_ANSWER_S)
    except ControlUnavailable as problem:
        raise CommandFailed(
            f"{path}: no service answers; start one with `holdfast run --db {path}`, or see "
            "`holdfast status`",
            UNAVAILABLE,
        ) from problem
    if not answer.get("ok"):
        raise CommandFailed(f"{path}: {answer.get('error', 'refused')}", REFUSED)
    if lever is Lever.SHOW:
        mode = answer["document"]["mode"]
        if json:
            print_json(mode)
        else:
            sources = ", ".join(source["source"] for source in mode["sources"])
            print(f"{mode['state']}, control {mode['control']}{f' ({sources})' if sources else ''}")
        return DONE
    if json:
        print_json(answer)
    else:
        print(f"{_RECORDED[lever]}; `holdfast status` shows what the venue has confirmed")
    return DONE
