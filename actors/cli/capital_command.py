"""`holdfast capital`: what came and went by itself, and the basis of every performance figure.

Each command is a dry run unless it is confirmed: what it would do to balances, capital and basis,
and which limits the new balance would breach. The running service books it, or the database does
under its lock where no service is running.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from attrs import frozen
from cyclopts import App, Parameter

from actors.cli.options import DONE, HERE, REFUSED, UNAVAILABLE, USAGE, CommandFailed, Json, Place

_ANSWER_S = 25.0

capital_app = App(name="capital", help="Deposits, withdrawals and the basis of returns.")


@Parameter(name="*")
@frozen(kw_only=True)
class Booking:
    """What every command that books takes."""

    dry_run: Annotated[
        bool, Parameter(name="--dry-run", help="Say what it would do; book nothing.")
    ] = False
    confirm: Annotated[bool, Parameter(name="--confirm", help="Book it.")] = False
    accept_breaches: Annotated[
        bool,
        Parameter(name="--accept-breaches", help="Book it although a limit would be breached."),
    ] = False
    ref: Annotated[str, Parameter(help="The transfer's id at the venue; each is booked once.")] = ""
    who: Annotated[str, Parameter(help="Who asks; recorded.")] = "operator"
    why: Annotated[str, Parameter(help="Why; recorded.")] = ""

    def request(self) -> dict[str, Any]:
        """The part of the request that all commands share. Raises CommandFailed."""
        if self.dry_run and self.confirm:
            raise CommandFailed("--dry-run and --confirm exclude each other", USAGE)
        return {
            "command": "capital",
            "dry_run": not self.confirm,
            "accept_breaches": self.accept_breaches,
            "ref": self.ref,
            "who": self.who,
            "why": self.why,
        }


NOT_YET = Booking()
Asset = Annotated[str, Parameter(help="The asset, as the instruments spell it.")]
Amount = Annotated[str, Parameter(help="How much, in units of the asset.")]
PriceOption = Annotated[
    str | None,
    Parameter(help="Its price in quote units at the time; for an asset that is no quote asset."),
]


@capital_app.command
def show(
    *,
    since: Annotated[int, Parameter(help="Sum up the events strictly after this seq.")] = 0,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Capital, basis, every event with its provenance, and what the venue has beyond the books."""
    from actors.cli import output
    from actors.cli.database import reading, reading_tables, rows
    from actors.cli.read_commands import state_of
    from fsm.money import plain
    from storage.capital import capital_delta_since

    path = place.database()
    account = state_of(path, everything=False)["account"]
    with reading_tables(path) as conn:
        events = rows(conn, "capital_events")
    with reading(path) as reader:
        delta = capital_delta_since(reader, since)
    document = {
        "account": account,
        "events": events,
        "since": {
            "boundary": delta.boundary,
            "events": delta.events,
            "deltas": {asset: plain(amount) for asset, amount in delta.deltas.items()},
        },
        "proposals": account["proposals"],
    }
    if json:
        output.print_json(document)
        return DONE
    names = ("capital", "capital_source", "capital_seq", "equity", "net_basis")
    output.print_fields(f"{path}: capital", [(name, account[name]) for name in names])
    columns = "seq at kind asset amount price value basis_delta net_basis_after ref who why"
    output.print_table(events, columns.split(), empty="No capital event yet.")
    if since:
        output.print_fields(f"after seq {since}: {delta.events} events", delta.deltas.items())
    for asset, qty in account["unpriced"].items():
        print(f"no price is known of {qty} {asset} of the opening balance: `capital init-basis`")
    for one in account["proposals"]:
        print(f"the venue differs by {one['amount']} {one['asset']}: {one['command']}")
    return DONE


@capital_app.command
def deposit(
    asset: Asset,
    amount: Amount,
    /,
    *,
    price: PriceOption = None,
    booking: Booking = NOT_YET,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Funds came to the account: balances, capital and basis grow by what they are worth."""
    return _book("deposit", booking, json, place, asset=asset, amount=amount, price=price)


@capital_app.command
def withdraw(
    asset: Asset,
    amount: Amount,
    /,
    *,
    price: PriceOption = None,
    booking: Booking = NOT_YET,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Funds left the account: profit goes first, by the figures before it, then the basis."""
    return _book("withdraw", booking, json, place, asset=asset, amount=amount, price=price)


@capital_app.command
def realign(
    asset: Asset,
    amount: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="The venue less the books, signed.")
    ],
    /,
    *,
    price: PriceOption = None,
    booking: Booking = NOT_YET,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Bring the books to what the venue has, where no event explains it; the basis stays."""
    return _book("realign", booking, json, place, asset=asset, amount=amount, price=price)


@capital_app.command
def convert(
    asset: Asset,
    amount: Amount,
    to_asset: Annotated[str, Parameter(help="What it became.")],
    to_amount: Annotated[str, Parameter(help="How much of that came.")],
    /,
    *,
    booking: Booking = NOT_YET,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """The venue turned one asset into another outside of any order: one event, two legs."""
    more = {"asset": asset, "amount": amount, "to_asset": to_asset, "to_amount": to_amount}
    return _book("convert", booking, json, place, **more)


@capital_app.command(name="commit-basis")
def commit_basis(
    amount: Annotated[
        str | None, Parameter(help="How much profit, quote units; without it all of it.")
    ] = None,
    /,
    *,
    booking: Booking = NOT_YET,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Profit becomes basis: from here on returns are measured on the larger sum."""
    return _book("commit-basis", booking, json, place, amount=amount)


