"""`holdfast control`: the operator's levers on the running service, answered after its commit.

Works through the control socket beside the database; a held order is resolved, and an unresolved
fact attributed, without a service too. Claims nothing that the venue has not confirmed: the answer
is that the command is recorded, `holdfast status` shows what came of it.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from actors.cli.options import DONE, HERE, REFUSED, UNAVAILABLE, USAGE, CommandFailed, Json, Place
from fsm.vocabulary import HeldOutcome

_ANSWER_S = 15.0


class Lever(StrEnum):
    """What the operator may ask for."""

    SHOW = "show"
    PAUSE = "pause"
    FLATTEN = "flatten"
    EMERGENCY = "emergency"
    RESUME = "resume"
    STOP = "stop"
    RESOLVE = "resolve"
    ATTRIBUTE = "attribute"
    RECOVER = "recover"
    RESET = "reset"


_RECORDED = {
    Lever.PAUSE: "paused: no new entries; positions are watched and exits work",
    Lever.FLATTEN: "flatten: entries are taken back, every position is being left",
    Lever.EMERGENCY: "emergency: every entry is taken back, every position is being left",
    Lever.RESUME: "resumed",
    Lever.STOP: "the service is stopping",
    Lever.RESOLVE: "resolved as you said, with your name",
    Lever.ATTRIBUTE: "recorded with your name",
    Lever.RECOVER: "recovered with your name",
    Lever.RESET: "the guard looks anew",
}
#: The levers that are about one thing, and what names it in the request.
_NAMED = {
    Lever.RESOLVE: "order",
    Lever.ATTRIBUTE: "seq",
    Lever.RECOVER: "source",
    Lever.RESET: "guard",
}
#: What a person decides about the books themselves works without a service too.
_OFFLINE = (Lever.RESOLVE, Lever.ATTRIBUTE)


def control(
    lever: Annotated[Lever, Parameter(help="What to do; `show` only looks.")] = Lever.SHOW,
    name: Annotated[
        str | None,
        Parameter(
            help="The order to resolve, fact (seq) to attribute, source to recover, guard to reset."
        ),
    ] = None,
    /,
    *,
    who: Annotated[str, Parameter(help="Who asks; recorded.")] = "operator",
    why: Annotated[
        str, Parameter(name=("--why", "--evidence"), help="Why, or how you know; recorded.")
    ] = "",
    outcome: Annotated[
        HeldOutcome | None, Parameter(name="--as", help="`resolve`: what became of the order.")
    ] = None,
    trades: Annotated[
        Path | None,
        Parameter(help="`resolve`: the venue's trades, CSV: trade_id, qty, price, fee, fee_asset."),
    ] = None,
    order: Annotated[
        str | None, Parameter(help="`attribute`: the order that the fact is of.")
    ] = None,
    dismiss: Annotated[
        bool, Parameter(negative=(), help="`attribute`: it is of no order of ours.")
    ] = False,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """Show or move the kill switch of the running service: pause, flatten, emergency, resume, stop.

    `resolve ORDER --as canceled|expired|rejected|filled --evidence TEXT --who NAME` ends what is
    held for review. `attribute SEQ --order ID | --dismiss --why TEXT --who NAME` says whose an
    unresolved fact is (`holdfast fills --unresolved`): it is booked for that order, once. Both
    work on a database that no service is running on, too. `recover SOURCE` takes a source of
    DEGRADED away, `reset GUARD` opens a guard that only a person may open.

    Exit code 3 when it is refused, 4 when no service answers.
    """
    path = place.database()
    if lever is not Lever.ATTRIBUTE and (order is not None or dismiss):
        raise CommandFailed(f"control {lever}: --order and --dismiss belong to `attribute`", USAGE)
    request = _request(lever, name, who, why, outcome, trades)
    if lever is Lever.ATTRIBUTE:
        request |= _placing(str(name), order, dismiss)
    answer = _asked(path, lever, request)
    if not answer.get("ok"):
        raise CommandFailed(f"{path}: {answer.get('error', 'refused')}", REFUSED)
    _show(lever, answer, json)
    return DONE


def _request(
    lever: Lever,
    name: str | None,
    who: str,
    why: str,
    outcome: HeldOutcome | None,
    trades: Path | None,
) -> dict[str, Any]:
    if lever is not Lever.RESOLVE and (outcome is not None or trades is not None):
        raise CommandFailed(f"control {lever}: --as and --trades belong to `resolve`", USAGE)
    if lever not in _NAMED and name is not None:
        raise CommandFailed(f"control {lever}: takes no name, and {name!r} was given", USAGE)
    if lever is Lever.SHOW:
        return {"command": "live"}
    if lever in (Lever.RESUME, Lever.STOP):
        return {"command": lever, "who": who, "why": why}
    if lever not in _NAMED:
        return {"command": "control", "level": lever, "who": who, "why": why}
    what = _NAMED[lever]
    if not name:
        raise CommandFailed(
            f"control {lever}: which {what}? `control {lever} {what.upper()}`", USAGE
        )
    if not why.strip():
        raise CommandFailed(f"control {lever} {name}: say why: --why TEXT (it is recorded)", USAGE)
    request: dict[str, Any] = {"command": lever, what: name, "who": who, "why": why}
    if lever is Lever.RESOLVE:
        if outcome is None:
            choices = "|".join(HeldOutcome)
            raise CommandFailed(f"control resolve {name}: as what? --as {choices}", USAGE)
        request["as"] = outcome
        if trades is not None:
            from actors.cli.trades_file import read_trades

            request["trades"] = read_trades(trades)
    return request


def _placing(seq: str, order: str | None, dismiss: bool) -> dict[str, Any]:
    if not (seq.isascii() and seq.isdigit()):
        raise CommandFailed(
            f"control attribute {seq}: a seq is a number, see `holdfast fills --unresolved`", USAGE
        )
    if (order is not None) is dismiss:
        raise CommandFailed(
            f"control attribute {seq}: whose is it? --order ID, or --dismiss", USAGE
        )
    return {"seq": int(seq), "dismiss": dismiss} | ({} if order is None else {"order": order})


def _asked(path: Path, lever: Lever, request: dict[str, Any]) -> dict[str, Any]:
    """The service's answer; without a service the database itself takes what is about it."""
    from actors.runtime.control_socket import ControlUnavailable, ask

    try:
        return ask(path, request, timeout_s=_ANSWER_S)
    except ControlUnavailable as problem:
        if lever in _OFFLINE and path.exists():
            return _carried_out_offline(path, request)
        raise CommandFailed(
            f"{path}: no service answers; start one with `holdfast run --db {path}`, or see "
            "`holdfast status`",
            UNAVAILABLE,
        ) from problem


def _carried_out_offline(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    from actors.control_requests import command_of
    from actors.offline import carry_out

    try:
        answer = carry_out(path, command_of(request))
    except BlockingIOError as problem:
        raise CommandFailed(f"{problem}, and does not answer; try again", UNAVAILABLE) from problem
    except ValueError as problem:
        return {"ok": False, "error": str(problem)}
    return {"ok": bool(answer.get("accepted")), **answer}


def _show(lever: Lever, answer: dict[str, Any], json: bool) -> None:
    from actors.cli.output import print_json

    if lever is not Lever.SHOW:
        if json:
            print_json(answer)
        else:
            print(f"{_RECORDED[lever]}; `holdfast status` shows what the venue has confirmed")
            if "note" in answer:
                print(f"note: {answer['note']}")
        return
    mode = answer["document"]["mode"]
    if json:
        print_json(mode)
    else:
        sources = ", ".join(source["source"] for source in mode["sources"])
        print(f"{mode['state']}, control {mode['control']}{f' ({sources})' if sources else ''}")