@capital_app.command(name="init-basis")
def init_basis(
    *,
    price: Annotated[
        tuple[str, ...],
        Parameter(help="ASSET=PRICE of an opening balance that is no quote asset; repeatable."),
    ] = (),
    booking: Booking = NOT_YET,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Value the opening balances, once: what was there before the start is capital, not profit."""
    prices: dict[str, str] = {}
    for given in price:
        asset, _, number = given.partition("=")
        if not number or asset in prices:
            raise CommandFailed(f"--price {given}: ASSET=PRICE, each asset once", USAGE)
        prices[asset] = number
    return _book("init-basis", booking, json, place, prices=prices)


# ------------------------------------------------------------------------------------- the answer


def _book(action: str, booking: Booking, json: bool, place: Place, **more: Any) -> int:
    from actors.cli import output

    request = booking.request() | {"action": action, **more}
    path = place.database()
    _check(request)
    answer = _asked(path, request, place)
    if not answer.get("ok"):
        raise CommandFailed(f"{path}: {answer.get('error', 'refused')}", REFUSED)
    plan, booked = answer.get("plan"), bool(answer.get("changed"))
    document = {"booked": booked, "dry_run": request["dry_run"], **(plan or {})}
    if json:
        output.print_json(document)
    elif plan is None:
        is_basis = action == "init-basis"
        why = "every opening balance has its worth" if is_basis else "it is booked already"
        print(f"nothing changed: {why}")
    else:
        _show(action, plan, booked)
    if plan is None or booked or booking.dry_run:
        return DONE
    raise CommandFailed(f"{path}: nothing was booked: add --confirm, or --dry-run", REFUSED)


def _check(request: dict[str, Any]) -> None:
    """Numbers and names, before anybody is asked. Raises CommandFailed."""
    from actors.capital_requests import wish_of

    try:
        wish_of(request)
    except ValueError as problem:
        raise CommandFailed(f"capital {request['action']}: {problem}", USAGE) from problem


def _asked(path: Path, request: dict[str, Any], place: Place) -> dict[str, Any]:
    from actors.runtime.control_socket import ControlUnavailable, ask

    try:
        return ask(path, request, timeout_s=_ANSWER_S)
    except ControlUnavailable:
        from actors.cli.database import check_file

        check_file(path)
        return _without_service(path, request, place)


def _without_service(path: Path, request: dict[str, Any], place: Place) -> dict[str, Any]:
    from actors.capital_requests import wish_of
    from actors.config import load_config
    from actors.offline import book, planned
    from actors.runtime.actor import Refused

    wish, config = wish_of(request), load_config(place.config)
    try:
        if request["dry_run"]:
            plan = planned(path, wish, config)
            return {"ok": True, "changed": False, "plan": plan and plan.document()}
        answer = book(path, wish, config)
    except (Refused, ValueError) as problem:
        return {"ok": False, "error": str(problem)}
    except BlockingIOError as problem:
        raise CommandFailed(f"{problem}, and does not answer; try again", UNAVAILABLE) from problem
    return {"ok": bool(answer.get("accepted")), **answer}


def _step(before: str, after: str) -> str:
    from actors.cli.output import cell

    return f"{cell(before)} -> {cell(after)}"


def _show(action: str, plan: dict[str, Any], booked: bool) -> None:
    from actors.cli import output

    fields: list[tuple[str, object]] = []
    for asset, after in plan["balances_after"].items():
        fields.append((f"balance {asset}", _step(plan["balances_before"][asset], after)))
    fields += [
        ("capital", _step(plan["capital_before"], plan["capital_after"])),
        ("equity before", plan["equity_before"]),
        ("net_basis_before", plan["net_basis_before"]),
        ("net_basis_after", plan["net_basis_after"]),
        ("ref", plan["ref"]),
    ]
    output.print_fields(f"{action}: {'booked' if booked else 'what it would do'}", fields)
    for breach in plan["breaches"]:
        print(f"  would breach  {breach}")
